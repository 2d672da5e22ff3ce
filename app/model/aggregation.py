"""How a user's grants make a score: a class for each way, in one table. All other modules ask the class.

`lua/include/aggregation.lua` and `app/store/sql/aggregations.sql` say the same in their languages.
"""

from typing import ClassVar, Literal, Protocol

from .ops import AddToCell, CellOp, SetCell

#: The rule's values.
AggregationRule = Literal["sum", "best", "latest"]
Order = Literal["desc", "asc"]


class _Grant(Protocol):
    """A grant where it counts."""

    @property
    def amount(self) -> int: ...

    @property
    def granted_at(self) -> int: ...

    @property
    def seq(self) -> int: ...


class _OtherGrants(Protocol):
    """What a user's other live grants make of a number."""

    @property
    def highest(self) -> int: ...

    @property
    def lowest(self) -> int: ...

    @property
    def latest(self) -> int: ...

    @property
    def latest_at(self) -> int: ...

    @property
    def latest_seq(self) -> int: ...


class Aggregation:
    """One way to make a score.

    name: as SQL has it. adds: the score is a sum, which a correction changes in place. keeps_times: beside each score
    is the granted_at of the grant that it comes from. is_by_amount: the best amount counts, so live grants are sorted
    by amount; else by moment. shows: the grants that explain a score: all, those that equal it, or the last one.
    """

    name: ClassVar[str]
    adds: ClassVar[bool] = False
    keeps_times: ClassVar[bool] = False
    is_by_amount: ClassVar[bool] = False
    shows: ClassVar[Literal["all", "equal", "last"]]

    def op(self, i: int, before: _Grant | None, after: _Grant | None, others: _OtherGrants | None) -> CellOp:
        """The op of cell `i` when a grant changes. Without other grants there is one afterwards."""
        raise NotImplementedError

    def merged(self, score: int, later_score: int) -> int:
        """The score that two groups of grants make together. later_score: of the group with the latest grant."""
        raise NotImplementedError

    def line_key(self, amount: int, tie_place: int) -> tuple[int, int] | None:
        """Of a user's grants on a board the greatest key belongs to the grant that gives the score its tie place.
        None: the grant never does."""
        raise NotImplementedError

    def line_key_of_cell(self, others: _OtherGrants, tie_place: int) -> tuple[int, int] | None:
        """The key of the grant among others that gives their score its tie place."""
        return self.line_key(tie_place, tie_place)

    def replay_key(self, *, amount: int, granted_at: int, seq: int) -> tuple[int, ...]:
        """Of a user's grants on a board the one with the lowest key counts. granted_at: microseconds. Not asked of a
        sum."""
        raise NotImplementedError


class _Sum(Aggregation):
    name = "sum"
    adds = True
    shows = "all"

    def op(self, i: int, before: _Grant | None, after: _Grant | None, others: _OtherGrants | None) -> CellOp:
        return AddToCell(i, (after.amount if after else 0) - (before.amount if before else 0))

    def merged(self, score: int, later_score: int) -> int:
        return score + later_score

    def line_key(self, amount: int, tie_place: int) -> tuple[int, int] | None:
        """The latest grant that is not 0."""
        return (0, tie_place) if amount else None


class _Highest(Aggregation):
    name = "highest"
    is_by_amount = True
    shows = "equal"

    def op(self, i: int, before: _Grant | None, after: _Grant | None, others: _OtherGrants | None) -> CellOp:
        return SetCell(i, max(_amounts(after, None if others is None else others.highest)))

    def merged(self, score: int, later_score: int) -> int:
        return max(score, later_score)

    def line_key(self, amount: int, tie_place: int) -> tuple[int, int] | None:
        """The earliest grant of the best amount."""
        return amount, -tie_place

    def line_key_of_cell(self, others: _OtherGrants, tie_place: int) -> tuple[int, int] | None:
        return self.line_key(others.highest, tie_place)

    def replay_key(self, *, amount: int, granted_at: int, seq: int) -> tuple[int, ...]:
        return (-amount,)


class _Lowest(Aggregation):
    name = "lowest"
    is_by_amount = True
    shows = "equal"

    def op(self, i: int, before: _Grant | None, after: _Grant | None, others: _OtherGrants | None) -> CellOp:
        return SetCell(i, min(_amounts(after, None if others is None else others.lowest)))

    def merged(self, score: int, later_score: int) -> int:
        return min(score, later_score)

    def line_key(self, amount: int, tie_place: int) -> tuple[int, int] | None:
        """The earliest grant of the best amount."""
        return -amount, -tie_place

    def line_key_of_cell(self, others: _OtherGrants, tie_place: int) -> tuple[int, int] | None:
        return self.line_key(others.lowest, tie_place)

    def replay_key(self, *, amount: int, granted_at: int, seq: int) -> tuple[int, ...]:
        return (amount,)


class _Latest(Aggregation):
    name = "latest"
    keeps_times = True
    shows = "last"

    def op(self, i: int, before: _Grant | None, after: _Grant | None, others: _OtherGrants | None) -> CellOp:
        if after is not None and (
            others is None or (after.granted_at, after.seq) > (others.latest_at, others.latest_seq)
        ):
            return SetCell(i, after.amount, after.granted_at)
        assert others is not None
        return SetCell(i, others.latest, others.latest_at)

    def merged(self, score: int, later_score: int) -> int:
        return later_score

    def line_key(self, amount: int, tie_place: int) -> tuple[int, int] | None:
        """The latest grant itself."""
        return 0, tie_place

    def replay_key(self, *, amount: int, granted_at: int, seq: int) -> tuple[int, ...]:
        return -granted_at, -seq


def _amounts(after: _Grant | None, others: int | None) -> list[int]:
    return [amount for amount in (None if after is None else after.amount, others) if amount is not None]


#: By the rules `aggregation` and `order`.
AGGREGATIONS: dict[tuple[AggregationRule, Order], Aggregation] = {
    ("sum", "desc"): _Sum(),
    ("sum", "asc"): _Sum(),
    ("best", "desc"): _Highest(),
    ("best", "asc"): _Lowest(),
    ("latest", "desc"): _Latest(),
    ("latest", "asc"): _Latest(),
}
#: By the name that SQL uses.
AGGREGATIONS_BY_NAME = {aggregation.name: aggregation for aggregation in AGGREGATIONS.values()}
