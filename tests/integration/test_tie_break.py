"""`tie_break: granted_at`: among equals the one whose score was complete at the earlier moment, whenever it came."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from app.model.tie_break import describe_tie_place, tie_place, tie_place_from_digits
from app.store import keys
from tests.support.checked_deployment import verify
from tests.support.correction_driver import Space, scores
from tests.support.sealed_namespace import Space as Sealed

DAY = "2024-05-03"


def at(hour: int, minute: int = 0) -> str:
    return f"{DAY}T{hour:02}:{minute:02}:00Z"


def listed(space: Space, window: str = "all", query: str = "") -> list[str]:
    answer = space.api.get(f"{space.url}/boards/{window}?limit=100{query}")
    assert answer.status_code == 200, answer.text
    return [entry["user_id"] for entry in answer.json()["entries"]]


def test_a_late_sync_stands_by_its_moment_and_not_by_its_arrival(api: httpx.Client) -> None:
    """11:00 came first, 10:00 later."""
    grants = [("g1", 5, "ann", at(11)), ("g2", 5, "bob", at(10))]
    for tie_break, expected in (("granted_at", ["bob", "ann"]), ("earliest", ["ann", "bob"])):
        space = Space(api, tie_break=tie_break, ranking="ordinal")
        for grant_id, amount, user, moment in grants:
            space.grant(grant_id, amount, user, granted_at=moment)
        assert listed(space) == listed(space, DAY) == expected
        assert space.user(expected[0])["ranks"]["all"]["rank"] == 1


def test_a_void_and_a_restore_lose_no_place(api: httpx.Client) -> None:
    for tie_break, expected in (("granted_at", ["ann", "bob"]), ("earliest", ["bob", "ann"])):
        space = Space(api, tie_break=tie_break)
        space.grant("g1", 5, "ann", granted_at=at(10))
        space.grant("g2", 5, "bob", granted_at=at(11))
        assert space.void("g1").status_code == 200
        assert listed(space) == ["bob"]
        assert space.restore("g1").status_code == 200
        assert listed(space) == expected


def test_a_sum_is_complete_with_its_latest_grant_that_is_not_0(api: httpx.Client) -> None:
    space = Space(api, tie_break="granted_at")
    space.grant("a1", 2, "ann", granted_at=at(9))
    space.grant("a2", 3, "ann", granted_at=at(12))
    space.grant("b1", 5, "bob", granted_at=at(11))
    assert listed(space) == ["bob", "ann"]
    space.grant("b2", 0, "bob", granted_at=at(13))
    assert listed(space) == ["bob", "ann"]
    # An edit moves it, a void takes the next latest, an edit to 0 is as good as one, and from 0 it counts again.
    assert scores(space.edit("a2", granted_at=at(10))) == (200, "applied", 5, 5, 2)
    assert listed(space) == ["ann", "bob"]
    space.grant("b3", 1, "bob", granted_at=at(8))
    space.grant("a3", 1, "ann", granted_at=at(14))
    assert listed(space) == ["bob", "ann"]
    assert scores(space.void("a3")) == (200, "applied", 6, 5, 2)
    assert scores(space.edit("a1", amount=3)) == (200, "applied", 5, 6, 2)
    assert listed(space) == ["ann", "bob"]
    assert scores(space.restore("a3")) == (200, "applied", 6, 7, 3)
    assert scores(space.edit("a3", amount=0)) == (200, "applied", 7, 6, 4)
    assert listed(space) == ["ann", "bob"]
    assert scores(space.edit("b2", amount=1)) == (200, "applied", 6, 7, 2)
    assert scores(space.edit("a3", amount=1)) == (200, "applied", 6, 7, 5)
    assert listed(space) == ["bob", "ann"], "13:00 before 14:00"


def test_the_best_stands_since_the_earliest_that_is_it(api: httpx.Client) -> None:
    space = Space(api, tie_break="granted_at", aggregation="best", order="asc")
    space.grant("a1", 3, "ann", granted_at=at(12))
    space.grant("b1", 3, "bob", granted_at=at(11))
    assert listed(space) == ["bob", "ann"]
    space.grant("a2", 3, "ann", granted_at=at(10))
    assert listed(space) == ["ann", "bob"]
    assert scores(space.void("a2")) == (200, "applied", 3, 3, 2)
    assert listed(space) == ["bob", "ann"]
    space.grant("a3", 2, "ann", granted_at=at(14))
    assert listed(space) == ["ann", "bob"]
    assert scores(space.edit("b1", amount=2)) == (200, "applied", 3, 2, 2)
    assert listed(space) == ["bob", "ann"]


def test_many_corrections_in_one_call_know_of_each_other(api: httpx.Client) -> None:
    space = Space(api, tie_break="granted_at")
    for i in range(4):
        space.grant(f"a{i}", 1, "ann", granted_at=at(10 + i))
    space.grant("b", 2, "bob", granted_at=at(11, 30))
    ops = [{"op": "void", "grant_id": "a3"}, {"op": "void", "grant_id": "a2"}]
    assert space.api.post(f"{space.url}/corrections", json=ops).json()["applied"] == 2
    assert listed(space) == ["ann", "bob"], "11:00 before 11:30"
    ops = [{"op": "void", "grant_id": "a0"}, {"op": "restore", "grant_id": "a2"}]
    assert space.api.post(f"{space.url}/corrections", json=ops).json()["applied"] == 2
    assert listed(space) == ["bob", "ann"], "12:00 behind it"


def test_pages_cursors_and_neighbours_follow_the_line(api: httpx.Client) -> None:
    space = Space(api, tie_break="granted_at", ranking="ordinal")
    users = [f"u{i}" for i in range(9)]
    for i, user in enumerate(users[::-1]):
        space.grant(f"g{i}", 5, user, granted_at=at(20 - i))
    paged: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        page = api.get(f"{space.url}/boards/all?limit=2{cursor and f'&cursor={cursor}'}").json()
        paged, cursor = paged + [entry["user_id"] for entry in page["entries"]], page["next_cursor"]
    assert paged == listed(space) == users
    around = api.get(f"{space.url}/boards/all?around=u4&radius=1").json()["entries"]
    assert [(entry["user_id"], entry["rank"]) for entry in around] == [("u3", 4), ("u4", 5), ("u5", 6)]
    at_third = api.get(f"{space.url}/boards/all/at/3").json()
    assert at_third["user_id"] == "u2"
    receipt = api.post(
        f"{space.url}/grants?rank=true", json={"grant_id": "x", "user_id": "x", "amount": 5, "granted_at": at(13, 30)}
    )
    assert receipt.json()["rank"] == listed(space).index("x") + 1


def test_a_dry_run_tells_the_place_in_line_that_would_be(api: httpx.Client) -> None:
    space = Space(api, tie_break="granted_at", ranking="ordinal")
    for user, hour in (("ann", 9), ("bob", 10), ("cleo", 11), ("dora", 12)):
        space.grant(user, 5, user, granted_at=at(hour))
    space.grant("more", 1, "dora", granted_at=at(8))
    for grant_id, user, changes, before, after in (
        ("ann", "ann", {"granted_at": at(11, 30)}, 2, 4),
        ("cleo", "cleo", {"granted_at": at(9, 30)}, 4, 3),
        ("cleo", "cleo", {"granted_at": at(11, 30)}, 4, 4),
        ("more", "dora", {"amount": 0}, 1, 4),
        ("dora", "dora", {"granted_at": at(7), "amount": 4}, 1, 1),
        ("bob", "bob", {"amount": 6}, 3, 1),
    ):
        body = space.edit(grant_id, "?dry_run=true", **changes).json()
        move = next(move for move in body["moves"] if move["window"] == "all")
        assert (move["previous_rank"], move["rank"]) == (before, after), (grant_id, changes)
        copy = Space(api, tie_break="granted_at", ranking="ordinal")
        for name, hour in (("ann", 9), ("bob", 10), ("cleo", 11), ("dora", 12)):
            copy.grant(name, 5, name, granted_at=at(hour))
        copy.grant("more", 1, "dora", granted_at=at(8))
        assert copy.edit(grant_id, **changes).status_code == 200
        assert listed(copy).index(user) + 1 == after


def test_an_archive_keeps_the_line_and_follows_what_comes_behind_its_seal(own_stack: Any) -> None:
    with own_stack.client() as api:
        space = Sealed(own_stack, api, "n", tie_break="granted_at", accept_past=None)
        for grant_id, user, hour in (("a", "ann", 12), ("b", "bob", 11), ("c", "cleo", 10)):
            body = {"grant_id": grant_id, "user_id": user, "amount": 5, "granted_at": at(hour)}
            assert api.post(f"{space.url}/grants", json=body).status_code == 201
        assert list(space.scores(DAY)) == ["cleo", "bob", "ann"]
        space.seal(DAY)
        assert list(space.scores(DAY)) == ["cleo", "bob", "ann"]
        assert api.patch(f"{space.url}/grants/c", json={"amount": 4}).status_code == 200
        assert api.patch(f"{space.url}/grants/c", json={"amount": 5}).status_code == 200
        late = {"grant_id": "d", "user_id": "dora", "amount": 5, "granted_at": at(11, 30)}
        assert api.post(f"{space.url}/grants?backfill=true", json=late).status_code == 201
        space.wait_for(DAY, dict.fromkeys(("cleo", "bob", "dora", "ann"), 5))
        assert list(space.scores(DAY)) == ["cleo", "bob", "dora", "ann"]
        page = space.board(DAY, "limit=2")
        assert list(space.scores(DAY, f"limit=2&cursor={page['next_cursor']}")) == ["dora", "ann"]
        own_stack.wait_flushed()
        assert verify(own_stack) == (0, [])
        space.sql("UPDATE archive_rows SET tie_place = tie_place + 1 WHERE position = 1")
        code, lines = verify(own_stack)
        assert code == 1
        assert [line for line in lines if line.startswith(f"n, archive: {DAY}: 'cleo': in line by")] != [], lines


def test_as_of_tells_the_line_of_then(api: httpx.Client, live_server: Any) -> None:
    space = Space(api, tie_break="granted_at")
    space.grant("g1", 5, "ann", granted_at=at(11))
    space.grant("g2", 5, "bob", granted_at=at(12))
    then = space.grant_body("g2")["revisions"][0]["recorded_at"]
    space.edit("g1", granted_at=at(13))
    live_server.wait_flushed()
    assert (listed(space), listed(space, query=f"&as_of={then}")) == (["bob", "ann"], ["ann", "bob"])


class Planted:
    """A deployment of its own with a namespace whose line goes by moments."""

    def __init__(self, stack: Any, api: httpx.Client, direct: Any) -> None:
        self.stack, self.direct = stack, direct
        space = Space(api, tie_break="granted_at")
        for grant_id, user, hour in (("a", "ann", 12), ("b", "bob", 11)):
            space.grant(grant_id, 5, user, granted_at=at(hour))
        stack.wait_flushed()
        self.name = space.name
        (key,) = direct.keys("lb:*:b:1:all")
        self.p = int(key.split(b"}")[0].split(b"{")[1])


@pytest.fixture
def planted(own_stack: Any) -> Iterator[Planted]:
    with own_stack.client() as api, own_stack.store() as direct:
        yield Planted(own_stack, api, direct)


def test_verify_names_who_stands_elsewhere_in_line(planted: Planted) -> None:
    direct, p, name = planted.direct, planted.p, planted.name
    board, orders = keys.board(p, 1, "all"), keys.tie_prefixes(p, 1, "all")
    assert verify(planted.stack) == (0, [])
    digits = direct.hget(orders, "ann")
    place = tie_place_from_digits(digits, "granted_at")
    assert place == tie_place(1_714_737_600_000_000, 1)
    wrong = digits[:16] + b"0" + digits[17:]
    assert wrong != digits
    direct.zrem(board, digits + b"ann")
    direct.zadd(board, {wrong + b"ann": 5})
    direct.hset(orders, "ann", wrong)
    wrong_place = tie_place_from_digits(wrong, "granted_at")
    assert wrong_place is not None
    assert verify(planted.stack) == (
        1,
        [
            f"{name}: 'ann', order on board all: {describe_tie_place(wrong_place)} in Redis, "
            f"{describe_tie_place(place)} by the ledger: run leaderboard repair --namespace {name}"
        ],
    )
    direct.hset(orders, "ann", "abc")
    assert verify(planted.stack)[1][0].startswith(f"{name}: 'ann', ")
