"""`leaderboard rebuild --from-redis`: rows that Postgres lost, and no log holds, are recorded as Redis has them."""

import signal
import time
from typing import Any

import httpx
import psycopg
import pytest

from app.model.namespace import partition_of
from app.recover.state_taking import STATE_LOCK
from tests.integration.test_rebuild import run_dying, settle
from tests.support.checked_deployment import verify
from tests.support.older_postgres import copy_postgres, swap_postgres
from tests.support.random_writers import Writers
from tests.support.redis_state import differences, namespace_state
from tests.support.sealed_namespace import DAY, Space
from tests.support.waits import until

SPACES: dict[str, dict[str, Any]] = {
    "plain": {"streaks": True, "bounded_sums": True, "category_boards": True},
    "first": {"tie_break": "earliest", "ranking": "dense", "category_boards": True},
    "moments": {"tie_break": "granted_at", "bounded_sums": True, "ranking": "ordinal"},
    "highest": {"aggregation": "best", "tie_break": "earliest", "ranking": "dense"},
    "lowest": {"aggregation": "best", "order": "asc", "tie_break": "granted_at"},
    "latest": {"aggregation": "latest", "tie_break": "earliest", "category_boards": True},
}
USERS = ("ann", "bob", "cleo", "dora", "eve")


def give(api: httpx.Client, first: int, count: int) -> None:
    """Grants in each namespace: ties, zeros, and amounts that fall."""
    for name in SPACES:
        grants = [
            {
                "grant_id": f"g{i}",
                "user_id": USERS[i % 4 if i < 20 else 1 + i % 4],
                "amount": (3, 0, 5, 3, 2, 7, 1)[i % 7],
                "category": ("red", "blue", None)[i % 3],
                "source": "race",
            }
            for i in range(first, first + count)
        ]
        answer = api.post(f"/v1/namespaces/{name}/grants", json=grants)
        assert answer.status_code == 200, answer.text


def lose_log(stack: Any) -> None:
    """The logs keep nothing that the ledger has but its last entry, as they do once their tail is old."""
    with stack.store() as store:
        for key in store.scan_iter(match="lb:*:meta"):
            place = store.hget(key, "flushed")
            if place is not None:
                store.xtrim(key.replace(b":meta", b":log"), minid=place, approximate=False)


def wait_closed(stack: Any) -> None:
    """Waits until the persister has found that the ledger lacks rows, wherever it does."""

    def are_closed() -> bool:
        with stack.store() as store:
            heads = [store.hmget(key, "seq", "closed") for key in store.scan_iter(match="lb:*:meta")]
        return all(closed is not None for seq, closed in heads if int(seq))

    until(are_closed, "partitions stay open")


def lose(stack: Any, api: httpx.Client) -> None:
    """Postgres comes back older than the logs reach: it lacks the grants 10 to 19, and one of zoe."""
    copy_postgres(stack)
    stack.wait_ready()
    for name in SPACES:
        grant = {"grant_id": "lost", "user_id": "zoe", "amount": 4}
        assert api.post(f"/v1/namespaces/{name}/grants", json=grant).status_code == 201
    give(api, 10, 10)
    stack.wait_flushed()
    lose_log(stack)
    give(api, 20, 10)
    stack.wait_flushed()
    swap_postgres(stack)
    wait_closed(stack)


def test_what_no_log_holds_is_recorded_as_redis_has_it(own_stack: Any) -> None:
    with own_stack.client() as api:
        for name, rules in SPACES.items():
            assert api.put(f"/v1/namespaces/{name}", json=rules).status_code == 201
        give(api, 0, 10)
        assert api.post("/v1/users/bob/hide").status_code == 200
        own_stack.wait_flushed()
        lose(own_stack, api)
        before = namespace_state(own_stack.redis.url)
        assert api.get("/v1/namespaces/plain/boards/all").status_code == 200
        grant = {"grant_id": "late", "user_id": "ann", "amount": 1}
        answer = api.post("/v1/namespaces/plain/grants", json=grant)
        assert (answer.status_code, answer.json()["code"]) == (503, "recovering"), answer.text
        refused = own_stack.run("rebuild", "--quiet")
        assert (refused.returncode, "rebuild --from-redis" in refused.stderr) == (1, True), refused
        recorded = own_stack.run("rebuild", "--from-redis", "--quiet")
        assert recorded.returncode == 0, recorded
        assert "the ledger lost 10 entries, seq 13 to 22; recorded " in recorded.stdout
        assert " numbers of 5 users as Redis has them" in recorded.stdout
        own_stack.wait_ready()
        own_stack.wait_flushed()
        assert differences(before, namespace_state(own_stack.redis.url)) == []
        assert verify(own_stack) == (0, [])
        users = api.get("/v1/namespaces/plain/users", params={"q": "ZO"}).json()["users"]
        assert [user["user_id"] for user in users] == ["zoe"], "searches find who came in the lost part"
        check_answers(api)
        give(api, 25, 10)
        correct(api)
        settle(own_stack)
        before = namespace_state(own_stack.redis.url)
        with own_stack.store() as store:
            store.flushall()
        assert own_stack.run("rebuild", "--quiet").returncode == 0
        own_stack.wait_ready()
        assert unlike(before, namespace_state(own_stack.redis.url)) == []
        settle(own_stack)


@pytest.mark.full
def test_a_recording_that_was_killed_is_begun_anew(own_stack: Any) -> None:
    with own_stack.client() as api:
        for name, rules in SPACES.items():
            assert api.put(f"/v1/namespaces/{name}", json=rules | {"group": "one"}).status_code == 201
        give(api, 0, 10)
        own_stack.wait_flushed()
        lose(own_stack, api)
        before = namespace_state(own_stack.redis.url)
        (p,) = {partition_of(name, "one", 16) for name in SPACES}
        for portions in (2, 3):
            assert run_dying(own_stack, p, portions, "from-redis") == -signal.SIGKILL
            for command in ("recover", "rebuild"):
                refused = own_stack.run(command, "--quiet", "--partition", str(p))
                assert refused.returncode == 1, refused
                assert "run leaderboard rebuild --from-redis" in refused.stdout + refused.stderr
            assert api.get("/v1/namespaces/plain/boards/all").status_code == 200
        recorded = own_stack.run("rebuild", "--from-redis", "--quiet")
        assert recorded.returncode == 0, recorded
        own_stack.wait_ready()
        own_stack.wait_flushed()
        assert differences(before, namespace_state(own_stack.redis.url)) == []
        settle(own_stack)


@pytest.mark.full
def test_lost_corrections_are_named_and_repaired_under_load(own_stack: Any) -> None:
    """Letters in quarantine, closed windows, and corrections of grants that are lost themselves."""
    with Writers(own_stack, 3, has_state=False):
        time.sleep(3)
        copy_postgres(own_stack)
        time.sleep(3)
        lose_log(own_stack)
        time.sleep(1)
        swap_postgres(own_stack)
        time.sleep(3)
        recorded = own_stack.run("rebuild", "--from-redis", "--quiet")
        assert recorded.returncode == 0, recorded
        assert "a correction is lost, or more" in recorded.stdout
        time.sleep(3)
    own_stack.wait_ready()
    own_stack.wait_flushed()
    assert own_stack.run("repair", "--quiet").returncode == 0
    own_stack.wait_ready()
    settle(own_stack)


def check_answers(api: httpx.Client) -> None:
    """What a client learns of a grant that Postgres lost, and of its user."""
    plain = "/v1/namespaces/plain"
    again = api.post(f"{plain}/grants", json={"grant_id": "lost", "user_id": "zoe", "amount": 4})
    assert (again.status_code, again.json()["status"], again.json()["score"]) == (200, "duplicate", 4)
    for answer in (api.get(f"{plain}/grants/lost"), api.delete(f"{plain}/grants/lost")):
        assert (answer.status_code, answer.json()["code"]) == (404, "grant_not_found"), answer.text
    (event,) = api.get(f"{plain}/events?type=lost").json()["events"]
    assert event["entries"] == event["last_seq"] - event["first_seq"] + 1 >= 10
    events = api.get(f"{plain}/events?type=loss_recorded").json()["events"]
    assert ("zoe", 4, 4) in [(event["user_id"], event["change"], event["score"]) for event in events]
    explained = api.get(f"{plain}/users/zoe/explain").json()
    assert (explained["score"], explained["lost"], explained["grants"]) == (4, 4, [])
    for name in SPACES:
        for user in ("ann", "cleo", "eve", "zoe"):
            score = api.get(f"/v1/namespaces/{name}/users/{user}").json()["score"]
            explained = api.get(f"/v1/namespaces/{name}/users/{user}/explain").json()
            assert explained["score"] == score, (name, user, explained)


def test_a_log_that_begins_behind_a_rebuild_is_no_letter(own_stack: Any) -> None:
    """Its first entry is the ledger's last one of then, without a body."""
    with own_stack.client() as api:
        assert api.put("/v1/namespaces/plain", json=SPACES["plain"]).status_code == 201
        grants = [{"grant_id": f"g{i}", "user_id": USERS[i % 3], "amount": i} for i in range(20)]
        assert api.post("/v1/namespaces/plain/grants", json=grants[:10]).status_code == 200
        own_stack.wait_flushed()
        copy_postgres(own_stack)
        own_stack.wait_ready()
        assert api.post("/v1/namespaces/plain/grants", json=grants[10:]).status_code == 200
        own_stack.wait_flushed()
        before = namespace_state(own_stack.redis.url)
        with own_stack.store() as store:
            store.flushall()
        assert own_stack.run("rebuild", "--quiet").returncode == 0
        own_stack.wait_ready()
        swap_postgres(own_stack)
        until(lambda: api.get("/readyz").status_code == 503, "the partition stays open")
        recorded = own_stack.run("rebuild", "--from-redis", "--quiet")
        assert recorded.returncode == 0, recorded
        assert "the ledger lost 10 entries, seq 11 to 20; recorded " in recorded.stdout
        assert " numbers of 3 users as Redis has them" in recorded.stdout
        own_stack.wait_ready()
        own_stack.wait_flushed()
        assert differences(before, namespace_state(own_stack.redis.url)) == []
        assert verify(own_stack) == (0, [])


def unlike(before: Any, after: Any) -> list[str]:
    """What a rebuild did not bring back. When users changed last is as the ledger knows it: some are behind a gap."""
    return [line for line in differences(before, after) if line.split(" ")[1] not in ("seq:", "corrected:", "at:")]


def correct(api: httpx.Client) -> None:
    """Grants that the ledger has, some of them each user's last but what is lost."""
    for name in SPACES:
        for i in (1, 4, 22, 26):
            assert api.delete(f"/v1/namespaces/{name}/grants/g{i}").status_code == 200
        assert api.patch(f"/v1/namespaces/{name}/grants/g5", json={"amount": 4}).status_code == 200


def test_a_log_that_begins_right_behind_the_ledger_goes_on(own_stack: Any) -> None:
    """One grant came since the dump: no row is lost, but the log does not hold the ledger's last entry any more."""
    with own_stack.client() as api:
        assert api.put("/v1/namespaces/plain", json=SPACES["plain"]).status_code == 201
        assert grant_one(api, "ann") == 201
        own_stack.wait_flushed()
        copy_postgres(own_stack)
        own_stack.wait_ready()
        assert grant_one(api, "bob") == 201
        own_stack.wait_flushed()
        lose_log(own_stack)
        before = namespace_state(own_stack.redis.url)
        swap_postgres(own_stack)
        wait_closed(own_stack)
        recorded = own_stack.run("rebuild", "--from-redis", "--quiet")
        assert recorded.returncode == 0, recorded
        own_stack.wait_ready()
        own_stack.wait_flushed()
        assert differences(before, namespace_state(own_stack.redis.url)) == []
        assert api.get("/v1/namespaces/plain/events?type=lost").json()["events"] == []
        assert grant_one(api, "cleo") == 201
        settle(own_stack)


def test_a_partition_that_is_gone_from_redis_tells_nothing_of_its_users(own_stack: Any) -> None:
    """Nobody is erased or shown for what Redis has lost itself, and the report says how the partition comes back."""
    race = "/v1/namespaces/race"
    with own_stack.client() as api:
        for name in ("race", "other"):
            assert api.put(f"/v1/namespaces/{name}").status_code == 201
            for user in ("ann", "bob", "cleo", "ghost"):
                assert grant_one(api, user, name) == 201
        for user in ("ann", "bob"):
            assert api.put(f"{race}/users/{user}", json={"display_name": user.title()}).status_code == 200
        assert api.post(f"{race}/users/cleo/hide").status_code == 200
        own_stack.wait_flushed()
        own_stack.wait_published()
        copy_postgres(own_stack)
        own_stack.wait_ready()
        assert api.post("/v1/users/ann/hide").status_code == 200
        # Versions of states and of profiles that are gone are beyond those of all others.
        assert api.delete("/v1/users/ghost").status_code in (202, 204)
        until(lambda: not own_stack.sql("SELECT 1 FROM users WHERE name = 'ghost'"), "an erasure is not done")
        swap_postgres(own_stack)
        p = partition_of("race", None, 16)
        with own_stack.store() as store:
            store.delete(*store.scan_iter(match=f"lb:{{{p}}}:*"))
        taken = own_stack.run("rebuild", "--from-redis", "--quiet")
        # What the other partition lacks tells of the ghost alone.
        assert (taken.returncode, "hidden users 1" in taken.stdout, "erasures 1," in taken.stdout) == (1, True, True)
        assert f"run leaderboard rebuild --partition {p}" in taken.stderr
        assert own_stack.run("rebuild", "--quiet", "--partition", str(p)).returncode == 0
        own_stack.wait_ready()
        rows = api.get(f"{race}/boards/all").json()["entries"]
        users = {row["user_id"]: row["display_name"] for row in rows}
        assert (users["bob"], users.keys() & {"ann", "cleo", "ghost"}) == ("Bob", set())


def test_who_cannot_take_anything_back_is_told_why(own_stack: Any) -> None:
    """Where another one takes the state back, of a partition that there is none of, and from an empty Redis."""

    def refusal(*args: str) -> str:
        refused = own_stack.run("rebuild", "--from-redis", "--quiet", *args)
        assert (refused.returncode, "Traceback" in refused.stderr) == (1, False), refused
        return str(refused.stderr)

    with psycopg.connect(own_stack.postgres.url, autocommit=True) as other:
        other.execute("SELECT pg_advisory_lock(%s)", (STATE_LOCK,))
        assert "another rebuild --from-redis takes the state back" in refusal()
    assert "the deployment has partitions 0 to 15" in refusal("--partition", "16")
    with own_stack.store() as store:
        store.flushall()
    assert "run leaderboard rebuild, if it is the right one" in refusal()


def test_a_window_that_was_closed_in_the_gap_keeps_its_lost_scores(own_stack: Any) -> None:
    with own_stack.client() as api:
        space = Space(own_stack, api, "race")
        for user, amount in (("ann", 1), ("bob", 2)):
            assert space.grant(user, amount).status_code == 201
        own_stack.wait_flushed()
        copy_postgres(own_stack)
        own_stack.wait_ready()
        for user, amount in (("ann", 10), ("zoe", 5)):
            assert space.grant(user, amount).status_code == 201
        own_stack.wait_flushed()
        own_stack.kill("persist")
        ((number, p),) = own_stack.sql("SELECT id, partition FROM namespaces WHERE name = 'race'")
        with own_stack.store() as store:
            store.hset(f"lb:{{{p}}}:ns:{number}", f"x:{DAY}", "s")  # As its seal does, which Postgres loses.

        def is_closed() -> bool:
            with own_stack.store() as store:
                return store.hget(f"lb:{{{p}}}:meta", "closed") is not None

        own_stack.start("persist")
        own_stack.wait_ready()
        assert grant_one(api, "eve", "race") == 201
        own_stack.wait_flushed()
        lose_log(own_stack)
        assert grant_one(api, "dora", "race") == 201
        own_stack.wait_flushed()
        swap_postgres(own_stack)
        until(is_closed, "the partition stays open")
        assert own_stack.run("rebuild", "--from-redis", "--quiet").returncode == 0
        own_stack.wait_ready()
        until(lambda: DAY in space.archived(), "the window does not get into the archive")
        scores = {"ann": 11, "bob": 2, "zoe": 5}
        assert space.scores() == scores
        with own_stack.store() as store:
            store.flushall()
        assert own_stack.run("rebuild", "--quiet").returncode == 0
        own_stack.wait_ready()
        assert space.scores() == scores
        assert verify(own_stack) == (0, [])


def grant_one(api: httpx.Client, user: str, name: str = "plain") -> int:
    grant = {"grant_id": f"{user} {name}", "user_id": user, "amount": 1}
    return api.post(f"/v1/namespaces/{name}/grants", json=grant).status_code
