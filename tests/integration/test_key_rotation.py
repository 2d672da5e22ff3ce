"""An API key gets a new secret: the old one ends on every server, at once or after its grace, and no store forgets."""

import threading
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from app.access.keys import hash_key
from app.admin.key_registry import GRACE_S_MAX
from app.store import keys
from app.store.namespace_cache import parse_key
from tests.conftest import KEY, Stack
from tests.support.api_keys import listed, live, make, rotate, status
from tests.support.event_streams import events
from tests.support.live_socket import closed, hear, say
from tests.support.second_server import second_server
from tests.support.waits import until


@pytest.fixture(scope="module")
def other(live_server: Stack) -> Iterator[httpx.Client]:
    with second_server(live_server) as client:
        yield client


def test_a_new_secret_ends_the_old_one_everywhere(
    live_server: Stack, api: httpx.Client, other: httpx.Client, space: str
) -> None:
    made = make(api, f"read:{space}", f"write:{space}")
    minted = api.post(
        "/v1/tokens",
        json={"user_id": "ann", "namespaces": [space]},
        headers={"authorization": f"Bearer {made['key']}"},
    ).json()["token"]
    bearer, path = f"Bearer {made['key']}", f"{space}/boards/all/events"
    with (
        live(api, made["key"]) as here,
        live(other, made["key"]) as there,
        live(other, minted) as browser,
        events(int(other.base_url.port or 0), path, authorization=bearer) as stream,
    ):
        assert stream.next().kind == "snapshot"
        fresh = rotate(api, made)
        began = time.monotonic()
        assert [closed(socket) for socket in (here, there, browser)] == [4101] * 3
        event = stream.next()
        assert (event.kind, event.body["code"]) == ("error", "unauthorized")
        assert time.monotonic() - began < 1
    for server in (api, other):
        assert [status(server, text, space) for text in (made["key"], minted, fresh)] == [401, 401, 200]
    shown = listed(api)[made["id"]]
    assert (shown["rotated_by"], shown["previous_secret_until"]) == ("test", None)
    assert shown["created_at"] == made["created_at"]


def test_the_old_secret_is_good_up_to_the_end_of_its_grace(api: httpx.Client, other: httpx.Client, space: str) -> None:
    made = make(api, f"read:{space}", f"write:{space}")
    second = rotate(api, made, grace_s=GRACE_S_MAX)
    assert listed(api)[made["id"]]["previous_secret_until"] is not None
    for server in (api, other):
        assert [status(server, text, space) for text in (made["key"], second)] == [200, 200]
    third = rotate(other, made, grace_s=2)
    for server in (api, other):
        assert [status(server, text, space) for text in (made["key"], second, third)] == [401, 200, 200]
    with live(other, second) as socket, live(other, third) as newer:
        began = time.monotonic()
        assert closed(socket) == 4101
        assert time.monotonic() - began < 4
        assert [status(server, second, space) for server in (api, other)] == [401, 401]
        say(newer, type="ping")
        assert hear(newer) == {"type": "pong"}
    assert listed(api)[made["id"]]["previous_secret_until"] is None


@pytest.mark.parametrize("grace_s", [-1, GRACE_S_MAX + 1, 0.5, None])
def test_a_wrong_grace_is_refused(api: httpx.Client, grace_s: Any) -> None:
    answer = api.post("/v1/keys/none/rotate", json={"grace_s": grace_s})
    assert (answer.status_code, answer.json()["field"]) == (422, "$.grace_s")


def test_of_secrets_that_are_made_at_once_the_last_one_is_good_everywhere(
    live_server: Stack, api: httpx.Client, other: httpx.Client, space: str
) -> None:
    made = make(api, f"read:{space}")
    tokens: list[str] = []
    writers = [
        threading.Thread(target=lambda s=server: tokens.extend(rotate(s, made) for _ in range(5)))
        for server in (api, other)
    ]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    ((newest, version),) = live_server.sql("SELECT hash, secret_version FROM api_keys WHERE id = %s", made["id"])
    assert version == len(tokens) == 10
    for server in (api, other):
        good = [token for token in tokens if status(server, token, space) == 200]
        assert list(map(hash_key, good)) == [newest]


def test_a_secret_that_was_recorded_and_not_published_is_published_by_a_persister(
    live_server: Stack, api: httpx.Client, space: str
) -> None:
    """As where a server ends in between."""
    made = make(api, f"read:{space}")
    second = rotate(api, made, grace_s=60)
    third = made["key"] + "x"
    live_server.sql(
        "UPDATE api_keys SET hash = %s, previous_hash = hash, secret_version = 2 WHERE id = %s",
        *(hash_key(third), made["id"]),
    )
    until(lambda: status(api, made["key"], space) == 401, "the first secret is good still", 10)
    assert [status(api, text, space) for text in (second, third)] == [200, 200]


def test_the_command_rotates(live_server: Stack, api: httpx.Client, space: str) -> None:
    made = live_server.run("keys", "create", "--scope", f"read:{space}", "--name", "by hand").stdout.strip()
    key_id = made.split("_")[1]
    done = live_server.run("keys", "rotate", key_id, "--grace", "600")
    assert done.returncode == 0, done.stderr
    assert [status(api, text, space) for text in (made, done.stdout.strip())] == [200, 200]
    assert (listed(api)[key_id]["created_by"], listed(api)[key_id]["rotated_by"]) == ("cli", "cli")
    lines = live_server.run("keys", "list").stdout.splitlines()
    assert any(line.startswith(f"{key_id}\tactive\tread:{space}\t") and line.endswith("\tby hand") for line in lines)
    assert live_server.run("keys", "revoke", key_id).returncode == 0
    for wrong in (key_id, "none"):
        assert live_server.run("keys", "rotate", wrong).returncode == 1
    assert status(api, done.stdout.strip(), space) == 401


def test_redis_and_postgres_agree_on_a_key(live_server: Stack, api: httpx.Client) -> None:
    made = make(api, "read:*", name="x")
    rotate(api, made, grace_s=60)
    with live_server.store() as direct:
        record = parse_key(direct.hget(keys.API_KEYS, made["id"]))
    row = live_server.sql("SELECT hash, secret_version, previous_hash, name FROM api_keys WHERE id = %s", made["id"])
    assert record is not None
    assert row == [(record.hash, record.secret_version, record.previous_hash, record.name)]
    assert KEY not in repr(record)


@pytest.mark.timeout(120)
def test_a_redis_that_lost_everything_learns_the_newest_secret(own_stack: Stack) -> None:
    with own_stack.client() as client:
        assert client.put("/v1/namespaces/race", json={}).status_code == 201
        made = make(client, "read:*", name="x")
        with own_stack.store() as direct:
            older = direct.hget(keys.API_KEYS, made["id"])
            newest = rotate(client, made)
            own_stack.wait_flushed()
            lost = direct.hget(keys.API_KEYS, made["id"])
            direct.hset(keys.API_KEYS, made["id"], older)
            assert own_stack.run("migrate").returncode == 0
            assert direct.hget(keys.API_KEYS, made["id"]) == lost
            direct.flushall()
        assert own_stack.run("rebuild", "--quiet").returncode == 0
        own_stack.wait_ready()
        assert [status(client, text, "race") for text in (made["key"], newest)] == [401, 200]
