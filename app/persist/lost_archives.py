"""Archives that Postgres lost because it is an older one, of windows that have left Redis: by the ledger alone."""

from ..model.namespace import Namespace
from ..model.user_cells import CellBuilder
from ..store.user_cells import read_user_cells
from .ledger_session import LedgerSession

#: Users whose entries one question to the ledger asks for.
_USERS_A_QUESTION = 1_000


async def fill_tie_places(session: LedgerSession, namespace: Namespace, window: str, seq: int) -> None:
    """Gives `new_scores` of a closed window the seqs by which users stand among equals, as of the seal's seq: by a
    replay of what moved them there. O(the users' entries × log n)."""
    numbers = [row["user_number"] for row in await session.fetch("get_new_users")]
    builder = CellBuilder(namespace, only=window)
    for first in range(0, len(numbers), _USERS_A_QUESTION):
        some = numbers[first : first + _USERS_A_QUESTION]
        users = await read_user_cells(session.connection, namespace, builder, some, [seq] * len(some), window)
        places = [
            (cell[2:], number, place)
            for number, user in users.items()
            for cell, place in user.cells.items()
            if cell[:2] == "o:"
        ]
        if places:
            await session.execute("put_tie_places", *map(list, zip(*places, strict=True)))
