"""What the ledger says of users, read some at a time: one computation for `verify` and `rebuild`."""

from collections.abc import Sequence

import asyncpg

from ..drivers.postgres import queries
from ..model.namespace import Namespace
from ..model.tie_break_replay import TieBreakReplay
from ..model.user_cells import CellBuilder, GrantGroup, UserCells

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
    again = [number for number, user in users.items() if builder.needs_replay(user)]
    if again:
        await _add_tie_seqs(connection, namespace, users, {number: places[number] for number in again}, window)
    return users


async def _add_tie_seqs(
    connection: asyncpg.Connection,
    namespace: Namespace,
    users: dict[int, UserCells],
    seqs: dict[int, int],
    window: str | None,
) -> None:
    """The seqs by which users stand among equals, by a replay of all that moved them."""
    replay = TieBreakReplay(namespace.aggregation, namespace.rules.category_boards)
    args = namespace.id, list(seqs), list(seqs.values()), window, True
    async with connection.transaction():
        async for row in connection.cursor(queries()["get_score_events"], *args, prefetch=_EVENTS_A_FETCH):
            replay.add(row)
    for (number, board), (_, since) in replay.since.items():
        cells = users[number].cells
        if f"b:{board}" in cells:
            cells[f"o:{board}"] = since
