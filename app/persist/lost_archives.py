"""What an archive has to know of a Postgres that lost something: archives of windows that have left Redis are written
by the ledger alone, and lost cells count beside its grants."""

from collections.abc import Sequence

from ..model.namespace import Namespace
from ..model.user_cells import CellBuilder
from ..store.user_cells import read_user_cells
from .ledger_session import LedgerSession

#: Users whose entries one question to the ledger asks for.
_USERS_A_QUESTION = 1_000
ScoresOfUsers = dict[int, dict[str, tuple[int, int]]]  # user number → board → score and tie place


async def scores_with_lost_cells(
    session: LedgerSession, namespace: Namespace, window: str, seq: int, users: Sequence[int] | None
) -> ScoresOfUsers:
    """The scores on the boards of a window, as of a seq, of those users of whom the ledger lost something: of some
    users, or of all. O(log n), and what `read_user_cells` takes for them."""
    rows = await session.fetch("get_users_with_lost_cells", namespace.id, users)
    return await _scores(session, namespace, window, seq, [row["user_number"] for row in rows])


async def put_lost_cells(session: LedgerSession, namespace: Namespace, window: str, seq: int) -> None:
    """Has the rows of `new_scores` count what the ledger lost, too."""
    await _put(session, namespace, await scores_with_lost_cells(session, namespace, window, seq, None))


async def put_tie_places(session: LedgerSession, namespace: Namespace, window: str, seq: int) -> None:
    """Gives `new_scores` the seqs by which users stand among equals, by a replay of what moved them there. O(the users'
    entries × log n)."""
    numbers = [row["user_number"] for row in await session.fetch("get_new_users")]
    await _put(session, namespace, await _scores(session, namespace, window, seq, numbers))


async def _scores(
    session: LedgerSession, namespace: Namespace, window: str, seq: int, numbers: Sequence[int]
) -> ScoresOfUsers:
    builder, scores = CellBuilder(namespace, only=window), ScoresOfUsers()
    for first in range(0, len(numbers), _USERS_A_QUESTION):
        some = numbers[first : first + _USERS_A_QUESTION]
        users = await read_user_cells(session.connection, namespace, builder, some, [seq] * len(some), window)
        for number in some:
            cells = users[number].cells if number in users else {}
            boards = [cell[2:] for cell in cells if cell[:2] == "b:"]
            scores[number] = {board: (cells[f"b:{board}"], cells.get(f"o:{board}", 0)) for board in boards}
    return scores


async def _put(session: LedgerSession, namespace: Namespace, scores: ScoresOfUsers) -> None:
    rows = [
        (board, number, namespace.sign * score, place)
        for number, boards in scores.items()
        for board, (score, place) in boards.items()
    ]
    if scores:
        columns = map(list, zip(*rows, strict=True)) if rows else ([], [], [], [])
        await session.execute("replace_new_scores", list(scores), *columns)
