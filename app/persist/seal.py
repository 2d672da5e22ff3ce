"""Sealing windows that no grant can reach any more: one log entry each, submitted by who holds the partition."""

from collections.abc import Iterable

from ..model.namespace import Namespace
from ..model.seal import is_due, seal_entry
from ..model.windows import Window
from ..store import apply, keys
from ..store.apply import CallRefused
from ..store.boards import base_of
from ..store.directory import namespace_of
from ..store.partitions import read_head
from ..store.redis import Link, Refused
from .sink import Offset, Sink

NAMESPACES_A_PASS = 200


class Sealer:
    """Goes round the namespaces of the partitions held, some at a pass, so that no pass takes long."""

    def __init__(self) -> None:
        self._after = 0

    async def seal(self, sink: Sink, link: Link, offsets: dict[int, Offset], now: int) -> None:
        """Closes the windows that are due at `now` (microseconds). O(windows of the namespaces looked at)."""
        rows = await sink.fetch("sealable_namespaces", list(offsets), self._after, NAMESPACES_A_PASS)
        self._after = rows[-1]["id"] if len(rows) == NAMESPACES_A_PASS else 0
        namespaces = [namespace_of(row) for row in rows]
        if not namespaces:
            return
        fields = await link.run([("HKEYS", keys.space(n.partition, n.id)) for n in namespaces])
        for namespace, found in zip(namespaces, fields, strict=True):
            if isinstance(found, Exception):
                raise Refused(str(found))
            due = _due(namespace, (field.decode() for field in found), now)
            if due:
                await _submit(link, namespace, due, offsets[namespace.partition])


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
