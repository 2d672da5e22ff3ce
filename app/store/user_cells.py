"""What the ledger says of users, read some at a time: one computation for `verify` and `rebuild`."""

from collections.abc import AsyncIterable, AsyncIterator, Mapping, Sequence
from heapq import merge
from typing import Any

import asyncpg
import msgspec

from ..drivers.postgres import queries
from ..model.lost_cells import add_lost_cells, lost_events
from ..model.namespace import Namespace
from ..model.tie_break_replay import TieBreakReplay
from ..model.user_cells import CellBuilder, Cells, GrantGroup, UserCells

#: Rows that a replay takes from Postgres at a time, so that it never holds all of a namespace.
_EVENTS_A_FETCH = 5_000


async def read_user_cells(
    connection: asyncpg.Connection,
    namespace: Namespace,
    builder: CellBuilder,
    numbers: Sequence[int],
    seqs: Sequence[int],
    window: str | None = None,
) -> dict[int, UserCells]:
    """Some users by number, each as of a seq; those without an entry are left out. window: a closed one, whose board
    alone is asked for. O(their entries × log n + boards)."""
    rules = namespace.rules
    orders = namespace.by_moment, rules.tie_break == "earliest"
    query = queries()["get_grant_groups"]
    users: dict[int, UserCells] = {}
    for row in await connection.fetch(query, namespace.id, numbers, seqs, namespace.aggregation.name, *orders):
        number, changed_seq, corrected_seq, changed_at, has_zero, is_corrected, *rest = row
        user = users.get(number)
        if user is None:
            user = users[number] = UserCells(changed_seq, corrected_seq, changed_at, has_zero, is_corrected)
        if rest[0] is not None:
            group = GrantGroup(*rest)
            user.groups.append(group)
            user.seq = max(user.seq, group.seq)
    for user in users.values():
        builder.build(user)
    places = dict(zip(numbers, seqs, strict=True))
    lost: dict[int, list[Cells]] = {}
    for number, some in await read_lost_cells(connection, namespace, numbers, seqs):
        if number not in users:
            # All that the ledger had of the user up to then is lost.
            users[number] = UserCells(None, None, None, has_zero=False, is_corrected=False)
        lost.setdefault(number, []).append(some)
        add_lost_cells(namespace, builder, users[number], some)
    again = [number for number, user in users.items() if builder.needs_replay(user, has_lost_cells=number in lost)]
    if again:
        await _add_tie_seqs(connection, namespace, users, {number: places[number] for number in again}, window, lost)
    return users


async def read_lost_cells(
    connection: asyncpg.Connection, namespace: Namespace, numbers: Sequence[int], seqs: Sequence[int]
) -> list[tuple[int, Cells]]:
    """What the ledger lacks of some users by number, each as of a seq, in the order in which it was recorded. O(them ×
    log n)."""
    rows = await connection.fetch(queries()["get_lost_cells"], namespace.id, numbers, seqs)
    return [(row["number"], msgspec.json.decode(row["cells"])) for row in rows]


async def _add_tie_seqs(
    connection: asyncpg.Connection,
    namespace: Namespace,
    users: dict[int, UserCells],
    seqs: dict[int, int],
    window: str | None,
    lost: Mapping[int, Sequence[Cells]],
) -> None:
    """The seqs by which users stand among equals, by a replay of all that moved them. lost: what the ledger lacks of
    them."""
    replay = TieBreakReplay(namespace.aggregation, namespace.rules.category_boards)
    args = namespace.id, list(seqs), list(seqs.values()), window, True
    async with connection.transaction():
        rows = connection.cursor(queries()["get_score_events"], *args, prefetch=_EVENTS_A_FETCH)
        async for row in with_lost_events(rows, {number: lost[number] for number in seqs if number in lost}):
            replay.add(row)
    for (number, board), (_, since) in replay.since.items():
        cells = users[number].cells
        if f"b:{board}" in cells:
            cells[f"o:{board}"] = since


async def with_lost_events(rows: AsyncIterable[Any], lost: Mapping[int, Sequence[Cells]]) -> AsyncIterator[Any]:
    """The rows of `get_score_events`, and among them those of users' lost cells. O(them × log n)."""
    waiting = {
        number: list(
            merge(*(lost_events(number, one, f"\tlost {i}") for i, one in enumerate(some)), key=lambda row: row["seq"])
        )
        for number, some in lost.items()
    }
    number: int | None = None
    async for row in rows:
        if row["number"] != number:
            for event in waiting.pop(number, ()) if number is not None else ():
                yield event
            number = row["number"]
        events = waiting.get(row["number"], [])
        while events and events[0]["seq"] < row["seq"]:
            yield events.pop(0)
        yield row
    for events in list(waiting.values()):
        for event in events:
            yield event
