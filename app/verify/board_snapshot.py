"""The boards of a namespace at one instant: their numbers of users and sums of scores, compared with the ledger's."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from time import monotonic

from ..model.namespace import Namespace
from ..model.stats import ScoreSums
from ..store.sum_tree import integer_of
from .connections import StoreConnections
from .redis_values import BoardState, NamespaceState, read_board_names, read_namespace_state
from .report import decimal_text
from .visibility import Presence, Visibilities, read_visibilities

#: Seconds in which boards are read at one instant: nobody is being erased, nor hidden or shown during the read.
#: An erasure takes seconds where the machine is busy, and others may follow. After them the boards cannot be compared.
INSTANT_S_MAX = 60.0
#: Seconds between two tries.
_PAUSE_S = 0.1
#: Users who are being hidden or shown: the state of all of them is read at that instant.
_MOVING_MAX = 1_000
_QUOTA = "as its quota counts them"


@dataclass(slots=True)
class _LedgerTotals:
    """A board's totals by the ledger. users: those shown; scored: all with a score there."""

    users: int = 0
    scored: int = 0
    scores: int = 0
    squares: int = 0


class BoardSnapshot:
    """A namespace's boards at `seq`, and the totals there of the users added so far."""

    def __init__(
        self, namespace: Namespace, space: NamespaceState, visibilities: Visibilities, spoilt: frozenset[str]
    ) -> None:
        self._namespace = namespace
        self._spoilt = spoilt
        self._space = space
        self._off = {number for number, one in visibilities.items() if one.presence in (Presence.OFF, Presence.GONE)}
        self._gone = {number for number, one in visibilities.items() if one.presence is Presence.GONE}
        self._totals = {board: _LedgerTotals() for board in space.boards}

    @property
    def seq(self) -> int:
        """The last entry that was applied before the snapshot."""
        return self._space.seq

    def add(self, number: int, cells: dict[str, int]) -> None:
        """Adds a user's scores by the ledger, as of `seq`. O(boards)."""
        if number in self._gone:
            return
        is_off, aside = number in self._off, self._space.aside
        for cell, score in cells.items():
            if cell[:2] != "b:":
                continue
            tally = self._totals.get(cell[2:])
            if tally is None:
                continue
            tally.scored += 1
            if not (is_off or (aside and (number, cell[2:]) in aside)):
                tally.users += 1
                tally.scores += score
                tally.squares += score * score

    async def differences(self, stores: StoreConnections) -> list[tuple[str, str]]:
        """The differences between boards and ledger: board and sentence. Boards that were sealed meanwhile are left
        out."""
        names = await read_board_names(stores.link, self._namespace, self._spoilt)
        return [
            (board, what)
            for board, state in self._space.boards.items()
            if board in names.boards
            for what in self._of_board(state, self._totals[board])
        ]

    async def counts(self, stores: StoreConnections) -> list[str]:
        """A sentence for each count of the namespace's quotas that is wrong. O(users × log)."""
        boards, users = self._space.counted
        findings = []
        if boards is not None and integer_of(boards) != self._space.open:
            findings.append(f"open boards {_QUOTA}: {_raw(boards)} in Redis, of which {self._space.open} are there")
        ((expected,),) = await stores.rows("count_quota_users", self._namespace.id, self._space.seq, sorted(self._gone))
        if users is not None and integer_of(users) != expected:
            findings.append(f"users {_QUOTA}: {_raw(users)} in Redis, {expected} by the ledger")
        return findings

    def _of_board(self, state: BoardState, ledger: _LedgerTotals) -> Iterator[str]:
        """The differences of one board as a whole. Each check is one line."""
        scale = self._namespace.rules.scale
        sums = state.sums or ScoreSums(ledger.scores, ledger.squares)
        for what, in_redis, by_ledger, decimals in (
            ("users", state.users, ledger.users, 0),
            ("orders", ledger.scored if state.orders is None else state.orders, ledger.scored, 0),
            ("times", ledger.scored if state.times is None else state.times, ledger.scored, 0),
            ("sum of scores", sums.scores, ledger.scores, scale),
            ("sum of squares", sums.squares, ledger.squares, 2 * scale),
            ("bounded sums together", ledger.scores if state.tree is None else state.tree, ledger.scores, scale),
        ):
            if in_redis != by_ledger:
                left, right = decimal_text(in_redis, decimals), decimal_text(by_ledger, decimals)
                yield f"{what}: {left} in Redis, {right} by the ledger"


def _raw(value: bytes) -> str:
    number = integer_of(value)
    return repr(value.decode(errors="replace")) if number is None else str(number)


async def read_snapshot(stores: StoreConnections, namespace: Namespace, spoilt: frozenset[str]) -> BoardSnapshot | None:
    """Reads the boards and the users who are off them at one instant. None if users are hidden and shown all the time.

    The state of users who are being hidden or shown is read at the same instant. It waits while users are being erased.
    """
    p, until = namespace.partition, monotonic() + INSTANT_S_MAX
    while True:
        visibilities = await read_visibilities(stores, namespace)
        moving = [(one.number, one.name) for one in visibilities.values() if one.presence is Presence.MOVING]
        is_erasing = any(one.is_erasing for one in visibilities.values())
        if not is_erasing and len(moving) <= _MOVING_MAX:
            space = await read_namespace_state(stores.link, namespace, moving, spoilt)
            if space is not None and visibilities == await read_visibilities(stores, namespace):
                await stores.wait_for_ledger(p, space.seq)
                return BoardSnapshot(namespace, space, visibilities, spoilt)
        if monotonic() > until:
            return None
        await asyncio.sleep(_PAUSE_S)
