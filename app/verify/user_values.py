"""Compares users of a namespace with the ledger, number by number, each as of the seq at which Redis was read."""

from collections.abc import Iterator, Mapping, Sequence

import asyncpg

from ..model.labels import is_day
from ..model.namespace import Namespace
from ..model.text import count_text
from ..model.tie_break import describe_tie_place
from ..model.user_cells import CellBuilder, Cells
from ..store.user_cells import read_user_cells
from .board_snapshot import BoardSnapshot
from .connections import StoreConnections
from .redis_values import BoardNames, UserValues, read_values
from .report import AGAIN, Report, decimal_text, repair_cure
from .visibility import Presence, presence_between, read_visibilities

_KINDS = {"b": "board", "o": "order on board", "c": "category", "s": "source", "d": "day"}
_KINDS |= {"gb": "time on board", "gc": "time of category", "gs": "time of source"}


class UserComparison:
    """Compares the users of one namespace. incomplete: boards on which a user is missing; spoilt: boards that cannot be
    read."""

    def __init__(
        self, namespace: Namespace, snapshot: BoardSnapshot | None, report: Report, spoilt: frozenset[str]
    ) -> None:
        self._namespace = namespace
        self._spoilt = spoilt
        self._snapshot = snapshot
        self._report = report
        self.incomplete: set[str] = set()

    async def compare(self, stores: StoreConnections, users: Mapping[int, str]) -> None:
        """Compares some users, by number. O(their entries × log n + users × boards)."""
        p, numbers = self._namespace.partition, list(users)
        before = await read_visibilities(stores, self._namespace, numbers)
        values = await read_values(stores.link, self._namespace, list(users.values()), self._spoilt)
        after = await read_visibilities(stores, self._namespace, numbers)
        if values is None:
            what = f"boards came and went all the time: {count_text(len(users), 'user')} not verified"
            self._report.note(self._namespace.name, what, cure=AGAIN)
            return
        board_names, actual = values
        await stores.wait_for_ledger(p, max(user.seq for user in actual))
        duplicates = await stores.fetch("get_dead_letters_of_namespace", p, self._namespace.id)
        expected, last = await self._expected_cells(stores, numbers, [user.seq for user in actual], board_names)
        for number, user in zip(numbers, actual, strict=True):
            presence = presence_between(before.get(number), after.get(number))
            if presence is Presence.GONE or any(_is_open(row, number, user.seq) for row in duplicates):
                continue
            self._report.numbers += len(expected[number])
            if user.unread is not None:
                self._note(f"{users[number]!r}, {user.unread}{users[number]}: it is not of the type hash")
                continue
            for what in self._differences(presence, user, expected[number]):
                self._note(f"{users[number]!r}, {what}")
        if self._snapshot is not None:
            await self._count(stores, self._snapshot, expected, last, board_names)

    async def _count(
        self,
        stores: StoreConnections,
        snapshot: BoardSnapshot,
        expected: dict[int, Cells],
        last: dict[int, int],
        board_names: BoardNames,
    ) -> None:
        """Adds these users' scores to the snapshot of the boards, which is of an earlier instant."""
        moved = [number for number in expected if last.get(number, 0) > snapshot.seq]
        if moved:
            then, _ = await self._expected_cells(stores, moved, [snapshot.seq] * len(moved), board_names)
            expected = expected | then
        for number, cells in expected.items():
            snapshot.add(number, cells)

    async def _expected_cells(
        self, stores: StoreConnections, numbers: Sequence[int], seqs: Sequence[int], board_names: BoardNames
    ) -> tuple[dict[int, Cells], dict[int, int]]:
        """The cells of users by the ledger, each as of a seq, and the seq of each user's last entry up to it."""
        builder = CellBuilder(self._namespace, board_names.closed)
        users = await read_user_cells(stores.connection, self._namespace, builder, numbers, seqs)
        cells: dict[int, Cells] = {number: {} for number in numbers}
        for number, user in users.items():
            cells[number] = self._comparable(user.cells) if self._spoilt else user.cells
        return cells, {number: user.seq for number, user in users.items()}

    def _comparable(self, cells: Cells) -> Cells:
        """The cells whose boards can be read."""
        spoilt = {f"{kind}:{board}" for kind in ("b", "gb", "o") for board in self._spoilt}
        return {cell: value for cell, value in cells.items() if cell not in spoilt}

    def _differences(self, presence: Presence, user: UserValues, expected: Cells) -> Iterator[str]:
        """A sentence for each difference of a user."""
        is_plain = not (user.aside or user.lacking or user.strange)
        if presence is Presence.SHOWN and user.cells == expected and is_plain:
            return
        yield from self._misplaced(presence, user)
        for cell, text in user.strange.items():
            yield f"{_name(cell)}: {text!r} in Redis, {self._value(cell, expected)} by the ledger"
        actual = {f"b:{board}": score for board, score in user.aside.items()} | user.cells
        compared = (actual.keys() | expected.keys()) - user.strange.keys()
        for cell in sorted(cell for cell in compared if actual.get(cell) != expected.get(cell)):
            if cell not in actual and cell[:2] in ("b:", "o:"):
                self.incomplete.add(cell[2:])
            yield f"{_name(cell)}: {self._value(cell, actual)} in Redis, {self._value(cell, expected)} by the ledger"
        for board in user.lacking:
            score = self._value(f"b:{board}", user.cells)
            yield f"board {board}: {score} is not among the scores that dense ranks are counted by"

    def _misplaced(self, presence: Presence, user: UserValues) -> Iterator[str]:
        shown = {cell[2:] for cell in user.cells if cell[:2] == "b:"}
        wrong = {Presence.SHOWN: user.aside.keys(), Presence.OFF: shown, Presence.MOVING: shown & user.aside.keys()}[
            presence
        ]
        for board in sorted(wrong):
            if presence is Presence.OFF:
                yield f"board {board}: {self._value(f'b:{board}', user.cells)} in Redis, though hidden"
            else:
                score = decimal_text(user.aside[board], self._namespace.rules.scale)
                yield f"board {board}: {score} is kept as of one who is hidden, though shown"

    def _value(self, cell: str, cells: Cells) -> str:
        if cell[:2] == "o:" and cell in cells and self._namespace.by_moment:
            return describe_tie_place(cells[cell])
        is_plain = cell in ("count", "last") or cell[:2] in ("o:", "gb", "gc", "gs") or is_day(cell)
        none = 0 if cell in ("count", "total") or is_day(cell) else None
        return decimal_text(cells.get(cell, none), 0 if is_plain else self._namespace.rules.scale)

    def _note(self, what: str) -> None:
        self._report.note(self._namespace.name, what, cure=repair_cure(self._namespace.name))


def _name(cell: str) -> str:
    kind, _, name = cell.partition(":")
    return f"{_KINDS[kind]} {name}" if kind in _KINDS else kind


def _is_open(duplicate: asyncpg.Record, number: int, seq: int) -> bool:
    """Whether a user had a duplicate or a dead letter at a seq that the boards counted and nothing had settled."""
    healed = duplicate["healed_seq"]
    return duplicate["number"] == number and duplicate["seq"] <= seq and (healed is None or healed > seq)
