"""Sealing: a window is closed by an entry of the log once no grant that is accepted can reach it."""

from hashlib import blake2b

from .entry import SEAL, PlannedEntry, entry_id, marker_entry
from .namespace import MARGIN_MICROS, Namespace
from .windows import Window


def is_due(namespace: Namespace, window: Window, now: int) -> bool:
    """Whether the window may be closed at an instant: never where it has no end or `accept_past` no bound."""
    if window.ends is None or namespace.past_micros is None:
        return False
    return _reachable_until(namespace, window.ends) < now


def _reachable_until(namespace: Namespace, ends: int) -> int:
    return ends + (namespace.past_micros or 0) + MARGIN_MICROS


def seal_entry(namespace: Namespace, window: Window) -> PlannedEntry:
    """The entry that closes a window: of no user, its grant_id the window's name, so that each is closed once. It says
    from when on that may be, for the script takes it by Redis's clock alone."""
    assert window.ends is not None
    body = marker_entry(SEAL, namespace.id, window.name, window.ends, windows=(window.name,))
    return PlannedEntry(
        namespace=namespace,
        body=body,
        id=entry_id(SEAL, namespace.id, window.name, 1),
        content=blake2b(window.name.encode(), digest_size=16).digest(),
        ops=f"s{_reachable_until(namespace, window.ends)}",
    )
