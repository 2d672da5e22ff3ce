"""Sealing windows that no grant can reach any more: one log entry each, submitted by who holds the partition."""

from collections.abc import Iterable

import asyncpg

from ..model.namespace import Namespace
from ..model.seal import is_due, seal_entry
from ..model.windows import Window
from ..store import apply, keys
from ..store.apply import CallRefused
from ..store.boards import base_of
from ..store.directory import namespace_of
from ..store.partitions import read_head
from ..store.redis import Link, Refused
from .faults import SEAL, Faults, Unit
from .sink import Offset, Sink

NAMESPACES_A_PASS = 200


class Sealer:
    """Goes round the namespaces of the partitions held, some at a pass, so that no pass takes long."""

    def __init__(self) -> None:
        self._after = 0

    async def seal(self, sink: Sink, link: Link, offsets: dict[int, Offset], now: int, faults: Faults) -> None:
        """Closes the windows that are due at `now` (microseconds). O(windows of the namespaces looked at). A namespace
        that cannot be looked at is no other's fault."""
        rows = await sink.fetch("sealable_namespaces", list(offsets), self._after, NAMESPACES_A_PASS)
        self._after = rows[-1]["id"] if len(rows) == NAMESPACES_A_PASS else 0
        calls = [("HKEYS", keys.space(row["partition"], row["id"])) for row in rows]
        for row, found in zip(rows, await link.run(calls) if rows else [], strict=True):
            unit = Unit(row["partition"], SEAL, f"of namespace {row['id']}")
            if faults.is_due(unit):
                with faults.guard(unit):
                    await _seal(link, row, found, offsets[row["partition"]], now)


async def _seal(link: Link, row: asyncpg.Record, found: list[bytes] | Exception, offset: Offset, now: int) -> None:
    if isinstance(found, Exception):
        raise Refused(str(found))
    namespace = namespace_of(row)
    due = _due(namespace, (field.decode() for field in found), now)
    if due:
        await _submit(link, namespace, due, offset)


def _due(namespace: Namespace, fields: Iterable[str], now: int) -> list[Window]:
    """The windows with a board that are to be closed now, the earliest first."""
    held, closed = set(), set()
    for field in fields:
        if field.startswith("v:"):
            held.add(base_of(field[2:]))
        elif field.startswith("x:"):
            closed.add(field[2:])
    windows = (namespace.calendar.find(name, now) for name in held - closed)
    due = [window for window in windows if window is not None and is_due(namespace, window, now)]
    return sorted(due, key=lambda window: (window.ends or 0, window.name))[: apply.ENTRIES_MAX]


async def _submit(link: Link, namespace: Namespace, windows: list[Window], offset: Offset) -> None:
    """What is refused (other rules, another head) is due again at a later pass."""
    p = namespace.partition
    try:
        head = await read_head(link, p)
        head.known = (offset.epoch, offset.seq, offset.digest)
        (reply,) = await link.run([apply.pack(p, [seal_entry(namespace, window) for window in windows], head)])
        apply.read(reply)
    except CallRefused:
        return
