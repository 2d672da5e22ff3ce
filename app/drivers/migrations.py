"""Applies migrations to Postgres: one process at a time, and only as long as Postgres answers."""

import asyncio
import os
import re
import socket
import threading
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from typing import Any
from urllib.parse import quote, urlencode

import asyncpg

from ..model.errors import StoreUnavailable
from ..model.postgres_url import libpq_url
from .keepalive import UNACKNOWLEDGED_MS_MAX
from .postgres import CONNECT_S_MAX, POSTGRES_ERRORS, connect, queries
from .store_contact import contact

_FOLDER = Path(__file__).parent.parent / "store" / "migrations"
_LOCK = 0x6C62_6D67  # the advisory lock of who migrates a database

#: Seconds that a migration waits for a lock. Later statements on the same table wait behind it.
MIGRATION_LOCK_S_MAX = 10.0
#: Seconds that one statement of a migration may take: an index over a ledger of very many rows.
MIGRATION_S_MAX = 6 * 3600.0
#: Seconds between two looks at the session that migrates; a migration that is quicker is not looked at.
LOOK_PAUSE_S = 0.5
#: Seconds of a look: it reads what Postgres has in memory.
LOOK_S_MAX = 5.0
#: Seconds in which no look is answered, after which a migration is given up: Postgres hangs, or the way there.
SILENCE_S_MAX = 30.0


class FormatRefused(Exception):
    """The tables in Postgres have another format than this release reads. The text names the unknown migration."""


class MigrationBlocked(Exception):
    """A lock did not come in time. The text names the session that has it."""


def check_format(applied: Collection[str]) -> None:
    """FormatRefused if a migration was applied that this release does not have. applied: the names of those applied."""
    foreign = sorted(set(applied) - {file.stem for file in _FOLDER.glob("*.sql")})
    if foreign:
        more = f" and {len(foreign) - 1} more" if len(foreign) > 1 else ""
        raise FormatRefused(
            f"Postgres holds tables of another format (made by {foreign[0]}{more}), which this release cannot read: "
            "start afresh with leaderboard dev --reset, or with an empty Postgres and an empty Redis"
        )


def check_migrated(applied: Collection[str]) -> None:
    """FormatRefused if the tables are not exactly those of this release. applied: the names of the migrations."""
    check_format(applied)
    if lacking := sorted({file.stem for file in _FOLDER.glob("*.sql")} - set(applied)):
        raise FormatRefused(f"Postgres lacks the tables of {lacking[0]}: run leaderboard migrate")


def migrate(url: str) -> list[str]:
    """Applies the missing migrations and returns their names. One process of a database does so at a time.
    StoreUnavailable, FormatRefused, MigrationBlocked; psycopg's errors once it is connected."""
    # Imported here, because it takes a tenth of a second and no other command needs it.
    import psycopg
    import yoyo

    bounds = {
        "application_name": "leaderboard migrate",
        "connect_timeout": f"{CONNECT_S_MAX:.0f}",
        "tcp_user_timeout": str(UNACKNOWLEDGED_MS_MAX),
        "options": f"-c lock_timeout={MIGRATION_LOCK_S_MAX:.0f}s -c statement_timeout={MIGRATION_S_MAX:.0f}s",
    }
    address = re.sub(r"^postgres(ql)?://", "postgresql+psycopg://", libpq_url(url))
    try:
        backend = yoyo.get_backend(f"{address}&{urlencode(bounds, quote_via=quote)}")
    except psycopg.OperationalError as error:
        cause = str(error).strip().splitlines()[0]
        raise StoreUnavailable(f"{contact('Postgres', url).silence}: {cause}") from None
    watch = MigrationWatch(url, backend.connection)
    try:
        with watch.looking():
            return _apply(backend)
    except psycopg.errors.LockNotAvailable as error:
        raise MigrationBlocked(watch.blocker or f"a lock did not come in {MIGRATION_LOCK_S_MAX:.0f} s") from error
    except psycopg.OperationalError as error:
        if not watch.is_silent:
            raise
        what = f"no answer for {SILENCE_S_MAX:.0f} s while it was migrated; what was not committed is not done"
        raise StoreUnavailable(f"{contact('Postgres', url).silence}: {what}") from error
    finally:
        backend.connection.close()


def _apply(backend: Any) -> list[str]:
    import yoyo

    # Ends with the session, whatever ends that. A row of yoyo's own lock is left by who was killed, and stops nobody.
    backend.execute(f"SELECT pg_advisory_lock({_LOCK})")
    backend.break_lock()
    with backend.lock():
        missing = backend.to_apply(yoyo.read_migrations(str(_FOLDER)))
        # to_apply has made the table of applied migrations, if there was none.
        check_format([row[0] for row in backend.execute(queries()["get_migrations"]).fetchall()])
        backend.apply_migrations(missing)
        return [migration.id for migration in missing]


class MigrationWatch:
    """Looks at the session that migrates, from another one: who blocks it, and whether Postgres answers at all.

    psycopg itself waits without an end. blocker: what the last look saw of who has what it waits for; is_silent:
    whether the session was given up.
    """

    def __init__(self, url: str, connection: Any) -> None:
        self._url = url
        self._pid, self._file = connection.info.backend_pid, connection.fileno()
        self.blocker: str | None = None
        self.is_silent = False

    @contextmanager
    def looking(self) -> Iterator[None]:
        """Looks, in a thread of its own, as long as the block runs."""
        loop, end = asyncio.new_event_loop(), asyncio.Event()
        thread = threading.Thread(target=loop.run_until_complete, args=(self._look_until(end),), daemon=True)
        thread.start()
        try:
            yield
        finally:
            loop.call_soon_threadsafe(end.set)
            thread.join()
            loop.close()

    async def _look_until(self, end: asyncio.Event) -> None:
        connection: asyncpg.Connection | None = None
        answer_s = monotonic()
        while not await _is_set_within(end, LOOK_PAUSE_S):
            try:
                connection = connection or await connect(self._url, LOOK_S_MAX)
                rows = await connection.fetch(queries()["get_blockers"], self._pid)
                answer_s = monotonic()
                self.blocker = _blocker(rows[0]) if rows else None
            except POSTGRES_ERRORS:
                if connection is not None:
                    connection.terminate()
                connection = None
            if monotonic() - answer_s > SILENCE_S_MAX:
                self._give_up()
                break
        if connection is not None:
            connection.terminate()

    def _give_up(self) -> None:
        """Ends the session's connection, on which psycopg waits: the wait fails at once."""
        self.is_silent = True
        with socket.socket(fileno=os.dup(self._file)) as copy:
            copy.shutdown(socket.SHUT_RDWR)


async def _is_set_within(event: asyncio.Event, seconds: float) -> bool:
    try:
        await asyncio.wait_for(event.wait(), seconds)
    except TimeoutError:
        return False
    return True


def _blocker(row: asyncpg.Record) -> str:
    name = row["application_name"] or "without a name"
    statement = " ".join(row["query"].split())
    return (
        f"the migration waits for {row['object']}, which session {row['pid']} has ({name}; {row['state']} for "
        f"{row['seconds']} s; its last statement: {statement}): end it, or have it ended with "
        f"SELECT pg_terminate_backend({row['pid']}), and run leaderboard migrate again"
    )
