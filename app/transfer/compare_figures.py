"""What a comparison found: figures, and samples with names."""

from datetime import datetime
from decimal import Decimal

import msgspec

from .compare_legacy import Unreadable


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """The figures, which stay in Postgres. equal, differing: users of both sides; missing_here, missing_there: users of
    one side alone; conflicting: users of whom the other system has different scores; repeated: lines that say again
    what another says; beyond: users whose difference is greater than max_diff; in_both_tops: users in the first `top`
    of both sides; tau: Kendall's tau-b of the users in either top, None where one side is all ties."""

    users_here: int
    users_there: int
    equal: int
    differing: int
    missing_here: int
    missing_there: int
    conflicting: int
    repeated: int
    unreadable: int
    beyond: int
    largest_difference: Decimal
    sum_here: Decimal
    sum_there: Decimal
    rank_differences: int
    largest_rank_difference: int
    top: int
    in_both_tops: int
    tau: float | None

    @property
    def findings(self) -> int:
        """What stands in the way of calling both sides equal."""
        return self.beyond + self.conflicting + self.unreadable


class Difference(msgspec.Struct, frozen=True):
    """A user whose scores differ; the ranks are among the users of both sides."""

    user_id: str
    here: Decimal
    there: Decimal
    rank_here: int
    rank_there: int


class Missing(msgspec.Struct, frozen=True):
    """A user of one side alone."""

    user_id: str
    score: Decimal


class Conflict(msgspec.Struct, frozen=True):
    """A user of whom the other system has different scores, and some of the lines."""

    user_id: str
    lines: list[int]
    lowest: Decimal
    highest: Decimal


class Bucket(msgspec.Struct, frozen=True):
    """Users whose difference has this sign and lies from 10^power up to ten times that."""

    sign: int
    power: int
    users: int


class RankPair(msgspec.Struct, frozen=True):
    """A user's ranks on both sides."""

    user_id: str
    here: int
    there: int


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """One comparison. source: what it was compared with; as_of: up to which granted_at grants counted, None for all;
    partition, epoch, seq: the end of the ledger then; is_equal: nothing was found."""

    namespace: str
    window: str
    category: str | None
    source: str
    as_of: datetime | None
    compared_at: datetime
    partition: int
    epoch: int
    seq: int
    max_diff: Decimal
    is_equal: bool
    figures: Figures
    differences: list[Difference]
    missing_here: list[Missing]
    missing_there: list[Missing]
    conflicts: list[Conflict]
    unreadable: list[Unreadable]
    histogram: list[Bucket]
    tops: list[RankPair]
