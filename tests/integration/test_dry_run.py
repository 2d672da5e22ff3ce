"""A dry run tells what the correction then does, on every board, by every ranking and tie-break."""

from itertools import product
from random import Random
from typing import Any

import httpx
import pytest

from tests.support.sealed_namespace import DAY, MONTH, OLD, Space
from tests.support.waits import until

USERS = ["ann", "bob", "cleo", "dora", "eve"]
KINDS = [
    {"ranking": ranking, "tie_break": tie_break, "order": order}
    for (ranking, tie_break), order in zip(
        product(("competition", "dense", "ordinal"), ("none", "earliest")), ("desc", "asc") * 3, strict=True
    )
]
WEEK = f"{OLD:%G-W%V}"
BOARDS = [(window, category) for window in ("all", MONTH, WEEK, DAY) for category in (None, "red", "blue")]


def standings(space: Space, user: str) -> dict[tuple[str, str | None], tuple[Any, Any]]:
    """Score and rank of a user on each board; None and None where they are not on it."""
    reply = {}
    for window, category in BOARDS:
        query = f"user={user}" + (f"&category={category}" if category else "")
        entries = space.board(window, query)["entries"]
        reply[window, category] = (entries[0]["score"], entries[0]["rank"]) if entries else (None, None)
    return reply


@pytest.mark.parametrize("rules", KINDS, ids=str)
@pytest.mark.parametrize("sealed", [False, True], ids=["open", "sealed"])
def test_a_dry_run_foretells(
    live_server: Any, api: httpx.Client, names: Any, rules: dict[str, Any], sealed: bool
) -> None:
    space = Space(live_server, api, names.fresh(), category_boards=True, **rules)
    chance = Random(str(rules))
    for user in USERS * 2:
        assert space.grant(user, chance.randrange(4), category=chance.choice(["red", "blue"])).status_code == 201
    if sealed:
        space.seal(DAY, WEEK, MONTH)
    for i in range(6):
        grant_id = f"g{chance.randrange(1, space.count + 1)}"
        path, user = f"{space.url}/grants/{grant_id}", api.get(f"{space.url}/grants/{grant_id}").json()["user_id"]
        edit = {"amount": chance.randrange(5), "category": chance.choice(["red", "blue", None])}
        before = standings(space, user)
        ops = api.patch(f"{path}?dry_run=true", json=edit).json()["moves"]
        assert standings(space, user) == before
        foretold = before | {(m["window"], m["category"]): (m["score"], m["rank"]) for m in ops}
        for move in ops:
            reply = (move["previous_score"], move["previous_rank"])
            assert before[move["window"], move["category"]] == reply, (i, move)
        done = api.patch(path, json=edit)
        assert done.status_code == 200, done.text
        if sealed:
            live_server.wait_flushed()
            scores = {board: score for board, (score, _) in foretold.items()}
            until(lambda user=user, scores=scores: scores == _scores(space, user), "the archive did not follow")
        assert standings(space, user) == foretold, (i, edit, ops)


def test_a_dry_run_in_the_shadow_ranks_for_admins_alone(live_server: Any, api: httpx.Client, names: Any) -> None:
    """Whose key reads no board would find every place on it, amount by amount."""
    space = Space(live_server, api, names.fresh(), mode="shadow", visibility="public")
    space.grant("ann", 10)
    space.grant("bob", 20)
    writer = live_server.new_key("write:*")
    headers = {"authorization": f"Bearer {writer}"}
    for ask, rank in ((headers, None), ({}, 1)):
        moves = api.patch(f"{space.url}/grants/g1?dry_run=true", json={"amount": 30}, headers=ask).json()["moves"]
        assert {(move["score"], move["rank"]) for move in moves} == {(30, rank)}
        assert {move["previous_rank"] for move in moves} == {None if rank is None else 2}


def _scores(space: Space, user: str) -> dict[tuple[str, str | None], Any]:
    return {board: score for board, (score, _) in standings(space, user).items()}
