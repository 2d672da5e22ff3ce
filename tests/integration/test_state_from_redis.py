"""`rebuild --from-redis`: an older Postgres gets the deployment's state back, and nothing that was changed on it since
is dropped without a word."""

import time
from typing import Any

import httpx
import pytest

from app.admin.migrate import SCRIPTS
from app.drivers.postgres import Postgres
from app.drivers.redis import RedisConnection
from app.recover import state_from_redis
from app.settings import read_settings
from tests.integration.test_from_redis import lose_log
from tests.support.checked_deployment import verify
from tests.support.older_postgres import copy_postgres, swap_postgres
from tests.support.template import here

RACE = "/v1/namespaces/race"
BOARD = f"{RACE}/boards/all"
#: What Postgres has of the state, without what Redis does not know.
STATE = {
    "namespaces": "SELECT id, name, partition, rules FROM namespaces WHERE deleted_at IS NULL",
    "keys": "SELECT id, hash, scopes FROM api_keys WHERE revoked_at IS NULL",
    "hidden": """SELECT u.name, h.namespace_id, h.by_admin, h.opted_out FROM hidden_users h
                 JOIN users u ON u.number = h.user_number WHERE NOT erased""",
    "profiles": """SELECT u.name, p.namespace_id, p.display_name, p.avatar, p.timezone, p.opt_out, p.folded_name
                   FROM profiles p JOIN users u ON u.number = p.user_number""",
}


def state_of(stack: Any) -> dict[str, list[Any]]:
    return {what: sorted(map(repr, stack.sql(query))) for what, query in STATE.items()}


def put(client: httpx.Client, path: str, **body: Any) -> None:
    client.put(path, json=body).raise_for_status()


def post(client: httpx.Client, path: str) -> None:
    client.post(path).raise_for_status()


def grant(client: httpx.Client, user: str, name: str = "race") -> int:
    body = {"grant_id": f"{user}-{name}", "user_id": user, "amount": 1}
    return client.post(f"/v1/namespaces/{name}/grants", json=body).status_code


def settle(stack: Any) -> None:
    wait_gone(stack, "SELECT 1 FROM visibility_intents WHERE pending_partitions <> '{}'")
    stack.wait_flushed()
    stack.wait_published()


def wait_gone(stack: Any, query: str, *args: Any) -> None:
    deadline = time.monotonic() + 20
    while stack.sql(query, *args):
        assert time.monotonic() < deadline, query
        time.sleep(0.05)


def begin(stack: Any, client: httpx.Client) -> str:
    """What the older Postgres has. A key."""
    key: str = stack.new_key("read:*", "write:*")
    for name in ("race", "gone", "again"):
        put(client, f"/v1/namespaces/{name}")
    for user in ("seal", "otter", "fox", "crow", "mole"):
        assert grant(client, user) == 201
    put(client, "/v1/users/otter", display_name="Otter")
    put(client, "/v1/users/mole", display_name="Mole")
    put(client, f"{RACE}/users/crow", display_name="Crow")
    post(client, "/v1/users/fox/hide")
    settle(stack)
    return key


def change(stack: Any, client: httpx.Client, key: str) -> str:
    """What it lacks. A new key."""
    stack.revoke(key)
    new_key: str = stack.new_key("read:*", "write:late")
    post(client, "/v1/users/seal/hide")
    post(client, "/v1/users/fox/unhide")
    post(client, f"{RACE}/users/crow/hide")
    put(client, "/v1/users/newcomer", display_name="Newcomer", opt_out=True, timezone="Europe/Paris")
    put(client, "/v1/users/otter", display_name="Old Otter", avatar="https://example.com/o.png")
    put(client, f"{RACE}/users/crow", display_name="Old Crow")
    put(client, RACE, mode="shadow", accept_future="PT1H")
    for name in ("gone", "again"):
        client.delete(f"/v1/namespaces/{name}?confirm={name}").raise_for_status()
    for name in ("late", "again"):
        put(client, f"/v1/namespaces/{name}", tie_break="earliest")
    assert grant(client, "seal", "late") == grant(client, "otter", "late") == 201
    settle(stack)
    return new_key


def take_back(stack: Any) -> str:
    done = stack.run("rebuild", "--from-redis")
    assert done.returncode == 0, done
    stack.wait_ready()
    return str(done.stdout)


@pytest.mark.timeout(180)
def test_an_older_postgres_gets_the_state_back(own_stack: Any) -> None:
    with own_stack.client() as client:
        key = begin(own_stack, client)
        copy_postgres(own_stack)
        new_key = change(own_stack, client, key)
        state, board = state_of(own_stack), client.get(BOARD).json()["entries"]
        swap_postgres(own_stack)
        report = take_back(own_stack)
        assert state_of(own_stack) == state
        assert "deletions of namespaces 2, hidden users 3, namespaces 2, profiles 3, " in report
        settle(own_stack)
        assert client.get(BOARD).json()["entries"] == board
        with own_stack.client(key) as revoked, own_stack.client(new_key) as newcomer:
            assert revoked.get(BOARD).status_code == 401
            assert grant(newcomer, "mole", "late") == 201
        assert [row["user_id"] for row in client.get("/v1/namespaces/late/boards/all").json()["entries"]] == [
            *("otter", "mole")
        ]
        # What is changed from here on is beyond all that Redis has seen.
        post(client, "/v1/users/seal/unhide")
        post(client, "/v1/users/otter/hide")
        put(client, "/v1/namespaces/later")
        put(client, "/v1/users/otter", display_name="Otter again")
        settle(own_stack)
        ids = own_stack.sql("SELECT id FROM namespaces")
        assert len(ids) == len({number for (number,) in ids})
        users = {row["user_id"] for row in client.get(BOARD).json()["entries"]}
        assert users == {"seal", "fox", "mole"}
        assert own_stack.run("migrate").returncode == 0
        assert "Postgres has all that Redis was told of" in take_back(own_stack)

        # Redis goes, and Postgres has everything.
        before = client.get(BOARD).json()["entries"]
        with own_stack.store() as direct:
            direct.flushall()
        assert own_stack.run("rebuild").returncode == 0
        own_stack.wait_ready()
        assert client.get(BOARD).json()["entries"] == before
        settle(own_stack)
    assert own_stack.run("verify").returncode == 0


#: What an operator changes on the older Postgres, before it is known to be the older one.
LATER = """
UPDATE namespaces SET rules = jsonb_set(rules, '{mode}', '"frozen"'), version = nextval('rules_version')
    WHERE name = 'race';
UPDATE namespaces SET version = nextval('rules_version') WHERE name = 'gone';
INSERT INTO namespaces (name, partition, rules) SELECT 'fresh', partition, rules FROM namespaces WHERE name = 'race';
INSERT INTO namespaces (name, partition, rules) SELECT 'late', partition, rules FROM namespaces WHERE name = 'race';
UPDATE visibility_intents SET version = nextval('visibility_version') WHERE name = 'fox';
INSERT INTO visibility_intents (user_number, name, version, desired_state, pending_partitions)
    SELECT number, name, nextval('visibility_version'), 'unhide', '{}' FROM users WHERE name = 'seal';
UPDATE profiles SET display_name = 'Elder', folded_name = 'elder', version = nextval('profile_version')
    WHERE display_name = 'Otter';
INSERT INTO api_keys (id, hash, scopes) VALUES ('fresh', 'h', '{read:*}');
"""


@pytest.mark.timeout(180)
def test_what_was_changed_on_the_older_postgres_is_not_dropped_without_a_word(own_stack: Any) -> None:
    with own_stack.client() as client:
        key = begin(own_stack, client)
        copy_postgres(own_stack)
        change(own_stack, client, key)
        own_stack.kill("persist")
        swap_postgres(own_stack)
        for statement in LATER.split(";\n"):
            own_stack.sql(statement)
        report = take_back(own_stack)
        for sentence in (
            "namespace 'race' was changed on the older Postgres: it has the rules of Redis, and what was stricter",
            "namespace 'gone' was changed on the older Postgres, and is deleted in Redis: it is deleted",
            "namespace 'fresh' was made on the older Postgres: it has another id now",
            "namespace 'late' was made on the older Postgres, too",
            "'fox' was hidden on the older Postgres, and is shown in Redis: hidden",
            "'seal' was shown again on the older Postgres, and is hidden in Redis: hidden",
            "the profile of 'otter' was changed on the older Postgres: it stays so",
        ):
            assert sentence in report, report
        own_stack.start("persist")
        settle(own_stack)
        race = client.get(RACE).json()
        assert (race["mode"], race["accept_future"]) == ("frozen", "PT1H")
        assert {one["name"] for one in client.get("/v1/namespaces").json()["namespaces"]} == {
            *("race", "again", "late", "fresh")
        }
        rows = client.get(BOARD).json()["entries"]
        assert [(row["user_id"], row["display_name"]) for row in rows] == [("otter", "Elder"), ("mole", "Mole")]
        assert [row["user_id"] for row in client.get("/v1/namespaces/late/boards/all").json()["entries"]] == ["otter"]
        assert grant(client, "mole", "fresh") == 409, "it was made with the rules of a frozen one"
        settle(own_stack)
    assert own_stack.run("verify").returncode == 0


@pytest.mark.timeout(180)
def test_erased_users_are_not_published_again(own_stack: Any) -> None:
    with own_stack.client() as client:
        put(client, "/v1/namespaces/race")
        for user in ("ghost", "shade", "reborn", "otter"):
            assert grant(client, user) == 201
        for user in ("ghost", "reborn", "otter"):
            put(client, f"/v1/users/{user}", display_name=user.title())
        settle(own_stack)
        copy_postgres(own_stack)
        for user in ("ghost", "shade", "reborn"):
            assert client.delete(f"/v1/users/{user}").status_code == 204
        body = {"grant_id": "second life", "user_id": "reborn", "amount": 2}
        assert client.post(f"{RACE}/grants", json=body).status_code == 201
        settle(own_stack)
        board = client.get(BOARD).json()["entries"]
        swap_postgres(own_stack)
        report = take_back(own_stack)
        assert "erasures 3" in report
        assert not any(user in report.lower() for user in ("ghost", "shade", "reborn"))
        settle(own_stack)
        wait_gone(own_stack, "SELECT 1 FROM users WHERE name IN ('ghost', 'shade')")
        assert client.get(BOARD).json()["entries"] == board
        assert [(row["user_id"], row["display_name"]) for row in board] == [("reborn", None), ("otter", "Otter")]
        for user in ("ghost", "shade"):
            assert client.get(f"/v1/users/{user}").status_code == 404
        assert client.get("/v1/users/reborn").json()["display_name"] is None
        settle(own_stack)
    # The log's entry of the erasure names who has the name now: nobody can tell the two apart.
    findings = own_stack.run("verify").stdout.splitlines()
    assert {line.partition(", seq")[0] for line in findings} == {"race, ledger: 'reborn'"}


@pytest.mark.timeout(180)
@pytest.mark.parametrize(
    "step",
    [
        pytest.param("take_profiles", marks=pytest.mark.full),
        "take_states",
        pytest.param("publish_deployment", marks=pytest.mark.full),
    ],
)
def test_a_taking_that_was_broken_off_is_done_again(own_stack: Any, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    class Broken(Exception):
        pass

    async def broken(*args: Any) -> int:
        raise Broken

    async def begin_taking() -> None:
        settings = read_settings(own_stack.environment)
        postgres, link = Postgres(settings.postgres_url), RedisConnection(settings.redis_url, SCRIPTS)
        try:
            await state_from_redis.take_state(postgres, link)
        finally:
            await link.close()
            await postgres.close()

    with own_stack.client() as client:
        key = begin(own_stack, client)
        copy_postgres(own_stack)
        change(own_stack, client, key)
        state, board = state_of(own_stack), client.get(BOARD).json()["entries"]
        swap_postgres(own_stack)
        with monkeypatch.context() as patch:
            patch.setattr(state_from_redis, step, broken)
            with pytest.raises(Broken):
                here(begin_taking())
        take_back(own_stack)
        assert state_of(own_stack) == state
        settle(own_stack)
        assert client.get(BOARD).json()["entries"] == board
    assert own_stack.run("verify").returncode == 0


@pytest.mark.timeout(180)
def test_an_erasure_that_was_under_way_does_not_erase_who_has_the_name_now(own_stack: Any) -> None:
    with own_stack.client() as client:
        put(client, "/v1/namespaces/race")
        assert grant(client, "reborn") == 201
        put(client, "/v1/users/reborn", display_name="First")
        settle(own_stack)
        own_stack.kill("persist")
        assert client.delete("/v1/users/reborn").status_code == 202
        copy_postgres(own_stack)
        own_stack.start("persist")
        wait_gone(own_stack, "SELECT 1 FROM visibility_intents")
        put(client, "/v1/users/reborn", display_name="Second")
        body = {"grant_id": "second life", "user_id": "reborn", "amount": 2}
        assert client.post(f"{RACE}/grants", json=body).status_code == 201
        settle(own_stack)
        board = client.get(BOARD).json()["entries"]
        assert [(row["user_id"], row["display_name"], row["score"]) for row in board] == [("reborn", "Second", 2)]
        swap_postgres(own_stack)
        take_back(own_stack)
        wait_gone(own_stack, "SELECT 1 FROM visibility_intents")
        settle(own_stack)
        assert client.get(BOARD).json()["entries"] == board
        assert client.get("/v1/users/reborn").json()["display_name"] == "Second"


@pytest.mark.timeout(180)
def test_what_was_under_way_is_carried_out_to_its_end(own_stack: Any) -> None:
    """One is half shown again, one half hidden: the boards move once the ledger has what came before."""
    with own_stack.client() as client:
        put(client, "/v1/namespaces/race")
        for user in ("seal", "fox", "otter"):
            assert grant(client, user) == 201
        post(client, "/v1/users/fox/hide")
        settle(own_stack)
        copy_postgres(own_stack)
        post(client, "/v1/users/seal/hide")
        post(client, "/v1/users/fox/unhide")
        settle(own_stack)
        own_stack.kill("persist")
        for user in ("seal", "fox"):
            body = {"grant_id": f"{user} again", "user_id": user, "amount": 1}
            assert client.post(f"{RACE}/grants", json=body).status_code == 201
        assert client.post("/v1/users/seal/unhide").status_code == 202
        assert client.post("/v1/users/fox/hide").status_code == 202
        swap_postgres(own_stack)
        take_back(own_stack)
        own_stack.start("persist")
        settle(own_stack)
        board = [(row["user_id"], row["score"]) for row in client.get(BOARD).json()["entries"]]
        assert board == [("seal", 2), ("otter", 1)]
    assert verify(own_stack) == (0, [])


@pytest.mark.full
@pytest.mark.own_valkey
@pytest.mark.timeout(180)
def test_state_and_rows_of_the_ledger_are_lost_at_once(own_stack: Any) -> None:
    """The logs do not reach back so far either: a namespace has only its numbers in Redis, users were hidden, shown and
    erased by entries that nobody has any more."""
    with own_stack.client() as client:
        key = begin(own_stack, client)
        copy_postgres(own_stack)
        change(own_stack, client, key)
        assert client.delete("/v1/users/mole").status_code in (202, 204)
        wait_gone(own_stack, "SELECT 1 FROM users WHERE name = 'mole'")
        settle(own_stack)
        state = state_of(own_stack)
        lose_log(own_stack)
        assert grant(client, "newcomer", "late") == grant(client, "otter", "again") == 201
        settle(own_stack)
        boards = [client.get(f"/v1/namespaces/{name}/boards/all").json()["entries"] for name in ("race", "late")]
        swap_postgres(own_stack)
        report = take_back(own_stack)
        assert "erasures 1, " in report
        assert "entries are lost, seq" in report
        settle(own_stack)
        wait_gone(own_stack, "SELECT 1 FROM users WHERE name = 'mole'")
        assert state_of(own_stack) == state
        assert verify(own_stack) == (0, [])
        with own_stack.store() as direct:
            direct.flushall()
        assert own_stack.run("rebuild", "--quiet").returncode == 0
        own_stack.wait_ready()
        settle(own_stack)
        assert boards == [
            client.get(f"/v1/namespaces/{name}/boards/all").json()["entries"] for name in ("race", "late")
        ]
        assert verify(own_stack) == (0, [])
