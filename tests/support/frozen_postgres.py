"""A Postgres that stands still as a paused virtual machine does: its connections stay open, and nothing answers."""

import os
import signal
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress

from app.embedded import PostgresProcess
from tests.support.dev_process import descendants


@contextmanager
def frozen(postgres: PostgresProcess) -> Iterator[None]:
    """All of its processes are stopped within the block."""
    main = postgres.pid
    _send(signal.SIGSTOP, [main])  # it starts no other from here on
    all_of_it = [main, *descendants(main)]
    _send(signal.SIGSTOP, all_of_it)
    try:
        yield
    finally:
        _send(signal.SIGCONT, all_of_it)


def _send(number: signal.Signals, pids: Iterable[int]) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)
