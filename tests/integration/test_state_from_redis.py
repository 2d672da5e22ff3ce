"""`rebuild --from-redis`: an older Postgres gets the deployment's state back, and nothing that was changed on it since
is dropped without a word."""

from typing import Any

import pytest

from app.admin.migrate import SCRIPTS
from app.drivers.postgres import Postgres
from app.drivers.redis import RedisConnection
from app.recover import state_from_redis
from app.settings import read_settings
from tests.integration.test_from_redis import lose_log
from tests.support.checked_deployment import verify
from tests.support.older_postgres import copy_postgres, swap_postgres
from tests.support.older_state import (
    BOARD,
    RACE,
    begin,
    change,
    grant,
    post,
    put,
    settle,
    state_of,
    take_back,
    wait_gone,
)
from tests.support.template import here


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
        lines = own_stack.sql("SELECT kind FROM faults WHERE cause LIKE 'ledger_behind%'")
        assert lines == [], "persisters tell no more that Postgres is the older one"
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
UPDATE api_keys SET hash = 'later', secret_version = secret_version + 1 WHERE scopes = '{read:rotated}';
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
            "namespace 'race' was changed on the older Postgres: it has the rules that Redis has, and the stricter",
            "namespace 'gone' was changed on the older Postgres, and is deleted in Redis: it is deleted now",
            "namespace 'fresh' was made on the older Postgres: it has another id now",
            "namespace 'late' was made on the older Postgres, too",
            "got a new secret on the older Postgres, and another one before: the secret that Redis has is good now",
            "'fox' was hidden on the older Postgres, and is shown in Redis: the user stays hidden",
            "'seal' was shown again on the older Postgres, and is hidden in Redis: the user stays hidden",
            "the profile of 'otter' was changed on the older Postgres: it stays as it is there",
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
        assert "the ledger lost " in report
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
