"""What a user's other grants add up to in each cell, for plans with boards that are sealed and still in Redis.

Such a board counts the entries before its seal, and none after it (backfills, corrections), which the archive takes in
later. So its plan uses the ledger as it was at the seal.
"""

from collections.abc import Sequence
from typing import NamedTuple

from ..model.cell_ops import Cell
from ..model.namespace import Namespace
from ..store.boards import base_of
from ..store.other_grants import other_grants_cells, sealed_cells
from .ledger_session import LedgerSession


class OtherGrants(NamedTuple):
    """cells: by board and by label. sealed: the sealed boards that never counted the entry that is taken back."""

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
    """What a user's live grants add up to on each board and label, except the grants `grant_ids` and the duplicates and
    dead letters at the seqs `without`.

    seq: of the entry that is taken back. One query to the ledger, and two more for each sealed window. O(the user's
    grants) for each of these.
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
    cells: dict[str, Cell] = {}
    for seal, names in by_seal.items():
        if seal is None:
            cells |= await other_grants_cells(session.fetch, namespace, user, grant_ids, names, without)
        else:
            cells |= await sealed_cells(session.fetch, namespace, user, names, without, grant_ids=grant_ids, seal=seal)
    return OtherGrants(cells, frozenset(sealed_before))
