"""Chooses the boards to read next if more are due than one round takes: clients take turns.

A client with a thousand views waits for its own ones; a client with two is served in the next round.
"""

from collections import deque

from ..http.connections import Owner
from .watched_board import BoardRead

#: Owners of a view that take turns; a view with more owners counts for nobody and is read first.
_OWNERS_MAX = 8


def fair_round(readings: list[BoardRead], most: int) -> list[BoardRead]:
    """At most `most` of the due readings: in turn one of each client, and of a client first the one that was read
    longest ago. O(readings · log readings)."""
    if len(readings) <= most:
        return readings
    queues: dict[Owner | None, deque[BoardRead]] = {}
    load: dict[Owner, int] = {}
    for reading in sorted(readings, key=_lap):
        owner = _lightest(reading, load)
        queues.setdefault(owner, deque()).append(reading)
        if owner is not None:
            load[owner] = load.get(owner, 0) + 1
    chosen: list[BoardRead] = list(queues.pop(None, ()))[:most]
    while len(chosen) < most:
        for owner in list(queues)[: most - len(chosen)]:
            chosen.append(queues[owner].popleft())
            if not queues[owner]:
                del queues[owner]
    return chosen


def _lap(reading: BoardRead) -> int:
    return min(watched.lap for watched, _ in reading.served)


def _lightest(reading: BoardRead, load: dict[Owner, int]) -> Owner | None:
    """The owner of a reading who has the fewest readings in the round so far; None if it has many owners."""
    owners: set[Owner] = set()
    for watched, _ in reading.served:
        if len(watched.owners) > _OWNERS_MAX:
            return None
        owners.update(watched.owners)
    return min(owners, key=lambda owner: load.get(owner, 0)) if 0 < len(owners) <= _OWNERS_MAX else None
