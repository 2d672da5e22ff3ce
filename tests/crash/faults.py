"""The faults: what breaks, how it heals, and what is promised. docs/reliability.md has the same table."""

from __future__ import annotations

import os
import shutil
import signal
import time
from typing import ClassVar

import psycopg

from tests.crash.field import Field
from tests.support.frozen_postgres import frozen
from tests.support.launcher import launcher
from tests.support.time_counts import check_counts

#: Seconds for which a part is away, or stands still.
AWAY_S, STILL_S = 0.3, 2.0
#: Entries that the ledger may lack while clients go on.
LAG_MAX = 50
#: Bytes that are cut off the append-only file: some entries.
CUT_BYTES = 20_000

NO_LOSS = "nothing is lost, nothing counts twice"
WHAT_REMAINS = "503 `recovering` until `leaderboard recover` or `rebuild`; then all that the ledger or the log has"


class Fault:
    """A fault, while clients go on. name, promise: its line in the table. is_short: it is part of `make test`."""

    name: ClassVar[str]
    promise: ClassVar[str] = NO_LOSS
    is_short: ClassVar[bool] = False

    def __init__(self) -> None:
        #: What it measured, in words.
        self.notes: list[str] = []

    def inject(self, field: Field) -> None:
        """Breaks something, and lets that last."""
        raise NotImplementedError

    def heal(self, field: Field) -> None:
        """Ends it; returns once everything runs."""
        raise NotImplementedError


class KillRedis(Fault):
    name = "Redis killed (`kill -9`)"
    is_short = True
    part: ClassVar[str] = "redis"

    def inject(self, field: Field) -> None:
        field.stack.kill(self.part)
        field.wait(AWAY_S)

    def heal(self, field: Field) -> None:
        field.stack.start(self.part)


class KillPostgres(KillRedis):
    name = "Postgres killed"
    is_short = True
    promise = "grants and reads go on; nothing is lost, nothing counts twice"
    part = "postgres"


class KillServer(KillRedis):
    name = "the server killed"
    is_short = True
    part = "serve"


class KillPersister(KillRedis):
    name = "the persister killed"
    is_short = True
    promise = "counts by time are those of the ledger, at the moment of the kill, too; nothing is lost"
    part = "persist"

    def inject(self, field: Field) -> None:
        super().inject(field)
        with psycopg.connect(field.stack.postgres.url) as db:
            db.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            check_counts(db)


class KillAll(Fault):
    name = "all parts killed at once"

    def inject(self, field: Field) -> None:
        for part in ("redis", "postgres", "persist", "serve"):
            field.stack.kill(part)

    def heal(self, field: Field) -> None:
        for part in ("postgres", "redis", "persist", "serve"):
            field.stack.start(part)


class ImmediatePostgres(Fault):
    name = "Postgres stopped by `-m immediate`, three times"
    is_short = True

    def inject(self, field: Field) -> None:
        for _ in range(3):
            os.kill(field.stack.postgres.pid, signal.SIGQUIT)
            field.stack.postgres.wait(10)
            field.stack.start("postgres")
            field.wait(AWAY_S)

    def heal(self, field: Field) -> None:
        pass


class StopRedis(Fault):
    name = "Redis stands still (SIGSTOP)"
    is_short = True

    def pid(self, field: Field) -> int:
        return field.stack.valkey.pid

    def inject(self, field: Field) -> None:
        os.kill(self.pid(field), signal.SIGSTOP)
        try:
            field.wait(STILL_S)
        finally:
            os.kill(self.pid(field), signal.SIGCONT)

    def heal(self, field: Field) -> None:
        pass


class StopServer(StopRedis):
    name = "the server stands still"
    is_short = False

    def pid(self, field: Field) -> int:
        return field.stack.pid("serve")


class StopPersister(StopRedis):
    name = "the persister stands still"
    is_short = False

    def pid(self, field: Field) -> int:
        return field.stack.pid("persist")


class StopPostgres(Fault):
    name = "Postgres stands still"

    def inject(self, field: Field) -> None:
        with frozen(field.stack.postgres):
            field.wait(STILL_S)

    def heal(self, field: Field) -> None:
        pass


class LostReplies(Fault):
    name = "replies of Redis are lost after it applied"
    is_short = True
    promise = "what is sent again is told its own outcome; nothing counts twice"

    def inject(self, field: Field) -> None:
        field.redis_link.lose_replies()
        field.wait(AWAY_S)

    def heal(self, field: Field) -> None:
        field.redis_link.mend()


class CutRedis(LostReplies):
    name = "connections to Redis cut"
    is_short = False
    promise = NO_LOSS

    def inject(self, field: Field) -> None:
        field.redis_link.cut()
        field.wait(AWAY_S)


class HalfOpenRedis(LostReplies):
    name = "connections to Redis half-open"
    is_short = True
    promise = NO_LOSS

    def inject(self, field: Field) -> None:
        field.redis_link.hold()
        field.wait(STILL_S)


class SlowRedis(LostReplies):
    name = "a slow link to Redis"
    is_short = False
    promise = NO_LOSS

    def inject(self, field: Field) -> None:
        field.redis_link.slow(0.05)
        field.wait(STILL_S)


class CutPostgres(Fault):
    name = "connections to Postgres cut"

    def inject(self, field: Field) -> None:
        field.postgres_link.cut()
        field.wait(AWAY_S)

    def heal(self, field: Field) -> None:
        field.postgres_link.mend()


class HalfOpenPostgres(CutPostgres):
    name = "connections to Postgres half-open"

    def inject(self, field: Field) -> None:
        field.postgres_link.hold()
        field.wait(STILL_S)


class LostCommits(CutPostgres):
    name = "replies of Postgres are lost after it committed"
    is_short = True

    def inject(self, field: Field) -> None:
        field.postgres_link.lose_replies()
        field.wait(AWAY_S)


class TwoPersisters(Fault):
    name = "two persisters fight: one stands still, the other takes its partitions, both go on, one is killed"

    def inject(self, field: Field) -> None:
        stack = field.stack
        with (stack.folder / "second.log").open("ab") as log:
            second = launcher().start(["persist"], stack.environment, log)
        try:
            with psycopg.connect(stack.postgres.url, autocommit=True) as db:
                sql = "SELECT count(DISTINCT holder) FROM leases WHERE holder IS NOT NULL"
                field.until(lambda: db.execute(sql).fetchone() == (2,), "the partitions are not shared")
                os.kill(stack.pid("persist"), signal.SIGSTOP)
                try:
                    field.until(lambda: db.execute(sql).fetchone() == (1,), "nobody takes over")
                finally:
                    os.kill(stack.pid("persist"), signal.SIGCONT)
                field.wait(STILL_S)
        finally:
            second.kill()
            second.wait()

    def heal(self, field: Field) -> None:
        pass


class FullRedis(Fault):
    name = "Redis at `maxmemory`"
    is_short = True
    promise = "grants are refused by name, the ledger gets all of the log; nothing is lost"

    def inject(self, field: Field) -> None:
        with field.direct() as store:
            store.config_set("maxmemory", int(store.info("memory")["used_memory"]) - 100_000)
        field.wait(STILL_S)

    def heal(self, field: Field) -> None:
        with field.direct() as store:
            store.config_set("maxmemory", 0)


class Flushall(Fault):
    name = "FLUSHALL"
    is_short = True
    promise = WHAT_REMAINS

    def inject(self, field: Field) -> None:
        with field.losing(), field.direct() as store:
            store.flushall()
        field.wait_refused()

    def heal(self, field: Field) -> None:
        field.bring_back()


class CutTail(Flushall):
    name = "the end of the append-only file cut off"
    is_short = True

    def inject(self, field: Field) -> None:
        with field.losing():
            field.stack.kill("redis")
            (log,) = field.stack.valkey.data.rglob("*.incr.aof")
            with log.open("r+b") as file:
                file.truncate(max(log.stat().st_size - CUT_BYTES, 0))
            field.stack.start("redis")
        field.wait_refused()


class OlderFolder(Flushall):
    name = "Redis comes back with an older folder"
    is_short = True

    def inject(self, field: Field) -> None:
        older = field.stack.folder / "older"
        shutil.rmtree(older, ignore_errors=True)
        shutil.copytree(field.stack.valkey.data, older)
        field.more(100)
        with field.losing():
            field.stack.kill("redis")
            field.swap_folder(older)
            field.stack.start("redis")
        field.wait_refused()


class EmptyFolder(Flushall):
    name = "Redis comes back with an empty folder"
    is_short = False

    def inject(self, field: Field) -> None:
        with field.losing():
            field.stack.kill("redis")
            field.swap_folder(None)
            field.stack.start("redis")
        field.wait_refused()


class Backlog(Fault):
    name = "no persister while very many grants come"
    promise = "grants and reads go on; the ledger gets all of them behind"

    def inject(self, field: Field) -> None:
        field.stack.kill("persist")
        field.grant_many(20)

    def heal(self, field: Field) -> None:
        before, began = field.recorded(), time.monotonic()
        field.stack.start("persist")
        field.until(lambda: field.lag() < LAG_MAX, "the ledger does not catch up")
        count, seconds = field.recorded() - before, time.monotonic() - began
        self.notes.append(f"{count:,} entries drained, {count / seconds:,.0f} a second")


FAULTS: tuple[type[Fault], ...] = (
    *(KillRedis, KillPostgres, KillPersister, KillServer, KillAll, ImmediatePostgres, Backlog),
    *(StopRedis, StopPostgres, StopPersister, StopServer, TwoPersisters),
    *(LostReplies, CutRedis, HalfOpenRedis, SlowRedis, CutPostgres, HalfOpenPostgres, LostCommits),
    *(FullRedis, Flushall, CutTail, OlderFolder, EmptyFolder),
)
