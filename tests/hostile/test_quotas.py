"""A key or a namespace that makes namespaces, users, boards or log without end is refused by name, and harms nobody."""

import shutil
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import msgspec
import pytest
import redis

from app.model.namespace import partition_of
from app.store import keys
from tests.conftest import Stack
from tests.support.template import THROWAWAY, template

pytestmark = pytest.mark.timeout(120)

USERS, BOARDS, LOG, SPACES = 20, 12, 400, 5
GROUP = "one-partition"
RULES = {"group": GROUP, "accept_past": None, "category_boards": True, "periods": ["all", "day"]}


@pytest.fixture(scope="module")
def tight(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A system whose quotas are small."""
    folder = tmp_path_factory.mktemp("quotas")
    stack = Stack(folder, template(tmp_path_factory), THROWAWAY)
    stack.extra |= {
        "LEADERBOARD_CHORES_S": "0.5",
        "LEADERBOARD_KEY_NAMESPACES_MAX": str(SPACES),
        "LEADERBOARD_NAMESPACE_USERS_MAX": str(USERS),
        "LEADERBOARD_NAMESPACE_BOARDS_MAX": str(BOARDS),
        "LEADERBOARD_LOG_ENTRIES_MAX": str(LOG),
    }
    try:
        stack.up()
        yield stack
        stack.wait_flushed()
        verified = stack.run("verify", "--quiet")
        assert (verified.returncode, verified.stdout) == (0, ""), "what was refused left something behind"
    finally:
        stack.down()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def pair(tight: Stack, names: Any) -> Iterator["Pair"]:
    pair = Pair(tight, names.fresh(), names.fresh())
    with closing(pair.api):
        yield pair


class Pair:
    """Two namespaces of one partition: one is hostile, the other must not notice."""

    def __init__(self, stack: Stack, hog: str, other: str) -> None:
        self.stack, self.hog, self.other = stack, hog, other
        self.api = stack.client()
        self.sent = Counter[str]()
        for name in (hog, other):
            assert self.api.put(f"/v1/namespaces/{name}", json=RULES).status_code == 201

    def grant(self, space: str, user: str = "otter", **fields: Any) -> httpx.Response:
        self.sent[space] += 1
        body = {"grant_id": f"g{self.sent[space]}", "user_id": user, "amount": 1, **fields}
        return self.api.post(f"/v1/namespaces/{space}/grants", json=body)

    def batch(self, space: str, grants: list[dict[str, Any]]) -> httpx.Response:
        return self.api.post(f"/v1/namespaces/{space}/grants", json=grants)

    def other_goes_on(self) -> None:
        """The other namespace takes new users, and new boards."""
        number = self.sent[self.other]
        answer = self.grant(self.other, user=f"user {number}")
        assert (answer.status_code, answer.json().get("status")) == (201, "applied"), answer.text


def refusal(answer: httpx.Response) -> tuple[int, str, str | None]:
    body = answer.json()
    return answer.status_code, body["code"], body.get("field")


def test_users_without_end(pair: Pair) -> None:
    grants = [{"grant_id": f"b{i}", "user_id": f"u{i}", "amount": 1} for i in range(3 * USERS)]
    body = pair.batch(pair.hog, grants).json()
    assert (body["applied"], body["rejected"]) == (USERS, 2 * USERS)
    error = body["results"][-1]["error"]
    assert (error["code"], error["status"], error["field"], error["retryable"]) == (
        *("quota_exceeded", 422, "$.user_id"),
        False,
    )
    assert f"{USERS} (LEADERBOARD_NAMESPACE_USERS_MAX)" in error["detail"]
    assert refusal(pair.grant(pair.hog, user="one-more")) == (422, "quota_exceeded", "$.user_id")
    assert pair.grant(pair.hog, user="u0").status_code == 201
    both = [{"namespace": space, "grant_id": "pair", "user_id": "new", "amount": 1} for space in (pair.other, pair.hog)]
    assert refusal(pair.api.post("/v1/grants?atomic=true", json=both)) == (422, "quota_exceeded", "$[1].user_id")
    assert pair.api.get(f"/v1/namespaces/{pair.other}/users/new").status_code == 404
    pair.other_goes_on()
    board = pair.api.get(f"/v1/namespaces/{pair.hog}/boards/all?limit=1").json()
    assert (board["total"], board["entries"][0]["score"]) == (USERS, 2)


def test_a_user_who_is_hidden_or_voided_is_one_all_the_same(pair: Pair) -> None:
    for i in range(USERS):
        assert pair.grant(pair.hog, user=f"u{i}").status_code == 201
    url = f"/v1/namespaces/{pair.hog}"
    assert pair.api.post(f"{url}/users/u0/hide").status_code in (200, 204)
    assert pair.api.delete(f"{url}/grants/g2").status_code == 200
    assert refusal(pair.grant(pair.hog, user="one-more")) == (422, "quota_exceeded", "$.user_id")
    # What needs no room passes: corrections, and whom they bring back.
    assert pair.api.post(f"{url}/grants/g2/restore", json={}).status_code == 200
    assert pair.api.post(f"{url}/users/u0/unhide").status_code in (200, 204)


def test_an_erased_user_gives_room_back(pair: Pair) -> None:
    for i in range(USERS):
        assert pair.grant(pair.hog, user=f"gone-{i}").status_code == 201
    pair.stack.wait_flushed()
    erased = pair.stack.run("erase", "gone-3")
    assert erased.returncode == 0, erased.stderr
    assert pair.grant(pair.hog, user="one-more").status_code == 201
    assert refusal(pair.grant(pair.hog, user="gone-3")) == (422, "quota_exceeded", "$.user_id")


def test_boards_without_end(pair: Pair) -> None:
    now = datetime.now(UTC)
    grants = [
        {"grant_id": f"b{i}", "user_id": "u", "amount": 1, "category": f"c{i % 9}", "granted_at": at.isoformat()}
        for i in range(60)
        for at in [now - timedelta(days=i // 9)]
    ]
    body = pair.batch(pair.hog, grants).json()
    assert body["applied"] > 0
    assert body["rejected"] > 40
    error = body["results"][-1]["error"]
    assert (error["code"], error["status"], error["field"], error["retryable"]) == ("quota_exceeded", 422, "$", False)
    assert f"{BOARDS} (LEADERBOARD_NAMESPACE_BOARDS_MAX)" in error["detail"]
    with redis.Redis.from_url(pair.stack.valkey.url) as direct:
        row = direct.keys(f"lb:{{*}}:ns:{number_of(pair, pair.hog)}")
        fields = direct.hkeys(row[0])
        assert sum(field.startswith(b"v:") for field in fields) <= BOARDS
        assert not direct.keys(f"lb:{{*}}:b:{number_of(pair, pair.hog)}:*:c8"), "nothing of a refused grant is there"
    # Boards that are there take more; who moves a grant to a board that is not there is an editor, not a grant.
    assert pair.grant(pair.hog, user="v", category="c0").status_code == 201
    assert pair.api.patch(f"/v1/namespaces/{pair.hog}/grants/b0", json={"category": "new"}).status_code == 200
    assert refusal(pair.grant(pair.hog, category="newer")) == (422, "quota_exceeded", "$")
    pair.other_goes_on()


def number_of(pair: Pair, space: str) -> int:
    with redis.Redis.from_url(pair.stack.valkey.url) as direct:
        published = direct.hget(keys.DIRECTORY, space)
    assert isinstance(published, bytes)
    return int(msgspec.json.decode(published.partition(b" ")[2])["id"])


def test_log_without_end(pair: Pair) -> None:
    """The ledger stands still; one writer fills the log."""
    stack = pair.stack
    stack.wait_flushed()
    stack.stop("persist")
    try:
        answers = [pair.grant(pair.hog) for _ in range(LOG)]
        statuses = [answer.status_code for answer in answers]
        taken = statuses.count(201)
        assert LOG // 4 <= taken <= LOG // 2
        assert statuses == [201] * taken + [429] * (LOG - taken)
        assert refusal(answers[-1])[:2] == (429, "rate_limited")
        assert answers[-1].headers["retry-after"] == "1"
        batch = pair.batch(pair.hog, [{"grant_id": f"b{i}", "user_id": "u", "amount": 1} for i in range(9)])
        assert refusal(batch)[:2] == (429, "rate_limited")
        assert batch.headers["retry-after"] == "1"
        for _ in range(USERS):
            pair.other_goes_on()
        assert pair.api.get("/readyz").status_code == 200
        with redis.Redis.from_url(stack.valkey.url) as direct:
            before = direct.hget(keys.meta(partition_of(pair.hog, GROUP, 16)), "seq")
            assert pair.grant(pair.hog).status_code == 429
            assert direct.hget(keys.meta(partition_of(pair.hog, GROUP, 16)), "seq") == before
    finally:
        stack.start("persist")
    stack.wait_flushed()
    again = pair.api.post(f"/v1/namespaces/{pair.hog}/grants", json={"grant_id": "b0", "user_id": "u", "amount": 1})
    assert again.status_code == 201, "once the ledger has caught up the same grant is taken"


def test_namespaces_without_end(tight: Stack) -> None:
    made = tight.run("keys", "create", "--scope", "admin:mine-*")
    assert made.returncode == 0, made.stderr
    with tight.client(made.stdout.strip()) as mine, tight.client() as operator:
        for i in range(SPACES):
            assert mine.put(f"/v1/namespaces/mine-{i}", json={}).status_code == 201
        refused = mine.put("/v1/namespaces/mine-more", json={})
        assert refusal(refused) == (422, "quota_exceeded", "{namespace}")
        assert f"{SPACES} (LEADERBOARD_KEY_NAMESPACES_MAX)" in refused.json()["detail"]
        assert mine.get("/v1/namespaces/mine-more").status_code == 404
        assert mine.put("/v1/namespaces/mine-0", json={"scale": 1}).status_code == 200
        assert operator.put("/v1/namespaces/operators", json={}).status_code == 201
        assert mine.delete("/v1/namespaces/mine-1?confirm=mine-1").status_code == 204
        assert mine.put("/v1/namespaces/mine-more", json={}).status_code == 201
        assert refusal(mine.put("/v1/namespaces/mine-1", json={})) == (422, "quota_exceeded", "{namespace}")


def test_namespaces_that_are_made_at_the_same_time(tight: Stack) -> None:
    """Requests of one key that arrive together make no more namespaces than those that come in turn."""
    made = tight.run("keys", "create", "--scope", "admin:crowd-*")
    assert made.returncode == 0, made.stderr
    with tight.client(made.stdout.strip()) as crowd, ThreadPoolExecutor(12) as threads:

        def put(name: str) -> httpx.Response:
            return crowd.put(f"/v1/namespaces/{name}", json={})

        for attempt in range(3):
            names = [f"crowd-{attempt}-{i}" for i in range(6 * SPACES)]
            answers = list(threads.map(put, names))
            statuses = Counter(answer.status_code for answer in answers)
            assert statuses == {201: SPACES, 422: 5 * SPACES}, [answer.text for answer in answers]
            assert {refusal(answer) for answer in answers if answer.status_code == 422} == {
                (422, "quota_exceeded", "{namespace}")
            }
            for name, answer in zip(names, answers, strict=True):
                if answer.status_code == 201:
                    assert crowd.delete(f"/v1/namespaces/{name}?confirm={name}").status_code == 204


def test_quotas_that_are_off_bound_nothing(tight: Stack) -> None:
    """As `leaderboard dev` starts."""
    tight.stop("serve")
    tight.extra["LEADERBOARD_QUOTAS"] = "off"
    try:
        tight.start("serve")
        with tight.client() as api:
            assert api.put("/v1/namespaces/free", json={}).status_code == 201
            grants = [{"grant_id": f"f{i}", "user_id": f"u{i}", "amount": 1} for i in range(2 * USERS)]
            assert api.post("/v1/namespaces/free/grants", json=grants).json()["applied"] == 2 * USERS
    finally:
        tight.stop("serve")
        del tight.extra["LEADERBOARD_QUOTAS"]
        tight.start("serve")
