"""What an older Postgres has of the deployment's state, what it lacks, and how it gets that back."""

import time
from typing import Any

import httpx

RACE = "/v1/namespaces/race"
BOARD = f"{RACE}/boards/all"
#: The scope of a key that gets another secret.
ROTATED = "read:rotated"
#: What Postgres has of the state, without what Redis does not know.
STATE = {
    "namespaces": "SELECT id, name, partition, rules FROM namespaces WHERE deleted_at IS NULL",
    "keys": """SELECT id, hash, scopes, name, secret_version, previous_hash, previous_until FROM api_keys
               WHERE revoked_at IS NULL""",
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
    stack.new_key(ROTATED)
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
    ((rotated,),) = stack.sql("SELECT id FROM api_keys WHERE scopes = %s", [ROTATED])
    for grace_s in (0, 600):
        client.post(f"/v1/keys/{rotated}/rotate", json={"grace_s": grace_s}).raise_for_status()
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
