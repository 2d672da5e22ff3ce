"""Since when a score stands: the replay beside what a plain model says of every entry."""

import random
from datetime import UTC, datetime
from typing import Any

import pytest

from app.model.aggregation import AGGREGATIONS_BY_NAME
from app.model.micros import to_micros
from app.model.tie_break_replay import TieBreakReplay

BEGAN, DAY = to_micros(datetime(2026, 1, 1, tzinfo=UTC)), 86_400_000_000


def events(seed: int, count: int) -> list[dict[str, Any]]:
    """Grants and corrections of one user, as the ledger would tell them."""
    chance, rows = random.Random(seed), list[dict[str, Any]]()
    live: dict[str, dict[str, Any]] = {}
    for seq in range(1, count + 1):
        old: dict[str, Any] = chance.choice(list(live.values())) if live and chance.random() < 0.5 else {}
        row: dict[str, Any] = {
            "number": 1,
            "seq": seq,
            "grant_id": old.get("grant_id", f"g{seq}"),
            "first_seq": old.get("first_seq", seq),
            "amount": chance.randrange(-2, 3),
            "voided": False,
            "windows": ["all", chance.choice(("mon", "tue"))],
            "category": chance.choice(("red", None)),
            "granted_at": BEGAN + DAY * chance.randrange(3),
        }
        if old and chance.random() < 0.4:
            row |= {"voided": True, "amount": old["amount"], "windows": old["windows"], "category": old["category"]}
        row |= {f"old_{name}": old.get(name) for name in ("windows", "category", "amount", "voided")}
        live[row["grant_id"]] = row
        rows.append(row)
    return rows


def score(grants: dict[str, dict[str, Any]], board: str, how: str) -> int | None:
    """A board's score by what is live."""
    window, _, category = board.partition(":")
    live = [row for row in grants.values() if not row["voided"] and window in row["windows"]]
    live = [row for row in live if category in ("", row["category"])]
    if not live:
        return None
    if how == "latest":
        return int(max(live, key=lambda row: (row["granted_at"], row["first_seq"]))["amount"])
    values = [int(row["amount"]) for row in live]
    return sum(values) if how == "sum" else max(values) if how == "highest" else min(values)


@pytest.mark.parametrize("how", ["sum", "highest", "lowest", "latest"])
@pytest.mark.parametrize("seed", range(20))
def test_a_score_stands_since_it_last_changed(how: str, seed: int) -> None:
    boards = ["all", "mon", "tue", "all:red", "mon:red", "tue:red"]
    expected: dict[str, tuple[int | None, int]] = dict.fromkeys(boards, (None, 0))
    dating, live = TieBreakReplay(AGGREGATIONS_BY_NAME[how], by_category=True), {}
    for row in events(seed, 60):
        dating.add(row)  # a record in all but name
        live[row["grant_id"]] = row
        for board in boards:
            now = score(live, board, how)
            if now != expected[board][0]:
                expected[board] = now, row["seq"]
        assert {board: dating.since.get((1, board), (None, 0)) for board in boards} == expected
