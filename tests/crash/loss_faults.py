"""A Redis that is full, or lost what it had."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.crash.faults import STILL_S, WHAT_REMAINS, Fault
from tests.crash.field import Field

#: `maxmemory`, by what is used: little is left, and grants go on.
SHORT = 1.08
#: Entries, and more, at the end of the append-only file that is cut off.
TAIL_ENTRIES = 40


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
        for _ in range(3):
            with field.direct() as store:
                store.config_set("maxmemory", int(store.info("memory")["used_memory"] * SHORT))
            field.more(20)
            field.wait_recorded()
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
    name = "Redis loses the end of its append-only file, and the server is killed with it"
    is_short = True

    def inject(self, field: Field) -> None:
        size = log_file(field).stat().st_size
        field.more(TAIL_ENTRIES)
        field.wait_recorded()
        with field.losing():
            # Who comes back remembers nothing: only the ledger knows what is lost.
            field.stack.kill("serve")
            cut_log(field, size)
        field.stack.start("serve", ready=False)
        field.wait_refused()


class CutUnrecorded(Flushall):
    name = "Redis loses the end of its append-only file, of which the ledger has nothing yet"
    is_short = True

    def inject(self, field: Field) -> None:
        # Only the server knows what is lost: to the ledger such a Redis is whole.
        field.stack.kill("persist")
        size = log_file(field).stat().st_size
        field.more(TAIL_ENTRIES)
        with field.losing():
            cut_log(field, size)
        field.wait_refused()

    def heal(self, field: Field) -> None:
        field.stack.start("persist")
        super().heal(field)


def log_file(field: Field) -> Path:
    """The append-only file of Redis."""
    (file,) = field.stack.valkey.data.rglob("*.incr.aof")
    return file


def cut_log(field: Field, size: int) -> None:
    """Redis dies, and comes back with the beginning of its append-only file."""
    field.stack.kill("redis")
    with log_file(field).open("r+b") as file:
        file.truncate(size)
    field.stack.start("redis")


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
