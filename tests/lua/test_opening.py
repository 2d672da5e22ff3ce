"""Opening balances in the script: `all` and its category alone, whatever the velocity, and no day."""

from datetime import timedelta
from typing import Any

from app.model.namespace import Namespace, Rules, Velocity
from app.store import keys
from tests.lua.conftest import P

BOARDS = ("all", "all:red", "2023-11", "2023-11:red", "2023-11-14")


def test_it_moves_two_boards_and_no_velocity(partition: Any) -> None:
    rules = Rules(category_boards=True, streaks=True, velocity=(Velocity(timedelta(hours=1), 1),))
    partition.space = Namespace(7, "race", P, 1, rules)
    fields: dict[str, Any] = {"category": "red", "source": "old", "opening": True}
    assert partition.codes(*(partition.entry(f"o{i}", **fields) for i in range(3))) == ["applied"] * 3
    assert partition.codes(partition.entry("g1"), partition.entry("g2")) == ["applied", "velocity"]
    scores = {board: partition.store.zscore(keys.board(P, 7, board), "otter") for board in BOARDS}
    assert scores == {"all": 20, "all:red": 15, "2023-11": 5, "2023-11:red": None, "2023-11-14": 5}
    balances = partition.store.hgetall(keys.balances(P, 7) + "otter")
    assert {name: balances[name] for name in (b"total", b"count", b"c:red", b"s:old")} == {
        b"total": b"20",
        b"count": b"4",
        b"c:red": b"15",
        b"s:old": b"15",
    }


def test_it_has_no_day(partition: Any) -> None:
    partition.space = Namespace(7, "race", P, 1, Rules(streaks=True))
    assert partition.codes(partition.entry("o", opening=True)) == ["applied"]
    assert not partition.store.exists(keys.days(P, 7) + "otter")
    assert partition.codes(partition.entry("g")) == ["applied"]
    assert partition.store.exists(keys.days(P, 7) + "otter")


def test_it_and_a_grant_of_its_id_are_not_the_same(partition: Any) -> None:
    grant, opening = partition.entry("g"), partition.entry("g", opening=True)
    assert partition.codes(grant, opening, partition.entry("g", opening=False)) == [
        *("applied", "grant_conflict", "duplicate")
    ]
