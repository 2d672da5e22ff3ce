"""What a score is made of besides grants: what Postgres lost of the user, and was recorded as Redis had it."""

from collections.abc import Sequence
from typing import NamedTuple

import asyncpg
import msgspec

from ..model.micros import to_micros
from ..model.namespace import Namespace


class ExplainedScore(NamedTuple):
    """A score in scaled units. lost: the part of it that no grant of the ledger explains; None: there is none.
    hides_grants: one grant makes the score, and that one is lost."""

    score: int | None
    lost: int | None = None
    hides_grants: bool = False


def with_lost_cells(
    namespace: Namespace,
    window: str,
    score: int | None,
    grants: Sequence[asyncpg.Record],
    lost: Sequence[asyncpg.Record],
) -> ExplainedScore:
    """A score in a window by the grants of the ledger (`grants`: the first of them), with what is lost: rows of
    `get_lost_cells_of_user`. O(lost cells)."""
    explained = ExplainedScore(score)
    at = to_micros(grants[0]["granted_at"]) if grants else 0
    for row in lost:
        cells = msgspec.json.decode(row["cells"])
        amount = cells.get(f"b:{window}")
        if amount is None:
            continue
        if namespace.aggregation.adds:
            explained = ExplainedScore((explained.score or 0) + amount, (explained.lost or 0) + amount)
        elif explained.score is None or _decides(
            namespace, score=explained.score, amount=amount, moment=cells.get(f"gb:{window}", 0), at=at
        ):
            explained = ExplainedScore(amount, amount, hides_grants=amount != score)
    return explained


def _decides(namespace: Namespace, *, score: int, amount: int, moment: int, at: int) -> bool:
    """Whether a lost grant makes the score, and not the one of the ledger. moment, at: when each was granted, where the
    latest counts."""
    if namespace.aggregation.keeps_times:
        return moment >= at
    return amount != score and namespace.aggregation.merged(score, amount) == amount
