"""What a user's other grants make of each number, where some of the boards are sealed and still stand in Redis.

Such a board counts what came before its seal and nothing that came behind it (backfills, corrections): the archive
takes these in later. So what is taken off it is planned from the ledger as of the seal.
"""

from collections.abc import Sequence
from typing import NamedTuple

from ..model.cell_ops import Cell
from ..model.namespace import Namespace
from ..store.boards import base_of
from ..store.other_grants import cell_from_row, other_grants_cells
from .ledger_session import LedgerSession


class OtherGrants(NamedTuple):
    """cells: by board and label; kept: sealed boards that never counted what is taken back."""

    cells: dict[str, Cell]
    kept: frozenset[str]


async def other_grants_of(
    session: LedgerSession,
    namespace: Namespace,
    user: str,
    seq: int,
    grant_ids: list[str],
    boards: Sequence[str],
    labels: Sequence[str],
    gone: list[int],
) -> OtherGrants:
    """Of a user's live grants but for some, and for the duplicates and dead letters at the seqs `gone`.

    seq: that of the entry that is taken back. One question to the ledger, and one more for each sealed window.
    O(the user's grants) for each of these.
    """
    windows = list({base_of(board) for board in boards})
    seals = {row["window"]: row["seq"] for row in await session.fetch("get_unarchived_seals", namespace.id, windows)}
    asked: dict[int | None, list[str]] = {None: list(labels)}
    kept = []
    for board in boards:
        sealed = seals.get(base_of(board))
        if sealed is not None and sealed < seq:
            kept.append(board)
        else:
            asked.setdefault(sealed, []).append(board)
    how = namespace.counted if namespace.by_moment else None
    cells: dict[str, Cell] = {}
    for sealed, names in asked.items():
        if sealed is None:
            cells |= await other_grants_cells(session.fetch, namespace, user, grant_ids, names, gone)
        else:
            rows = await session.fetch(
                "get_cells_of_other_grants", namespace.id, user, grant_ids, names, gone, how, sealed
            )
            cells |= {row["cell"]: cell_from_row(row) for row in rows}
    return OtherGrants(cells, frozenset(kept))
