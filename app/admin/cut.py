"""The boards of a namespace at one instant: how many stand there and what their scores come to, beside the ledger's."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass

from ..model.namespace import Namespace
from ..model.stats import Sums
from ..store.sums import integer_of
from .lane import Lane
from .report import told
from .snapshot import Board, Space, read_kept, read_space
from .veils import Place, Veils, read_veils

#: Tries to read boards at one instant while users are being hidden; after them the boards cannot be compared.
_TRIES_MAX = 100
#: Seconds between two tries.
_PAUSE_S = 0.1
#: Users who are being hidden or shown: all of them are asked for at that instant.
_MOVING_MAX = 1_000
_QUOTA = "as its quota counts them"


@dataclass(slots=True)
class _Tally:
    """What the ledger says of a board. users: those shown; scored: all who have a score there."""

    users: int = 0
    scored: int = 0
    scores: int = 0
    squares: int = 0


class Cut:
    """A namespace's boards at the seq `seq`, and what the users added so far come to there."""

    def __init__(self, namespace: Namespace, space: Space, veils: Veils, spoilt: frozenset[str]) -> None:
        self._namespace = namespace
        self._spoilt = spoilt
        self._space = space
        self._off = {number for number, veil in veils.items() if veil.place in (Place.OFF, Place.GONE)}
        self._gone = {number for number, veil in veils.items() if veil.place is Place.GONE}
        self._tallies = {board: _Tally() for board in space.boards}

    @property
    def seq(self) -> int:
        """The last entry that was applied by then."""
        return self._space.seq

    def add(self, number: int, cells: dict[str, int]) -> None:
        """A user's scores by the ledger, as of the seq. O(boards)."""
        if number in self._gone:
            return
        is_off, aside = number in self._off, self._space.aside
        for cell, score in cells.items():
            if cell[:2] != "b:":
                continue
            tally = self._tallies.get(cell[2:])
            if tally is None:
                continue
            tally.scored += 1
            if not (is_off or (aside and (number, cell[2:]) in aside)):
                tally.users += 1
                tally.scores += score
                tally.squares += score * score

    async def differences(self, lane: Lane) -> list[tuple[str, str]]:
        """Boards that are not what the ledger says, and what of them is not; those sealed meanwhile are left out."""
        kept = await read_kept(lane.link, self._namespace, self._spoilt)
        return [
            (board, what)
            for board, held in self._space.boards.items()
            if board in kept.boards
            for what in self._of_board(held, self._tallies[board])
        ]

    async def counts(self, lane: Lane) -> list[str]:
        """What the namespace's quotas count otherwise than it is. O(users × log)."""
        boards, users = self._space.counted
        found = []
        if boards is not None and integer_of(boards) != self._space.open:
            found.append(f"open boards {_QUOTA}: {_raw(boards)} in Redis, of which {self._space.open} are there")
        ((wanted,),) = await lane.rows("users_counted", self._namespace.id, self._space.seq, sorted(self._gone))
        if users is not None and integer_of(users) != wanted:
            found.append(f"users {_QUOTA}: {_raw(users)} in Redis, {wanted} by the ledger")
        return found

    def _of_board(self, held: Board, wanted: _Tally) -> Iterator[str]:
        """Each check of a board as a whole is one line here."""
        scale = self._namespace.rules.scale
        sums = held.sums or Sums(wanted.scores, wanted.squares)
        for what, in_redis, by_ledger, places in (
            ("users", held.users, wanted.users, 0),
            ("orders", wanted.scored if held.orders is None else held.orders, wanted.scored, 0),
            ("times", wanted.scored if held.times is None else held.times, wanted.scored, 0),
            ("sum of scores", sums.scores, wanted.scores, scale),
            ("sum of squares", sums.squares, wanted.squares, 2 * scale),
            ("bounded sums together", wanted.scores if held.tree is None else held.tree, wanted.scores, scale),
        ):
            if in_redis != by_ledger:
                yield f"{what}: {told(in_redis, places)} in Redis, {told(by_ledger, places)} by the ledger"


def _raw(held: bytes) -> str:
    number = integer_of(held)
    return repr(held.decode(errors="replace")) if number is None else str(number)


async def read_cut(lane: Lane, namespace: Namespace, spoilt: frozenset[str]) -> Cut | None:
    """The boards as they stand, once it is known who is off them; None where that changes all the time.

    Who is being hidden or shown is asked for at that very instant; an erasure is waited for.
    """
    p = namespace.partition
    for _ in range(_TRIES_MAX):
        veils = await read_veils(lane, namespace)
        moving = [(veil.number, veil.name) for veil in veils.values() if veil.place is Place.MOVING]
        is_erasing = any(veil.is_erasing for veil in veils.values())
        if not is_erasing and len(moving) <= _MOVING_MAX:
            space = await read_space(lane.link, namespace, moving, spoilt)
            if space is not None and veils == await read_veils(lane, namespace):
                await lane.flushed(p, space.seq)
                return Cut(namespace, space, veils, spoilt)
        await asyncio.sleep(_PAUSE_S)
    return None
