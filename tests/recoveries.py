"""Each kind of loss behind an acceptance script of others, and the way back: `python -m tests.recoveries FOLDER`.

FOLDER is that of `tests.acceptance`. Seasons are replayed; then Redis or Postgres loses something, one way after the
other, a command brings it back, and Redis must hold what it held before: boards, balances, ties, statistics, and
`leaderboard verify` finds nothing. Each line tells the seconds from the command's start until /readyz is 200 again.
"""

import argparse
import csv
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

from tests.acceptance import replay_command
from tests.conftest import Stack
from tests.crash.sentinel_faults import cut_replica
from tests.support.checked_deployment import verify
from tests.support.lost_redis import bring_back, copy_redis
from tests.support.older_postgres import copy_postgres, swap_postgres
from tests.support.redis_state import differences, namespace_state
from tests.support.redis_topologies import WatchedValkey
from tests.support.waits import until

State: TypeAlias = dict[str, dict[str, str]]
#: Seconds of one replay.
REPLAY_S_MAX = 300
#: Seconds until a loss must be noticed, and until all is well again behind the command.
NOTICE_S_MAX = 60.0
#: How much of the append-only file is cut off.
CUT = 0.2


class Seasons:
    """The seasons of a folder: those before and behind what an older copy has, and one that comes last."""

    def __init__(self, folder: Path) -> None:
        (standings,) = (folder / "data" / "f1").glob("standings-*.csv")
        with standings.open() as lines:
            years = sorted({row["season"] for row in csv.DictReader(lines)})
        middle = len(years) // 2
        self.folder = folder
        self.early, self.late, self.last = years[:middle], years[middle:-1], years[-1:]

    def replay(self, stack: Stack, years: list[str]) -> None:
        """Replays some; AssertionError where a board is not the official one."""
        command = [*replay_command(self.folder, stack, live=False), "--seasons", ",".join(years)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=REPLAY_S_MAX, check=False)
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
        stack.wait_flushed()


def flush_all(stack: Stack) -> None:
    """FLUSHALL."""
    with stack.store() as store:
        store.flushall()


def cut_tail(stack: Stack) -> None:
    """Redis comes back without the end of its append-only file."""
    stack.kill("redis")
    (file,) = stack.valkey.data.rglob("*.incr.aof")
    with file.open("r+b") as log:
        log.truncate(int(file.stat().st_size * (1 - CUT)))
    stack.start("redis")


def older_redis(stack: Stack) -> None:
    """Redis comes back with the folder of the seasons before."""
    bring_back(stack, stack.valkey.data.with_name("older"))


def empty_redis(stack: Stack) -> None:
    """Redis comes back with an empty folder."""
    empty = stack.folder / "empty"
    empty.mkdir(exist_ok=True)
    bring_back(stack, empty)


def older_postgres(stack: Stack) -> None:
    """Postgres comes back with the folder of the seasons before."""
    swap_postgres(stack, newer=f"newer-{time.monotonic_ns()}")


#: What is lost, by what it is called, with the commands that bring it back: the next one where the one before fails.
LOSSES: dict[str, tuple[Callable[[Stack], None], tuple[str, ...]]] = {
    "an older Postgres": (older_postgres, ("rebuild --from-redis",)),
    "FLUSHALL": (flush_all, ("rebuild",)),
    "the end of the append-only file cut": (cut_tail, ("recover", "rebuild")),
    "an older folder of Redis": (older_redis, ("recover", "rebuild")),
    "an empty folder of Redis": (empty_redis, ("rebuild",)),
    "an older Postgres, and no log of what it lacks": (older_postgres, ("rebuild --from-redis",)),
}


def main() -> int:
    """Each loss on a single Valkey, then a replica that is promoted without the late seasons."""
    arguments = argparse.ArgumentParser(prog="python -m tests.recoveries", description=__doc__)
    arguments.add_argument("folder", type=Path)
    seasons = Seasons(arguments.parse_args().folder)
    with _stack() as stack:
        seasons.replay(stack, seasons.early)
        copy_redis(stack)
        copy_postgres(stack)
        seasons.replay(stack, seasons.late)
        before = namespace_state(stack.redis.url)
        for name, (lose, commands) in LOSSES.items():
            lose(stack)
            _bring_back(stack, name, commands, before)
        seasons.replay(stack, seasons.last)
    with _stack(WatchedValkey) as stack:
        seasons.replay(stack, seasons.early)
        with _promotion(stack):
            seasons.replay(stack, seasons.late)
            before = namespace_state(stack.redis.url)
        _bring_back(stack, "a replica promoted without the last writes", ("recover", "rebuild"), before)
        seasons.replay(stack, seasons.last)
    return 0


@contextmanager
def _promotion(stack: Stack) -> Iterator[None]:
    """The replica lacks what is written meanwhile, and is promoted at the end."""
    watched = stack.redis
    assert isinstance(watched, WatchedValkey)
    former = watched.primary()
    cut_replica(former)
    yield
    former.kill()
    watched.wait_failover(former)


def _bring_back(stack: Stack, name: str, commands: tuple[str, ...], before: State) -> None:
    """Waits until the loss is noticed, runs the commands, and compares."""
    with stack.client() as client:
        until(lambda: client.get("/readyz").status_code == 503, f"{name}: nobody notices it", NOTICE_S_MAX)
        began = time.monotonic()
        for command in commands:
            done = stack.run(*command.split(" "), "--quiet")
            if done.returncode == 0:
                break
        assert done.returncode == 0, f"{name}: {command}: {done.stdout[-2000:]}{done.stderr[-2000:]}"
        until(lambda: client.get("/readyz").status_code == 200, f"{name}: it does not serve", NOTICE_S_MAX)
    seconds = time.monotonic() - began
    stack.wait_flushed()
    lost = differences(before, namespace_state(stack.redis.url))
    assert not lost, (name, lost[:20])
    findings = verify(stack)
    assert findings == (0, []), (name, findings)
    print(f"{name}: back by `{command}` in {seconds:.1f} s", flush=True)


@contextmanager
def _stack(nodes: Any = None) -> Iterator[Stack]:
    with tempfile.TemporaryDirectory(dir="/dev/shm") as place:
        folder = Path(place)
        folder.chmod(0o755)
        stack = Stack(folder, redis=None if nodes is None else nodes(folder / "nodes"))
        stack.extra["LEADERBOARD_CHORES_S"] = "0.5"
        try:
            stack.up()
            yield stack
        finally:
            stack.down()


if __name__ == "__main__":
    sys.exit(main())
