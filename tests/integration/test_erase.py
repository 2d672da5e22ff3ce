"""Erasing a user, over HTTP and on real parts: afterwards nothing tells of them, and every sum is what it was."""

import asyncio
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import quote

import httpx
import psycopg
import pytest

from app.drivers.redis import Call, RedisConnection
from app.model.profile import NamespaceProfile, Profile
from app.store import keys
from app.store.changes import WRITE_PROFILE
from app.store.profile_cache import name_call, own_name_call
from tests.conftest import Stack
from tests.support.waits import until

NAME = "Zoë/otter-4711"
PATH = f"/v1/users/{quote(NAME, safe='')}"
SECRET = "whiskers-9000"
AT = "2021-07-18T12:00:00Z"


def body(grant_id: str, user: str = NAME, amount: int = 5, **fields: Any) -> dict[str, Any]:
    return {"grant_id": grant_id, "user_id": user, "amount": amount, "granted_at": AT} | fields


def texts_in_redis(direct: Any) -> Iterator[bytes]:
    """Every key, field, member and value but the logs, whose tails go when they are trimmed."""
    for key in direct.scan_iter(count=1000):
        yield key
        match direct.type(key):
            case b"hash":
                for pair in direct.hgetall(key).items():
                    yield from pair
            case b"zset":
                yield from direct.zrange(key, 0, -1)
            case b"string":
                yield direct.get(key)


def texts_in_postgres(stack: Stack) -> Iterator[str]:
    """Every row of every table, bytes as hex."""
    with psycopg.connect(stack.postgres.url) as db:
        tables = db.execute("SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'").fetchall()
        for (table,) in tables:
            yield from (row[0] for row in db.execute(f'SELECT t::text FROM "{table}" t').fetchall())


def traces(stack: Stack) -> list[Any]:
    with stack.store() as direct:
        traces_left: list[Any] = [one for one in texts_in_redis(direct) for word in _words() if word in one]
    for text in texts_in_postgres(stack):
        traces_left += [text for word in _words() if word.decode() in text or word.hex() in text]
    return traces_left


def _words() -> list[bytes]:
    return [NAME.encode(), SECRET.encode()]


def sums(stack: Stack) -> list[Any]:
    with psycopg.connect(stack.postgres.url) as db:
        return [
            db.execute(
                "SELECT namespace_id, sum(score_delta), sum(live_delta) FROM ledger GROUP BY 1 ORDER BY 1"
            ).fetchall(),
            db.execute("SELECT namespace_id, sum(score), sum(grants) FROM standings GROUP BY 1 ORDER BY 1").fetchall(),
            db.execute(
                "SELECT kind, grant_id, user_number, score_delta FROM ledger WHERE kind <> 'erase' ORDER "
                "BY seq, partition"
            ).fetchall(),
        ]


def fill(stack: Stack, api: httpx.Client) -> None:
    """Four namespaces, a profile with opt-out taken back, corrections, and a grant that was set aside."""
    for name, rules in (("race", {"category_boards": True}), ("laps", {"tie_break": "earliest", "ranking": "dense"})):
        api.put(f"/v1/namespaces/{name}", json={"accept_past": None} | rules).raise_for_status()
    for name in ("best", "latest"):
        api.put(f"/v1/namespaces/{name}", json={"accept_past": None, "aggregation": name}).raise_for_status()
    for space in ("race", "laps", "best", "latest"):
        for number in range(3):
            grant = body(f"z{number}", category="red", source="race", meta={"pet": SECRET}, amount=5 + number)
            grant |= {"source_id": f"{SECRET}:{number}", "session_id": f"at {SECRET}"}
            api.post(f"/v1/namespaces/{space}/grants", json=grant).raise_for_status()
        api.post(f"/v1/namespaces/{space}/grants", json=body("b1", "bob")).raise_for_status()
    stack.wait_flushed()
    api.delete("/v1/namespaces/race/grants/z2", params={"reason": f"for {SECRET}"}).raise_for_status()
    api.put("/v1/namespaces/odd", json={"accept_past": None, "amount_max": 1, "suspicious": "quarantine"})
    api.post("/v1/namespaces/odd/grants", json=body("q1", source="race", source_id=SECRET)).raise_for_status()
    api.put(PATH, json={"display_name": f"{SECRET}!", "opt_out": True}).raise_for_status()
    api.put(PATH, json={"display_name": f"{SECRET}!"}).raise_for_status()
    # What counted twice: the seen generation forgot it, and only the ledger knew.
    with stack.store() as direct:
        for p in range(16):
            direct.delete(keys.dedup(p, 1))
    api.post("/v1/namespaces/race/grants", json=body("z0", category="red", meta={"pet": SECRET})).raise_for_status()
    api.post("/v1/namespaces/laps/grants", json=body("z9", amount=1)).raise_for_status()
    stack.wait_flushed()
    heals = "SELECT count(*) FROM ledger WHERE kind = 'heal'"
    with psycopg.connect(stack.postgres.url, autocommit=True) as db:
        until(lambda: db.execute(heals).fetchone() == (1,), "the duplicate is not taken back")
    for query in ({}, {"category": "red"}):
        entries = api.get("/v1/namespaces/race/boards/all", params={"user": NAME, **query}).json()["entries"]
        assert [e["score"] for e in entries] == [11], "from every board that it was counted on"


def erase(stack: Stack, api: httpx.Client) -> None:
    """Erases the user by a request. On a busy machine the request may stop waiting, as tests/unit/test_erasures.py
    holds; the erasure goes on."""
    answer = api.delete(PATH)
    if answer.status_code == 202:
        assert answer.json() == {"user_id": NAME, "status": "erasing"}
        until(lambda: not traces_of_intent(stack), "the erasure does not end", 60)
    else:
        assert (answer.status_code, answer.content) == (204, b"")


def check_erased(stack: Stack, api: httpx.Client, before: list[Any]) -> None:
    assert traces(stack) == []
    whole = stack.run("verify", "--chain", "--quiet")
    assert (whole.returncode, whole.stdout, whole.stderr) == (0, "", ""), "the chain holds without the texts"
    assert sums(stack) == before
    for space in ("race", "laps", "best", "latest"):
        body = api.get(f"/v1/namespaces/{space}/boards/all").json()
        assert (body["total"], [e["user_id"] for e in body["entries"]]) == (1, ["bob"])
        assert api.get(f"/v1/namespaces/{space}/users/{quote(NAME, safe='')}").status_code == 404
    assert [e["user_id"] for e in api.get("/v1/namespaces/race/boards/all?category=red").json()["entries"]] == []
    for url in (PATH, f"{PATH}/standings"):
        assert api.get(url).json()["code"] == "user_not_found"
    answer = api.get("/v1/namespaces/race/grants/z1").json()
    assert (answer["user_id"], answer["amount"], answer["meta"]) == (None, 6, None)
    past = api.get("/v1/namespaces/race/boards/all", params={"as_of": "2100-01-01T00:00:00Z"}).json()
    assert [e["user_id"] for e in past["entries"]] == ["bob"]


def test_nothing_tells_of_an_erased_user_and_the_name_is_a_new_ones(own_stack: Stack) -> None:
    with own_stack.client() as api:
        fill(own_stack, api)
        assert len(traces(own_stack)) > 20, "else this test sees nothing"
        before = sums(own_stack)
        erase(own_stack, api)
        check_erased(own_stack, api, before)
        events = api.get("/v1/namespaces/race/events?limit=1000").json()["events"]
        assert {e.get("user_id") for e in events} == {None, "bob"}
        assert [e["type"] for e in events].count("user_erased") == 1
        with own_stack.store() as direct:
            assert not any(direct.exists(keys.hidden(p)) for p in range(16))

        void = api.delete("/v1/namespaces/race/grants/z1")
        assert (void.status_code, void.json()["code"]) == (409, "user_erased")
        assert api.delete(PATH).json()["code"] == "user_not_found"
        retry = api.post("/v1/namespaces/laps/grants", json=body("z9", amount=1))
        assert (retry.status_code, retry.json()["status"]) == (200, "duplicate"), "a grant_id stays taken"

        fresh = api.post("/v1/namespaces/race/grants", json=body("new", amount=2, meta={"pet": "another"})).json()
        assert (fresh["score"], fresh["previous_score"]) == (2, None)
        own_stack.wait_flushed()
        with psycopg.connect(own_stack.postgres.url) as db:
            numbers = db.execute(
                "SELECT DISTINCT user_number FROM ledger WHERE grant_id IN ('z0', 'new') AND user_number IS NOT NULL"
            ).fetchall()
        assert len(numbers) == 2, "the persister knew the old number by that name"
        assert api.get(PATH).json()["display_name"] is None
        (standing,) = api.get(f"{PATH}/standings").json()["standings"]
        assert (standing["score"], standing["grants"]) == (2, 1)
        board = api.get("/v1/namespaces/race/boards/all").json()["entries"]
        assert [(e["user_id"], e["score"]) for e in board] == [("bob", 5), (NAME, 2)]
        erase(own_stack, api)
        own_stack.wait_flushed()
        assert len(api.get("/v1/namespaces/race/boards/all").json()["entries"]) == 1


def test_a_hidden_user_is_erased_by_the_command(own_stack: Stack) -> None:
    with own_stack.client() as api:
        fill(own_stack, api)
        assert api.post(f"{PATH}/hide").json()["pending"] == 0
        own_stack.wait_flushed()
        before = sums(own_stack)
        done = own_stack.run("erase", NAME)
        assert (done.returncode, done.stderr) == (0, "")
        check_erased(own_stack, api, before)
        again = own_stack.run("erase", NAME)
        assert (again.returncode, again.stderr) == (
            1,
            f"leaderboard: {NAME!r} has neither a profile nor a grant\n",
        )


def test_an_erasure_is_finished_whichever_process_ends(own_stack: Stack) -> None:
    with own_stack.client() as api:
        fill(own_stack, api)
        before = sums(own_stack)
        own_stack.kill("persist")
        answer = api.delete(PATH)
        assert (answer.status_code, answer.json()) == (202, {"user_id": NAME, "status": "erasing"})
        refused = api.post("/v1/namespaces/race/grants", json=body("late"))
        assert (refused.status_code, refused.json()["code"]) == (503, "user_erasing")
        assert "retry-after" in refused.headers
        for call in (("PUT", PATH), ("POST", f"{PATH}/hide"), ("POST", f"{PATH}/unhide")):
            response = api.request(*call, json={} if call[0] == "PUT" else None)
            assert (response.status_code, response.json()["code"]) == (503, "user_erasing")
        correction = api.delete("/v1/namespaces/race/grants/z1")
        assert (correction.status_code, correction.json()["code"]) == (503, "user_erasing")
        assert own_stack.run("migrate").returncode == 0
        own_stack.kill("serve")
        pause = 0.9
        while traces_of_intent(own_stack):
            own_stack.start("persist")
            time.sleep(pause)  # not to wait for anything: when it dies is to differ
            own_stack.kill("persist")
            pause += 0.15
            assert pause < 5
        own_stack.start("persist")
        own_stack.start("serve")
        check_erased(own_stack, api, before)


def traces_of_intent(stack: Stack) -> bool:
    with psycopg.connect(stack.postgres.url) as db:
        return bool(db.execute("SELECT FROM visibility_intents").fetchall())


def test_a_profile_that_is_still_to_be_shown_does_not_bring_a_name_back(own_stack: Stack) -> None:
    """Its writer stood still between Postgres and Redis."""
    with own_stack.client() as api:
        api.put("/v1/namespaces/race", json={"accept_past": None}).raise_for_status()
        api.post("/v1/namespaces/race/grants", json=body("z1")).raise_for_status()
        for path in (PATH, PATH.replace("/v1/", "/v1/namespaces/race/")):
            api.put(path, json={"display_name": SECRET}).raise_for_status()
        own_stack.wait_flushed()
        with psycopg.connect(own_stack.postgres.url) as db:
            own, wide = (
                db.execute(f"SELECT max(version) FROM profiles WHERE namespace_id {sign} 0").fetchall()[0][0]
                for sign in (">", "=")
            )
            ((number, p),) = db.execute("SELECT id, partition FROM namespaces WHERE name = 'race'").fetchall()
        erase(own_stack, api)
        late: list[Call] = [
            name_call(NAME, wide, Profile(display_name=SECRET)),
            own_name_call(
                p, namespace_id=number, user=NAME, version=own, profile=NamespaceProfile(display_name=SECRET)
            ),
        ]

        async def write() -> list[Any]:
            link = RedisConnection(own_stack.redis.url, [WRITE_PROFILE])
            try:
                return await link.run(late)
            finally:
                await link.close()

        assert asyncio.run(write()) == [-1, -1]
        assert traces(own_stack) == []
        api.put(PATH, json={"display_name": "new"}).raise_for_status()
        assert api.get(PATH).json()["display_name"] == "new"


@pytest.mark.parametrize("turn", range(3))
def test_grants_under_way_are_the_old_users_or_the_new_ones(own_stack: Stack, turn: int) -> None:
    """Whatever is acknowledged counts once, under the old number before the erasure or under the new one after it."""

    def write(number: int) -> int:
        with own_stack.client() as client:
            for i in range(60):
                while (
                    client.post("/v1/namespaces/race/grants", json=body(f"{number}-{i}", amount=1)).status_code == 503
                ):
                    time.sleep(0.02)
        return 60

    with own_stack.client() as api:
        api.put("/v1/namespaces/race", json={"accept_past": None}).raise_for_status()
        api.post("/v1/namespaces/race/grants", json=body("first", amount=1)).raise_for_status()
        own_stack.wait_flushed()
        with ThreadPoolExecutor(3) as threads:
            writers = [threads.submit(write, number) for number in range(3)]
            time.sleep(0.02 * turn)
            assert api.delete(PATH).status_code in (202, 204)
            count = 1 + sum(writer.result() for writer in writers)
        own_stack.wait_flushed()
        with psycopg.connect(own_stack.postgres.url) as db:
            rows = db.execute(
                """SELECT u.name, sum(l.score_delta), count(*) FILTER (WHERE kind = 'grant') FROM ledger l
                   JOIN users u ON u.number = l.user_number GROUP BY 1 ORDER BY 1"""
            ).fetchall()
        (old, old_sum, old_count), (new, new_sum, new_count) = rows
        assert (old[0], new, old_sum + new_sum, old_count + new_count) == ("\x01", NAME, count, count)
        (entry,) = api.get("/v1/namespaces/race/boards/all").json()["entries"]
        assert entry["score"] == new_sum
