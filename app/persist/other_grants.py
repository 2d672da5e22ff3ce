"""What a user's other grants make of each number, where some of the boards are sealed and still stand in Redis.

Such a board counts what came before its seal and nothing that came behind it (backfills, corrections): the archive
takes these in later. So what is taken off it is planned by the ledger as it was at the seal.
"""

from collections.abc import Sequence
from typing import NamedTuple

from ..model.cell_ops import Cell
from ..model.namespace import Namespace
from ..store.boards import base_of
from ..store.other_grants import cell_from_row, other_grants_cells
from .ledger_session import LedgerSession


class OtherGrants(NamedTuple):
    """cells: by board and by label. sealed: the sealed boards that never counted what is taken back."""

    cells: dict[str, Cell]
    sealed: frozenset[str]


async def other_grants_of(
    session: LedgerSession,
    namespace: Namespace,
    user: str,
    seq: int,
    *,
    grant_ids: list[str],
    boards: Sequence[str],
    labels: Sequence[str],
    without: list[int],
) -> OtherGrants:
    """A user's live grants but for those of `grant_ids`, and but for the duplicates and dead letters at the seqs
    `without`, as they make each board and label.

    seq: that of the entry that is taken back. One question to the ledger, and one more for each sealed window.
    O(the user's grants) for each of these.
    """
    windows = list({base_of(board) for board in boards})
    seals = {row["window"]: row["seq"] for row in await session.fetch("get_unarchived_seals", namespace.id, windows)}
    by_seal: dict[int | None, list[str]] = {None: list(labels)}
    sealed_before = []
    for board in boards:
        seal = seals.get(base_of(board))
        if seal is not None and seal < seq:
            sealed_before.append(board)
        else:
            by_seal.setdefault(seal, []).append(board)
    how = namespace.aggregation.name if namespace.by_moment else None
    cells: dict[str, Cell] = {}
    for seal, names in by_seal.items():
        if seal is None:
            cells |= await other_grants_cells(session.fetch, namespace, user, grant_ids, names, without)
        else:
            args = (namespace.id, user, grant_ids, names, without, how, seal)
            rows = await session.fetch("get_cells_of_other_grants", *args)
            cells |= {row["cell"]: cell_from_row(row) for row in rows}
    return OtherGrants(cells, frozenset(sealed_before))
