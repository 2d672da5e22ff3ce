"""The users of a namespace as the ledger has them, some at a time, read ahead of who writes them."""

import asyncio
from bisect import bisect_right
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import NamedTuple

import asyncpg

from ..drivers.postgres import queries
from ..model.micros import from_micros
from ..model.namespace import Namespace
from ..model.user_cells import CellBuilder, UserCells
from ..model.visibility import is_erased
from ..store.rebuilt_users import SCORES_A_CALL_MAX, USERS_A_CALL_MAX, RebuiltUser
from ..store.user_cells import read_user_cells
from ..task_end import end_all

#: Portions that are read ahead: while Redis takes one, Postgres works on the next.
PORTIONS_AHEAD_MAX = 6
#: Users whose entries one question to the ledger asks for: four calls, so that planning it costs little.
USERS_A_QUESTION_MAX = 2_000


class UserPortion(NamedTuple):
    """Users of one call. last: the number up to which all users are in this portion or before; size: how many they are,
    those without anything to write among them."""

    users: list[RebuiltUser]
    last: int
    size: int


class UserWalk:
    """Walks the users of a namespace by number. seq: up to which entries count; window: a closed one, whose boards
    alone are made; closed: windows whose boards are left out; now: the moment of the last entry (microseconds);
    numbers: of the users to walk, in order, who may stand in Redis already; None: all, and none of them stands there.
    """

    def __init__(
        self,
        connection: asyncpg.Connection,
        namespace: Namespace,
        *,
        seq: int,
        now: int,
        closed: frozenset[str],
        window: str | None = None,
        numbers: Sequence[int] | None = None,
    ) -> None:
        self._numbers = numbers
        self._connection = connection
        self._namespace = namespace
        self._seq = seq
        self._now = now
        self._window = window
        self._builder = CellBuilder(namespace, closed, window)

    async def portions(self, after: int) -> AsyncIterator[UserPortion]:
        """The users behind a number. O(their entries × log n)."""
        queue = asyncio.Queue[UserPortion | None](PORTIONS_AHEAD_MAX)

        async def read_ahead() -> None:
            async for portion in self._read(after):
                await queue.put(portion)
            await queue.put(None)

        reader = asyncio.create_task(read_ahead())
        try:
            while True:
                getter = asyncio.create_task(queue.get())
                await asyncio.wait([getter, reader], return_when=asyncio.FIRST_COMPLETED)
                if not getter.done() and reader.done() and queue.empty():
                    getter.cancel()
                    reader.result()
                portion = await getter
                if portion is None:
                    return
                yield portion
        finally:
            await end_all([reader])

    async def _read(self, after: int) -> AsyncIterator[UserPortion]:
        while rows := await self._next_users(after):
            names = {row["number"]: row["name"] for row in rows if not is_erased(row["name"])}
            users = await self._users(names)
            for portion in _cut(users, rows[-1]["number"], len(rows)):
                yield portion
            after = rows[-1]["number"]

    async def _next_users(self, after: int) -> list[asyncpg.Record]:
        """Number and name of the next users behind a number."""
        if self._numbers is None:
            return await self._fetch("get_numbered_users", after, USERS_A_QUESTION_MAX)
        first = bisect_right(self._numbers, after)
        some = self._numbers[first : first + USERS_A_QUESTION_MAX]
        return list(await self._connection.fetch(queries()["get_names_of_users"], some)) if some else []

    async def _users(self, names: dict[int, str]) -> list[tuple[int, RebuiltUser]]:
        """Those of some users who were ever granted something, or corrected, by number."""
        numbers = list(names)
        states = await read_user_cells(
            self._connection, self._namespace, self._builder, numbers, [self._seq] * len(numbers), self._window
        )
        states = {number: states[number] for number in numbers if number in states}
        former = await self._former_boards(states)
        if self._window is not None:
            return [
                (number, RebuiltUser(names[number], state, former=former.get(number, ())))
                for number, state in states.items()
                if state.cells or number in former
            ]
        states = {number: state for number, state in states.items() if state.changed_seq is not None}
        unsure = [number for number, state in states.items() if state.has_zero]
        for row in await self._fetch("get_score_changes", unsure, self._seq) if unsure else ():
            states[row["number"]].score_changed_at = row["score_changed_at"]
        grants = await self._grants(list(states))
        return [
            (number, RebuiltUser(names[number], state, grants.get(number, ()), former.get(number, ())))
            for number, state in states.items()
        ]

    async def _former_boards(self, states: Mapping[int, UserCells]) -> dict[int, tuple[str, ...]]:
        """Boards on which users have no score, and on which an entry of theirs once lay."""
        if self._numbers is None or not states:
            return {}
        boards: dict[int, dict[str, None]] = {}
        for row in await self._fetch("get_kinds_of_users", list(states), self._seq):
            state = states[row["number"]]
            lacking = [
                name for name in self._builder.boards_of(row["windows"], row["category"]) if name not in state.cells
            ]
            boards.setdefault(row["number"], {}).update(dict.fromkeys(lacking))
        return {number: tuple(name[2:] for name in names) for number, names in boards.items() if names}

    async def _grants(self, numbers: Sequence[int]) -> dict[int, list[tuple[int, int]]]:
        """The grants that velocities still count, where the namespace limits these."""
        limits = self._namespace.limits
        if not limits:
            return {}
        since = from_micros(self._now - max(per for per, _, _ in limits))
        grants: dict[int, list[tuple[int, int]]] = {}
        for row in await self._fetch("get_accepted_grants", numbers, since):
            grants.setdefault(row["number"], []).append((row["at"], row["entry_amount"]))
        return grants

    async def _fetch(self, query: str, *args: object) -> list[asyncpg.Record]:
        return list(await self._connection.fetch(queries()[query], self._namespace.id, *args))


def _cut(users: Sequence[tuple[int, RebuiltUser]], last: int, size: int) -> list[UserPortion]:
    """Portions of as many scores, and grants that velocities count, as one call may take; a user is never cut."""
    portions: list[UserPortion] = []
    some: list[RebuiltUser] = []
    scores = done = number_before = 0
    for number, user in users:
        if some and (scores + user.size > SCORES_A_CALL_MAX or len(some) == USERS_A_CALL_MAX):
            portions.append(UserPortion(some, number_before, len(some)))
            done, some, scores = done + len(some), [], 0
        some.append(user)
        scores, number_before = scores + user.size, number
    return [*portions, UserPortion(some, last, size - done)]
