"""What a board's rows include on demand: `include=streak,updated_at`."""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from ..model.errors import Invalid
from ..model.namespace import Namespace
from ..store.boards import Activity, activity_call, read_activity
from ..store.profile_cache import ProfileCache
from ..store.read_batcher import ReadBatcher
from .board_bodies import BoardEntry, rfc3339, streak_body

INCLUDES = ("streak", "updated_at")
#: Users whose days and times one call reads: Redis answers other clients between two calls.
USERS_A_CALL_MAX = 100
#: Users whose times, or days, cost Redis as much as a usual read: a HGET each, or a few fields.
_TIMES_A_WEIGHT, _DAYS_A_WEIGHT = 20, 5
#: Rows that are built before other tasks have their turn on the event loop.
_YIELD_EVERY = 100


class FullEntry(BoardEntry, frozen=True, kw_only=True):
    """A row with its includes. streak: null if streaks are off."""

    streak: dict[str, Any] | UnsetType | None = UNSET
    updated_at: datetime | UnsetType | None = UNSET


def parse_include(texts: Sequence[str]) -> frozenset[str]:
    """The includes among the parameters. Invalid."""
    includes = [name for text in texts for name in text.split(",")]
    for name in includes:
        if name not in INCLUDES:
            raise Invalid(f"knows {' and '.join(INCLUDES)}, separated by commas", field="?include")
    return frozenset(includes)


async def with_includes(
    batcher: ReadBatcher,
    names: ProfileCache,
    namespace: Namespace,
    entries: Sequence[BoardEntry],
    includes: frozenset[str],
    now: int,
) -> list[FullEntry]:
    """The rows with their includes. The includes are read after the rows, so a grant in between is in them but not in
    the score.

    One call for a hundred rows, all of them in a round or two. O(rows), with streaks O(the years of those users).
    """
    days = "streak" in includes and namespace.rules.streaks
    users = [entry.user_id for entry in entries]
    groups = [users[first : first + USERS_A_CALL_MAX] for first in range(0, len(users), USERS_A_CALL_MAX)]
    users_a_weight = _DAYS_A_WEIGHT if days else _TIMES_A_WEIGHT
    replies = await asyncio.gather(
        *(batcher.call(activity_call(namespace, group, days), 1 + len(group) // users_a_weight) for group in groups)
    )
    activities = [activity for reply in replies for activity in read_activity(reply)]
    zones = await names.zones_of(users) if days else {}

    def full(entry: BoardEntry, activity: Activity) -> FullEntry:
        more: dict[str, Any] = {}
        if "streak" in includes:
            more["streak"] = streak_body(namespace, activity.days, now, zones.get(entry.user_id))
        if "updated_at" in includes:
            more["updated_at"] = rfc3339(activity.changed_at)
        return FullEntry(**msgspec.structs.asdict(entry), **more)

    rows = []
    for entry, activity in zip(entries, activities, strict=True):
        rows.append(full(entry, activity))
        if len(rows) % _YIELD_EVERY == 0:
            await asyncio.sleep(0)
    return rows
