"""Sealing: an entry of the log closes a window when no acceptable grant can reach it any more."""

from .entry import PlannedEntry, marker_entry
from .entry_kinds import SEAL
from .entry_names import digest_of, entry_id
from .namespace import MARGIN_MICROS, Namespace
from .ops import SealOps
from .windows import Window


def is_due(namespace: Namespace, window: Window, now: int) -> bool:
    """Whether the window may be closed at an instant. Never if it has no end, or `accept_past` has no bound."""
    if window.ends is None or namespace.past_micros is None:
        return False
    return _reachable_until(namespace, window.ends) < now


def _reachable_until(namespace: Namespace, ends: int) -> int:
    return ends + (namespace.past_micros or 0) + MARGIN_MICROS


def seal_entry(namespace: Namespace, window: Window) -> PlannedEntry:
    """The entry that closes a window. It belongs to no user. Its grant_id is the window's name, so each window closes
    once. It carries the earliest time of closing, because the script decides by Redis's clock."""
    assert window.ends is not None
    return PlannedEntry(
        kind=SEAL,
        namespace=namespace,
        body=marker_entry(SEAL, namespace.id, window.name, window.ends, windows=(window.name,)),
        id=entry_id(SEAL, namespace.id, window.name, 1),
        content=digest_of(window.name),
        ops=SealOps(earliest_at=_reachable_until(namespace, window.ends)),
    )
