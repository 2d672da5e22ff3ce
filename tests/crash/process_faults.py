"""Processes that are killed, stopped, or too many."""

from __future__ import annotations

import os
import signal
import time
from typing import ClassVar

import psycopg

from tests.crash.faults import AWAY_S, STILL_S, Fault
from tests.crash.field import Field
from tests.support.frozen_postgres import frozen
from tests.support.launcher import launcher
from tests.support.time_counts import check_counts

#: Entries that the ledger may lack while clients go on.
LAG_MAX = 50


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
    topology = None
    is_short = True
    promise = "grants and reads go on; nothing is lost, nothing counts twice"
    part = "postgres"


class KillServer(KillRedis):
    name = "the server killed"
    topology = None
    is_short = True
    part = "serve"


class KillPersister(KillRedis):
    name = "the persister killed"
    topology = None
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
    topology = None
    is_short = True

    def inject(self, field: Field) -> None:
        for _ in range(3):
            os.kill(field.stack.postgres.pid, signal.SIGQUIT)
            field.stack.postgres.wait(10)
            field.stack.start("postgres")
            field.wait(AWAY_S)


class Backlog(Fault):
    name = "no persister while very many grants come"
    topology = None
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


class StopServer(StopRedis):
    name = "the server stands still"
    topology = None
    is_short = False

    def pid(self, field: Field) -> int:
        return field.stack.pid("serve")


class StopPersister(StopRedis):
    name = "the persister stands still"
    topology = None
    is_short = False

    def pid(self, field: Field) -> int:
        return field.stack.pid("persist")


class StopPostgres(Fault):
    name = "Postgres stands still"
    topology = None

    def inject(self, field: Field) -> None:
        with frozen(field.stack.postgres):
            field.wait(STILL_S)


class TwoPersisters(Fault):
    name = "two persisters fight: one stands still, the other takes its partitions, both go on, one is killed"
    topology = None

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
