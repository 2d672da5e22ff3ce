"""Sealing: an entry of the log closes a window once no grant that is accepted can reach it."""

from .entry import PlannedEntry, marker_entry
from .entry_kinds import SEAL
from .entry_names import digest_of, entry_id
from .namespace import MARGIN_MICROS, Namespace
from .ops import SealOps
from .windows import Window


def is_due(namespace: Namespace, window: Window, now: int) -> bool:
    """Whether the window may be closed at an instant: never where it has no end or `accept_past` no bound."""
    if window.ends is None or namespace.past_micros is None:
        return False
    return _reachable_until(namespace, window.ends) < now


def _reachable_until(namespace: Namespace, ends: int) -> int:
    return ends + (namespace.past_micros or 0) + MARGIN_MICROS


def seal_entry(namespace: Namespace, window: Window) -> PlannedEntry:
    """The entry that closes a window. It belongs to no user, and its grant_id is the window's name, so each window
    closes once. It says from when on that may be: the script goes by Redis's clock alone."""
    assert window.ends is not None
    return PlannedEntry(
        kind=SEAL,
        namespace=namespace,
        body=marker_entry(SEAL, namespace.id, window.name, window.ends, windows=(window.name,)),
        id=entry_id(SEAL, namespace.id, window.name, 1),
        content=digest_of(window.name),
        ops=SealOps(earliest_at=_reachable_until(namespace, window.ends)),
    )
