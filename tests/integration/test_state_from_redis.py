"""`rebuild --from-redis`: an older Postgres gets the deployment's state back, and nothing that was changed on it since
is dropped without a word."""

from typing import Any

import httpx
import pytest

from tests.support.older_postgres import copy_postgres, swap_postgres

RACE = "/v1/namespaces/race"
BOARD = f"{RACE}/boards/all"
pytestmark = pytest.mark.own_valkey
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
    stack.wait_flushed()
    stack.wait_published()


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
