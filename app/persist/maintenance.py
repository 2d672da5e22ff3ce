"""Runs the other work of a persister in tasks with connections of their own, so that the ledger waits for none of
it."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from logging import DEBUG, WARNING
from typing import Any

import asyncpg
import structlog

from ..drivers.postgres import is_silence
from ..drivers.redis import REDIS_ERRORS
from ..task_end import end_all
from .clocks import ClockSkewed
from .leases import Superseded
from .ledger_session import LedgerSession

log = structlog.get_logger()

STORES_LOST = (*REDIS_ERRORS, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)

# asyncpg's error for a connection that broke before. If it breaks now, the error is an InternalClientError.
_IS_CLOSED = "connection is closed"
#: Seconds before a task that lost a store connects again.
AGAIN_S = 0.5


def log_loss(event: str, error: BaseException, **words: object) -> None:
    """Logs that a store was lost. A store that is away is debug here: its StoreContact logs that once."""
    is_away = is_silence(error) or isinstance(error, asyncpg.InternalClientError) or _IS_CLOSED in str(error)
    log.log(DEBUG if is_away else WARNING, event, error=f"{type(error).__name__}: {error}", **words)


class Maintenance:
    """The tasks of one session. number: the persister's."""

    def __init__(self, url: str, number: int) -> None:
        self._url = url
        self._number = number
        self._tasks: list[asyncio.Task[None]] = []

    def run(self, work: Coroutine[Any, Any, None]) -> None:
        """Starts a task."""
        self._tasks.append(asyncio.create_task(work))

    def repeat(self, name: str, step: Callable[[LedgerSession], Awaitable[None]], statement_s: float) -> None:
        """Repeats steps on a connection of their own. After an error of a store they begin again on a new connection.
        statement_s: what a statement may take."""
        self.run(self._repeat(name, step, statement_s))

    def check(self) -> None:
        """Raises the error that ended a task, because tasks run for ever."""
        for task in self._tasks:
            if task.done():
                task.result()

    async def end(self) -> None:
        """Ends every task."""
        await end_all(self._tasks)

    async def _repeat(self, name: str, step: Callable[[LedgerSession], Awaitable[None]], statement_s: float) -> None:
        while True:
            session = None
            try:
                session = await LedgerSession.connect(self._url, self._number, statement_s)
                while True:
                    await step(session)
            except STORES_LOST as error:
                log_loss("store lost", error, task=name)
            except Superseded as error:
                log.info("a task stopped: another persister has its partition", task=name, error=str(error))
            except ClockSkewed:
                raise
            except Exception:  # The error must not end the writing of the ledger, nor this task.
                log.exception("a task failed, and is tried again", task=name)
            finally:
                if session is not None:
                    session.terminate()
            await asyncio.sleep(AGAIN_S)
