"""A Redis that is full, or lost what it had."""

from __future__ import annotations

import shutil

from tests.crash.faults import STILL_S, WHAT_REMAINS, Fault
from tests.crash.field import Field

#: `maxmemory`, by what is used: little is left, and grants go on.
SHORT = 1.08
#: Bytes that are cut off the append-only file: some entries.
CUT_BYTES = 20_000


class FullRedis(Fault):
    name = "Redis at `maxmemory`"
    promise = "grants are refused by name, the ledger gets all of the log; nothing is lost"

    def inject(self, field: Field) -> None:
        with field.direct() as store:
            store.config_set("maxmemory", int(store.info("memory")["used_memory"]) - 100_000)
        field.wait(STILL_S)

    def heal(self, field: Field) -> None:
        with field.direct() as store:
            store.config_set("maxmemory", 0)


class ShortMemory(Fault):
    name = "the persister killed three times while Redis is short of memory and trims all that the ledger has"
    is_short = True

    def inject(self, field: Field) -> None:
        with field.direct() as store:
            store.config_set("maxmemory", int(store.info("memory")["used_memory"] * SHORT))
        for _ in range(3):
            field.more(20)
            field.stack.kill("persist")
            field.stack.start("persist")

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
    is_short = False

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
