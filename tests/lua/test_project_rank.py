"""Ranks that scores have, or would have: against boards in which the user stands with that score."""

import random
from typing import Any

import pytest

from app.model.namespace import Namespace, Rules
from app.model.views import Page
from app.store import keys
from app.store.boards import PROJECT_RANK, READ_BOARD, board_call, project_ranks_call, read_board, read_projected_ranks

P = 3
USERS = ["ann", "bob", "cleo", "d/é", "zoë", "Ann", "a"]


def board(partition: Any, rules: Rules, scores: dict[str, int]) -> None:
    """Fresh, with these scores, reached in this order."""
    partition.store.flushall()
    partition.__init__(partition.store)
    partition.space = Namespace(7, "race", P, 1, rules)
    entries = [partition.entry(f"g{i}", user, amount) for i, (user, amount) in enumerate(scores.items())]
    assert set(partition.codes(*entries)) == {"applied"}


def ranks(partition: Any) -> dict[str, int]:
    """As the board itself tells them."""
    reply = partition.send(READ_BOARD, list(board_call(partition.space, "all", Page(0, 100)))[2:])
    return {row.user: row.rank0 + 1 for row in read_board(reply, partition.space.sign).rows}


def place(partition: Any, user: str, *units: int) -> list[int]:
    return read_projected_ranks(
        partition.send(PROJECT_RANK, list(project_ranks_call(partition.space, user, units))[2:])
    )


@pytest.mark.parametrize("order", ["desc", "asc"])
@pytest.mark.parametrize("tie_break", ["none", "earliest"])
@pytest.mark.parametrize("ranking", ["competition", "dense", "ordinal"])
def test_a_score_has_the_rank_that_the_board_would_tell(
    partition: Any, ranking: Any, tie_break: Any, order: Any
) -> None:
    chance = random.Random(7)
    rules = Rules(ranking=ranking, tie_break=tie_break, order=order, accept_past=None)
    for _ in range(4):
        scores = {user: chance.randrange(-2, 3) for user in chance.sample(USERS, 5)}
        candidates = [-3, -2, -1, 0, 1, 2, 3]
        for user in (*scores, "nobody"):
            board(partition, rules, scores)
            if user in scores:
                assert place(partition, user, scores[user]) == [ranks(partition)[user]]
            reply = place(partition, user, *candidates)
            expected = []
            for units in candidates:
                if units == scores.get(user):
                    expected.append(reply[candidates.index(units)])
                    continue
                # Whoever reaches a score now comes last in time.
                board(partition, rules, {u: s for u, s in scores.items() if u != user} | {user: units})
                expected.append(ranks(partition)[user])
            assert reply == expected, (user, scores)


def test_a_partition_without_its_head_answers_unopened(partition: Any) -> None:
    partition.store.delete(keys.meta(P))
    reply = partition.send(PROJECT_RANK, list(project_ranks_call(partition.space, "otter", [1]))[2:])
    assert reply == [b"unopened"]
