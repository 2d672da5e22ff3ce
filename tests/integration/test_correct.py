"""Corrections over HTTP on real parts: what each does to boards, balances, ledger and receipts."""

import threading
from collections.abc import Iterator
from typing import Any

import httpx
import psycopg
import pytest

from tests.support.correction_driver import OLD, Space, _numbers, scores


@pytest.fixture
def space(api: httpx.Client) -> Space:
    return Space(api)


@pytest.fixture
def ledger(live_server: Any) -> Iterator[Any]:
    with psycopg.connect(live_server.postgres.url, autocommit=True) as db:
        yield db


def test_an_edit_moves_the_windows_of_the_grant_it_corrects(space: Space) -> None:
    space.grant("old", 5, **OLD, category="red")
    space.grant("new", 3, category="red")
    assert scores(space.edit("old", amount=9, reason="recount")) == (200, "applied", 8, 12, 2)
    assert (space.board("all"), space.board("2019-03"), space.board("day")) == (
        {"otter": 12},
        {"otter": 9},
        {"otter": 3},
    )
    assert space.user()["categories"] == {"red": 12}
    assert scores(space.edit("old", amount=9)) == (200, "duplicate", 12, 12, 2)
    grant = space.grant_body("old")
    assert (grant["amount"], grant["revision"], grant["voided"]) == (9, 2, False)
    assert [(r["revision"], r["verb"], r["amount"], r["reason"]) for r in grant["revisions"]] == [
        *((1, "grant", 5, None), (2, "edit", 9, "recount")),
    ]
    assert grant["revisions"][1]["actor"] == "test"


def test_an_edit_carries_a_grant_to_another_time_category_and_source(space: Space) -> None:
    space.grant("g1", 5, **OLD, category="red", source="race")
    space.grant("g2", 1, **OLD, category="blue", source="race")
    moved = space.edit("g1", granted_at="2020-06-07T12:00:00Z", category="blue", source=None)
    assert scores(moved) == (200, "applied", 6, 6, 2)
    assert (space.board("2019-03"), space.board("2020-06"), space.board("2020-06-07")) == (
        *({"otter": 1}, {"otter": 5}, {"otter": 5}),
    )
    user = space.user()
    assert (user["categories"], user["sources"], user["grants"]) == ({"blue": 6}, {"race": 1}, 2)
    assert user["last_granted_at"] == "2020-06-07T12:00:00Z"


def test_a_void_takes_a_grant_out_and_a_restore_brings_it_back(space: Space) -> None:
    space.grant("g1", 5, **OLD, category="red")
    space.grant("g2", 3)
    assert scores(space.void("g1", "?reason=cheated")) == (200, "applied", 8, 3, 2)
    assert scores(space.void("g1")) == (200, "duplicate", 3, 3, 2)
    assert (space.board("all"), space.board("2019-03")) == ({"otter": 3}, {})
    assert (space.user()["grants"], space.user()["categories"]) == (1, {})
    assert scores(space.restore("g1", reason="appeal")) == (200, "applied", 3, 8, 3)
    assert scores(space.restore("g1")) == (200, "duplicate", 8, 8, 3)
    assert (space.board("all"), space.board("2019-03")) == ({"otter": 8}, {"otter": 5})
    assert [(r["verb"], r["voided"]) for r in space.grant_body("g1")["revisions"]] == [
        *(("grant", False), ("void", True), ("restore", False)),
    ]


def test_a_user_without_a_live_grant_is_on_no_board(space: Space) -> None:
    space.grant("g1", 5)
    assert scores(space.void("g1")) == (200, "applied", 5, None, 2)
    assert space.board() == {}
    assert (space.user()["grants"], space.user()["score"], space.user()["last_granted_at"]) == (0, 0, None)
    space.grant("g2", 0)
    assert space.board() == {"otter": 0}


def test_an_edit_of_a_voided_grant_counts_once_it_is_restored(space: Space) -> None:
    space.grant("g1", 5)
    space.grant("g2", 1)
    space.void("g1")
    assert scores(space.edit("g1", amount=7)) == (200, "applied", 1, 1, 3)
    assert space.grant_body("g1")["voided"] is True
    assert scores(space.restore("g1")) == (200, "applied", 1, 8, 4)


def test_a_stale_revision_is_refused_and_the_right_one_taken(space: Space) -> None:
    space.grant("g1", 5)
    assert space.edit("g1", amount=6, revision=1).status_code == 200
    for answer in (space.edit("g1", amount=7, revision=1), space.void("g1", "?revision=1")):
        assert (answer.status_code, answer.json()["code"]) == (409, "revision_conflict")
    assert scores(space.edit("g1", amount=7, revision=2)) == (200, "applied", 6, 7, 3)


@pytest.mark.parametrize("order", ["desc", "asc"])
def test_voiding_the_best_falls_back_to_the_next_best(api: httpx.Client, order: str) -> None:
    space = Space(api, aggregation="best", order=order)
    best, next_best = (9, 7) if order == "desc" else (1, 3)
    space.grant("g1", 5, **OLD)
    space.grant("g2", best, **OLD, category="red")
    space.grant("g3", next_best)
    space.grant("h1", 4, user="hare")
    assert space.board() == {"otter": best, "hare": 4}
    assert scores(space.void("g2")) == (200, "applied", best, next_best, 2)
    assert (space.board("2019-03"), space.user()["categories"]) == ({"otter": 5}, {})
    assert scores(space.edit("g3", amount=6)) == (200, "applied", next_best, 6 if order == "desc" else 5, 2)
    assert scores(space.restore("g2")) == (200, "applied", 6 if order == "desc" else 5, best, 3)
    first = api.get(f"{space.url}/boards/all").json()["entries"][0]
    assert (first["rank"], first["user_id"], first["score"]) == (1, "otter", best)
    assert space.user()["ranks"]["all"]["rank"] == 1


def test_undoing_the_latest_returns_to_the_one_before(api: httpx.Client) -> None:
    space = Space(api, aggregation="latest")
    for i, amount in enumerate((3, 9, 4)):
        receipt = space.grant(f"g{i}", amount, granted_at=f"2024-05-0{i + 1}T00:00:00Z")
    assert (receipt["previous_score"], receipt["score"]) == (9, 4)
    assert scores(space.void("g2")) == (200, "applied", 4, 9, 2)
    assert scores(space.void("g1")) == (200, "applied", 9, 3, 2)
    assert scores(space.restore("g2")) == (200, "applied", 3, 4, 3)
    assert space.board("2024-05-02") == {}


def test_a_grant_older_than_the_latest_counts_in_its_own_windows_alone(api: httpx.Client) -> None:
    space = Space(api, aggregation="latest")
    space.grant("new", 4, granted_at="2024-05-03T00:00:00Z")
    late = space.grant("old", 9, granted_at="2024-04-01T00:00:00Z")
    assert (late["status"], late["score"], late["previous_score"]) == ("applied", 4, 4)
    assert (space.board(), space.board("2024-04"), space.board("2024-05")) == (
        *({"otter": 4}, {"otter": 9}, {"otter": 4}),
    )
    assert space.grant("old", 9, granted_at="2024-04-01T00:00:00Z")["status"] == "duplicate"
    assert space.user()["grants"] == 2
    assert scores(space.void("new")) == (200, "applied", 4, 9, 2)


def test_ten_topics_are_ranked_in_one_call_and_it_is_undone(api: httpx.Client) -> None:
    group = f"survey-{next(_numbers)}"
    topics = [Space(api, aggregation="latest", group=group, scale=1) for _ in range(10)]

    def rank(attempt: int, order: list[int]) -> list[dict[str, Any]]:
        body = [
            {"grant_id": f"a{attempt}", "user_id": "ann", "amount": place, "namespace": topic.name}
            for topic, place in zip(topics, order, strict=True)
        ]
        answer = api.post("/v1/grants?atomic=true", json=body).json()
        assert answer["applied"] == 10
        return list(answer["results"])

    rank(1, list(range(1, 11)))
    changed = rank(2, list(range(10, 0, -1)))
    assert [(r["previous_score"], r["score"]) for r in changed] == [(i, 11 - i) for i in range(1, 11)]
    for topic, i in zip(topics, range(1, 11), strict=True):
        assert scores(topic.void("a2")) == (200, "applied", 11 - i, i, 2)


def test_a_dry_run_tells_who_would_move_and_changes_nothing(space: Space) -> None:
    space.grant("g1", 5, **OLD)
    for user, amount in (("hare", 3), ("mole", 1)):
        space.grant(user, amount, user)
    body = space.edit("g1", "?dry_run=true", amount=2).json()
    (move,) = [move for move in body["moves"] if move["window"] == "all"]
    assert (move["previous_score"], move["score"], move["previous_rank"], move["rank"]) == (5, 2, 1, 2)
    gone = space.void("g1", "?dry_run=true").json()
    assert {(m["window"], m["score"], m["rank"]) for m in gone["moves"]} >= {
        ("2019-03", None, None),
        ("all", None, None),
    }
    assert space.board() == {"otter": 5, "hare": 3, "mole": 1}
    assert space.grant_body("g1")["revision"] == 1


@pytest.mark.parametrize(
    ("body", "code", "field"),
    [
        *(({"amount": "5"}, "invalid", "$.amount"), ({"amount": 0.5}, "amount_scale", "$.amount")),
        *(({"amount": 99}, "amount_range", "$.amount"), ({"category": "x" * 65}, "invalid", "$.category")),
        *(({"user_id": "hare"}, "invalid", "$.user_id"), ({"reason": "x" * 257}, "invalid", "$.reason")),
        *(
            ({"granted_at": "2020-01-01T00:00:00"}, "invalid", "$.granted_at"),
            ({"revision": "1"}, "invalid", "$.revision"),
        ),
        ({"granted_at": "2199-01-01T00:00:00Z"}, "granted_at_range", "$.granted_at"),
    ],
)
def test_bad_edits_are_refused_with_their_field_and_nothing_is_written(
    api: httpx.Client, body: Any, code: str, field: str
) -> None:
    space = Space(api, amount_max=50)
    space.grant("g1", 5)
    answer = space.edit("g1", **body)
    assert (answer.status_code, answer.json()["code"], answer.json()["field"]) == (422, code, field)
    assert (space.board(), space.grant_body("g1")["revision"]) == ({"otter": 5}, 1)


def test_a_reason_in_the_body_of_a_void_is_refused_not_lost(space: Space, api: httpx.Client) -> None:
    space.grant("g1", 5)
    url = f"/v1/namespaces/{space.name}/grants/g1"
    for body in ({"content": b'{"reason":"cheated"}'}, {"content": iter([b"{", b"}"])}):
        answer = api.request("DELETE", url, **body).json()
        assert (answer["status"], answer["code"], answer["field"]) == (422, "invalid", "$")
    assert space.board() == {"otter": 5}
    assert api.request("DELETE", url, content=b"").json()["status"] == "applied"


def test_what_is_not_there_or_not_allowed(live_server: Any, space: Space) -> None:
    assert space.void("nothing").json()["code"] == "grant_not_found"
    space.grant("g1")
    with live_server.client(key=None) as nobody:
        assert nobody.delete(f"{space.url}/grants/g1").status_code == 401
    reader = live_server.new_key("read:*")
    with live_server.client(key=reader) as client:
        assert client.patch(f"{space.url}/grants/g1", json={"amount": 1}).status_code == 403


def test_fifty_writers_on_one_grant_lose_nothing(space: Space, live_server: Any, ledger: Any) -> None:
    space.grant("g1", 0)
    space.grant("rest", 1000)
    answers: list[httpx.Response] = []

    def work(number: int) -> None:
        with live_server.client() as client:
            mine = Space.__new__(Space)
            mine.api, mine.url = client, space.url
            while True:
                answer = mine.edit("g1", amount=number)
                if answer.status_code != 503:
                    answers.append(answer)
                    return

    threads = [threading.Thread(target=work, args=(i,)) for i in range(1, 51)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {answer.status_code for answer in answers} == {200}
    live_server.wait_flushed()
    grant = space.grant_body("g1")
    assert sorted(r["revision"] for r in grant["revisions"]) == list(range(1, 52))
    assert space.board() == {"otter": 1000 + grant["amount"]}
    answers_of = {(a.json()["revision"], a.json()["score"]) for a in answers}
    assert answers_of == {(r["revision"], 1000 + r["amount"]) for r in grant["revisions"][1:]}
    total = ledger.execute(
        "SELECT score FROM standings s JOIN namespaces n ON n.id = s.namespace_id WHERE n.name = %s", (space.name,)
    ).fetchone()
    assert total == (1000 + grant["amount"],)


def test_two_voids_of_one_old_grant_count_once(space: Space, live_server: Any) -> None:
    space.grant("g1", 5, **OLD)
    space.grant("g2", 3, **OLD)
    answers: list[httpx.Response] = []
    with live_server.client() as other:
        twin = Space.__new__(Space)
        twin.api, twin.url = other, space.url
        threads = [threading.Thread(target=lambda s=s: answers.append(s.void("g1"))) for s in (space, twin)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert [answer.status_code for answer in answers] == [200, 200]
    assert (space.board(), space.board("2019-03"), space.user()["grants"]) == ({"otter": 3}, {"otter": 3}, 1)
    assert len(space.grant_body("g1")["revisions"]) == 2


def test_history_shows_grants_as_they_are(space: Space, live_server: Any) -> None:
    for i in range(5):
        space.grant(f"g{i}", i, granted_at=f"2024-01-0{i + 1}T00:00:00Z", meta={"i": i})
    space.edit("g1", amount=50, granted_at="2024-02-01T00:00:00Z")
    space.void("g2")
    live_server.wait_flushed()
    answer = space.api.get(f"{space.url}/users/otter/grants?limit=2").json()
    names_in_answer = list(answer["grants"])
    while answer["next_cursor"]:
        answer = space.api.get(f"{space.url}/users/otter/grants?limit=2&cursor={answer['next_cursor']}").json()
        names_in_answer += answer["grants"]
    assert [(g["grant_id"], g["amount"], g["voided"], g["meta"]) for g in names_in_answer] == [
        *(("g1", 50, False, {"i": 1}), ("g4", 4, False, {"i": 4}), ("g3", 3, False, {"i": 3})),
        *(("g2", 2, True, {"i": 2}), ("g0", 0, False, {"i": 0})),
    ]
