"""What lua/dump_users.lua reads of users, on every store alike."""

from typing import Any

import pytest

from app.model.namespace import Namespace, Rules
from app.model.visibility import HIDE, VisibilityIntent, visibility_entries
from app.store import keys
from app.store.user_dump import DUMP_USERS, dump_users_call
from app.store.visibility import SET_USER_STATE, state_call
from app.verify.redis_values import BoardNames, UserValues, board_names_of, parse_values

P = 3
RULES: list[dict[str, Any]] = [{}, {"order": "asc", "tie_break": "earliest", "ranking": "dense"}]


def read(partition: Any, *names: str) -> list[UserValues]:
    fields = partition.store.hgetall(keys.namespace(P, 7))
    board_names = board_names_of(list(fields), frozenset())
    call: list[Any] = list(dump_users_call(partition.space, board_names.boards, names))
    reply = partition.eval(DUMP_USERS, call[3 : 3 + call[2]], call[3 + call[2] :])
    return parse_values(partition.space, board_names, len(names), reply)


@pytest.mark.parametrize("rules", RULES, ids=str)
def test_all_that_is_held_of_a_user_is_read(partition: Any, rules: dict[str, Any]) -> None:
    partition.space = Namespace(7, "race", P, 1, Rules(periods=("all", "month"), **rules))
    assert partition.codes(partition.entry("g1"), partition.entry("g2", "bear", 3, source="quiz")) == ["applied"] * 2
    intent = VisibilityIntent(1, "bear", 1, HIDE, None)
    call: list[Any] = list(state_call(P, intent))
    partition.eval(SET_USER_STATE, call[3 : 3 + call[2]], call[3 + call[2] :])
    assert set(partition.codes(*visibility_entries(partition.space, intent, ("all", "2023-11")))) == {"applied"}
    otter, bear, nobody = read(partition, "otter", "bear", "nobody")
    assert {otter.seq, bear.seq, nobody.seq} == {4}
    dated = rules.get("tie_break") == "earliest"
    since = {"o:all": 1, "o:2023-11": 1} if dated else {}
    last = 1_700_000_000_000_000
    assert otter.cells == {"b:all": 5, "b:2023-11": 5, "total": 5, "count": 1, "last": last, **since}
    since = {"o:all": 2, "o:2023-11": 2} if dated else {}
    assert bear.cells == {"total": 3, "count": 1, "last": last, "s:quiz": 3, **since}
    assert bear.aside == {"all": 3, "2023-11": 3}
    assert (nobody.cells, nobody.aside, otter.lacking, bear.lacking) == ({}, {}, [], [])


def test_scores_missing_from_the_distinct_scores_are_marked(partition: Any) -> None:
    partition.space = Namespace(7, "race", P, 1, Rules(periods=("all",), ranking="dense"))
    assert partition.codes(partition.entry("g1"), partition.entry("g2", "bear", 3)) == ["applied"] * 2
    partition.store.zrem(keys.distinct_scores(P, 7, "all"), "3")
    otter, bear = read(partition, "otter", "bear")
    assert (otter.lacking, bear.lacking) == ([], ["all"])


def test_a_reply_is_of_what_users_have_and_not_of_what_there_is(partition: Any) -> None:
    """A user is read with all boards there are: whatever else were read with them would be read as often."""
    partition.call(partition.entry("g1"))
    boards = tuple(f"all:c{i}" for i in range(500))
    partition.store.hset(keys.namespace(P, 7), mapping={f"v:{board}": 1 for board in boards})
    call: list[Any] = list(dump_users_call(partition.space, ("all", *boards), ["otter"]))
    reply = partition.eval(DUMP_USERS, call[3 : 3 + call[2]], call[3 + call[2] :])
    assert count(reply) < 50
    (values,) = parse_values(partition.space, BoardNames(("all", *boards), frozenset()), 1, reply)
    assert values.cells["b:all"] == 5


def count(reply: Any) -> int:
    return sum(map(count, reply)) if isinstance(reply, list) else 1
