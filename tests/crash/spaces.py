"""The namespaces that clients write to, and whom they write of."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

#: Gets grants of one client alone, which nobody corrects: its score only grows.
PACER = "pacer"
USERS = [f"u{i}" for i in range(8)]
#: Users who are hidden and shown in turn.
SHY = ("u6", "u7")
#: Is frozen and thawed in turn.
ICE = "ice"
#: Its days are sealed as soon as they have a board; what comes to them later, their archives follow.
DAYS = "days"
DAY_COUNT = 60

SPACES: dict[str, dict[str, Any]] = {
    "sum": {"group": "g", "visibility": "public", "category_boards": True},
    "pair": {"group": "g", "streaks": True, "tie_break": "earliest"},
    "best": {"aggregation": "best", "ranking": "dense", "tie_break": "earliest", "bounded_sums": True},
    "latest": {"aggregation": "latest", "accept_past": None},
    DAYS: {"accept_past": "PT12H"},
    ICE: {},
}
AGGREGATION = {"sum": "sum", "pair": "sum", "best": "best", "latest": "latest", DAYS: "days", ICE: "sum"}


def past_noon(number: int) -> str:
    """A noon that is too long ago for whoever may not backfill; another one for each number, up to some."""
    noon = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0)
    return (noon - timedelta(days=20 + number % DAY_COUNT)).isoformat()


def moment() -> str:
    """Now, to the microsecond."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
