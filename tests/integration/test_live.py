"""Live boards over a real WebSocket."""

import json
import socket as socket_module
import time
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import islice, pairwise, takewhile
from typing import Any

import httpx
import msgspec
import pytest
from websockets.sync.client import ClientConnection, connect

from app.drivers.scripts import Script
from app.live.hub import TICK_S
from app.store import keys
from app.store.boards import READ_BOARD, READ_BOARD_VERSIONS
from app.store.namespace_cache import parse_published
from tests.support.live_socket import closed, grant, hear, hear_nothing, key, public, say, subscribe, unpacked


def test_a_snapshot_then_deltas_that_lead_to_the_board(
    live_server: Any, api: httpx.Client, space: str, socket: ClientConnection
) -> None:
    say(socket, type="auth", token=live_server.key)
    assert hear(socket) == {"type": "ready"}
    subscribe(socket, space)
    first = hear(socket)
    assert (first["type"], first["id"], first["version"], first["entries"]) == ("snapshot", 1, 0, [])
    state: dict[str, Any] = {}
    version = 0
    for i, (user, amount) in enumerate([("a", 5), ("b", 7), ("c", 6), ("d", 9), ("a", 9)]):
        grant(api, space, str(i), user, amount)
        frame = hear(socket)
        assert (frame["type"], frame["from"]) == ("delta", version)
        version = frame["version"]
        for gone in frame["remove"]:
            del state[gone]
        state |= {entry["user_id"]: entry for entry in frame["upsert"]}
        board = api.get(f"/v1/namespaces/{space}/boards/all?limit=3").json()
        assert sorted(state.values(), key=lambda entry: entry["position"]) == board["entries"]
        assert (frame["total"], version) == (board["total"], board["version"])


def test_a_client_that_holds_the_state_is_up_to_date(
    live_server: Any, api: httpx.Client, space: str, socket: ClientConnection
) -> None:
    grant(api, space, "g", "a", 1)
    board = api.get(f"/v1/namespaces/{space}/boards/all").json()
    say(socket, type="auth", token=live_server.key)
    hear(socket)
    subscribe(socket, space, epoch=board["epoch"], version=board["version"])
    assert hear(socket) == {"type": "uptodate", "id": 1, "window": "all", "version": board["version"]}
    say(socket, type="ping")
    assert hear(socket) == {"type": "pong"}
    say(socket, type="unsubscribe", id=1)
    subscribe(socket, space)
    assert hear(socket)["type"] == "snapshot"


def test_faults_of_a_subscription_leave_the_connection_open(
    live_server: Any, api: httpx.Client, space: str, socket: ClientConnection
) -> None:
    for name in (space, "nowhere"):
        subscribe(socket, name)
        frame = hear(socket)
        assert (frame["code"], frame["field"]) == ("unauthorized", "$.namespace")
    api.put(f"/v1/namespaces/{space}", json={"visibility": "public"})
    say(socket, type="subscribe", id=1, namespace=space, window="fortnight")
    frame = hear(socket)
    assert (frame["code"], frame["field"]) == ("board_not_found", "$.window")
    assert frame["detail"].startswith(f"'{space}' keeps no board 'fortnight': it keeps all, month, week, day; ")
    say(socket, type="subscribe", id=1, namespace=space, view={"kind": "around"})
    assert hear(socket)["code"] == "invalid"
    subscribe(socket, space)
    assert hear(socket)["type"] == "snapshot"


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("{", 4400),
        ('{"type":"nonsense"}', 4400),
        ('{"type":"subscribe","namespace":"a"}', 4400),
        ('{"type":"subscribe","id":-1,"namespace":"a"}', 4400),
        ('{"type":"auth"}', 4400),
        ('{"type":"ping","id":1}', 4400),
        ("x" * 20_000, 4400),
        ('{"type":"auth","token":"lb_x_wrongwrongwrong1"}', 4001),
    ],
)
def test_faults_of_the_connection_close_it_with_their_code(socket: ClientConnection, message: str, code: int) -> None:
    socket.send(message)
    assert closed(socket) == code


def test_a_silent_connection_is_closed(socket: ClientConnection) -> None:
    assert closed(socket) == 4102


def test_messagepack(live_server: Any, api: httpx.Client, space: str) -> None:
    url = live_server.url.replace("http", "ws") + "/v1/live"
    with connect(url, subprotocols=["leaderboard.v1.msgpack"]) as socket:  # type: ignore[list-item]
        socket.send(msgspec.msgpack.encode({"type": "auth", "token": live_server.key}))
        assert unpacked(socket) == {"type": "ready"}
        socket.send(msgspec.msgpack.encode({"type": "subscribe", "id": 700, "namespace": space}))
        assert unpacked(socket)["id"] == 700
        grant(api, space, "g", "a", 1)
        frame = unpacked(socket)
        assert (frame["type"], frame["id"], frame["upsert"][0]["user_id"]) == ("delta", 700, "a")


def calls(monitor: Any, script: Script, key: str) -> Iterator[float | None]:
    """The moments at which Redis gets calls of a script with a key, among other calls; None for an ECHO."""
    for heard in monitor.listen():
        words = heard["command"].split(" ")
        if words[0] == "ECHO":
            yield None
        elif words[1:2] == [script.sha] and key in words:
            yield heard["time"]


@pytest.mark.own_valkey
def test_a_tick_costs_what_changed_not_what_is_watched(
    live_server: Any, api: httpx.Client, space: str, socket: ClientConnection
) -> None:
    public(api, space)
    grant(api, space, "g", "a", 1)
    for limit in range(1, 41):
        say(socket, type="subscribe", id=limit, namespace=space, view={"kind": "top", "limit": limit})
    for _ in range(40):
        assert hear(socket)["type"] == "snapshot"
    with live_server.store() as store:
        namespace = parse_published(store.hget(keys.DIRECTORY, space))
        assert namespace is not None
        at = namespace.partition, namespace.id
        with store.monitor() as reads, store.monitor() as questions:
            ticks = [tick or 0 for tick in islice(calls(questions, READ_BOARD_VERSIONS, keys.namespace(*at)), 10)]
            # The next tick begins so long after the answer to the last: whatever else the machine does, no earlier.
            assert min(after - before for before, after in pairwise(ticks)) > 0.9 * TICK_S, "one question a tick"
            store.echo("unchanged")
            grant(api, space, "h", "b", 2)
            for _ in range(40):
                assert hear(socket)["type"] == "delta"
            store.echo("changed")
            read = calls(reads, READ_BOARD, keys.board(*at, "all"))
            assert list(takewhile(bool, read)) == [], "an unchanged board is not read"
            assert len(list(takewhile(bool, read))) == 1, "one read at the largest limit"


def test_a_board_that_cannot_be_read_keeps_its_subscriptions_and_stops_no_other(
    live_server: Any, api: httpx.Client, space: str, socket: ClientConnection
) -> None:
    broken = f"{space}-broken"
    for number, name in enumerate((space, broken), 1):
        public(api, name, group="one-partition")
        say(socket, type="subscribe", id=number, namespace=name)
        assert hear(socket)["id"] == number
    with live_server.store() as store:
        namespace = parse_published(store.hget(keys.DIRECTORY, broken))
        assert namespace is not None
        spoiled_key = keys.namespace(namespace.partition, namespace.id)
        store.set(spoiled_key, "not a hash")
        grant(api, space, "g", "a", 1)
        assert hear(socket)["id"] == 1
        say(socket, type="subscribe", id=3, namespace=broken)
        frame = hear(socket)
        assert (frame["id"], frame["code"]) == (3, "store_unavailable")
        hear_nothing(socket)
        store.delete(spoiled_key)
    grant(api, broken, "g", "a", 1)
    assert hear(socket)["id"] == 2


def entries(frame: dict[str, Any]) -> list[tuple[int, int, str]]:
    rows = frame["entries"] if frame["type"] == "snapshot" else frame["upsert"]
    return [(row["position"], row["rank"], row["user_id"]) for row in rows]


def test_an_ascending_board_shows_its_scores_as_they_are(api: httpx.Client, socket: ClientConnection) -> None:
    rules = {"visibility": "public", "aggregation": "best", "order": "asc"}
    api.put("/v1/namespaces/laps", json=rules).raise_for_status()
    grant(api, "laps", "g1", "hare", 61)
    grant(api, "laps", "g2", "otter", 59)
    subscribe(socket, "laps")
    assert [(e["user_id"], e["score"]) for e in hear(socket)["entries"]] == [("otter", 59), ("hare", 61)]
    grant(api, "laps", "g3", "hare", 58)
    assert [(e["user_id"], e["score"], e["rank"]) for e in hear(socket)["upsert"]] == [
        ("hare", 58, 1),
        ("otter", 59, 2),
    ]


def test_around_a_user(api: httpx.Client, space: str, socket: ClientConnection) -> None:
    public(api, space)
    for place, user in enumerate("abcde"):
        grant(api, space, user, user, 10 * (5 - place))
    say(socket, type="subscribe", id=1, namespace=space, view={"kind": "around", "user": "c", "radius": 1})
    frame = hear(socket)
    assert (frame["type"], frame["total"], entries(frame)) == ("snapshot", 5, [(2, 2, "b"), (3, 3, "c"), (4, 4, "d")])
    grant(api, space, "up", "c", 15)
    frame = hear(socket)
    assert (entries(frame), frame["remove"]) == ([(1, 1, "a"), (2, 2, "c"), (3, 3, "b")], ["d"])
    say(socket, type="subscribe", id=2, namespace=space, view={"kind": "around", "user": "nobody"})
    frame = hear(socket)
    assert (frame["id"], frame["entries"]) == (2, [])
    grant(api, space, "new", "nobody", 100)
    frames = {text["id"]: text for text in (hear(socket), hear(socket))}
    assert entries(frames[2])[0] == (1, 1, "nobody")


def test_some_users(api: httpx.Client, space: str, socket: ClientConnection) -> None:
    public(api, space)
    for place, user in enumerate("abcde"):
        grant(api, space, user, user, 10 * (5 - place))
    view = {"kind": "users", "users": ["e", "nobody", "a", "e"]}
    say(socket, type="subscribe", id=1, namespace=space, view=view)
    frame = hear(socket)
    assert (frame["type"], entries(frame)) == ("snapshot", [(1, 1, "a"), (5, 5, "e")])
    grant(api, space, "up", "e", 100)
    frame = hear(socket)
    assert (frame["type"], entries(frame), frame["remove"]) == ("delta", [(1, 1, "e"), (2, 2, "a")], [])


@pytest.mark.parametrize(
    ("subscription", "field"),
    [
        ({"view": {"kind": "top", "limit": 0}}, "$.view.limit"),
        ({"view": {"kind": "top", "limit": 101}}, "$.view.limit"),
        ({"view": {"kind": "around", "user": "a", "radius": 26}}, "$.view.radius"),
        ({"view": {"kind": "around"}}, "$.view.user"),
        ({"view": {"kind": "around", "user": "a\nb"}}, "$.view.user"),
        ({"view": {"kind": "users", "users": []}}, "$.view.users"),
        ({"view": {"kind": "users", "users": [str(i) for i in range(51)]}}, "$.view.users"),
        ({"view": {"kind": "stats", "limit": 3}}, "$.view.limit"),
        ({"view": {"kind": "nonsense"}}, "$.view.kind"),
        ({"category": 7}, "$.category"),
        ({"namespace": "n" * 65}, "$.namespace"),
        ({"colour": "red"}, "$.colour"),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_a_wrong_subscription_gets_an_error_and_the_connection_stays(
    live_server: Any, subscription: dict[str, Any], field: str, packed: bool
) -> None:
    message = {"type": "subscribe", "id": 7, "namespace": "a", **subscription}
    url = live_server.url.replace("http", "ws") + "/v1/live"
    name = "leaderboard.v1.msgpack" if packed else "leaderboard.v1"
    with connect(url, subprotocols=[name]) as socket:  # type: ignore[list-item]
        socket.send(msgspec.msgpack.encode(message) if packed else json.dumps(message))
        frame = unpacked(socket) if packed else hear(socket)
        assert (frame["type"], frame["id"], frame["code"], frame["field"]) == ("error", 7, "invalid", field)
        socket.send(msgspec.msgpack.encode({"type": "ping"}) if packed else '{"type":"ping"}')
        assert (unpacked(socket) if packed else hear(socket)) == {"type": "pong"}


def test_too_many_subscriptions(api: httpx.Client, space: str, socket: ClientConnection) -> None:
    public(api, space)
    for number in range(50):
        say(socket, type="subscribe", id=number, namespace=space)
        assert hear(socket)["type"] == "snapshot"
    say(socket, type="subscribe", id=50, namespace=space)
    assert closed(socket) == 4013


@pytest.mark.own_valkey
def test_a_read_that_fails_while_a_store_is_away_is_repeated(own_stack: Any) -> None:
    token = key(own_stack, "read:*")
    with own_stack.client() as api:
        assert api.put("/v1/namespaces/race", json={}).status_code == 201
    own_stack.kill("redis")
    url = own_stack.url.replace("http", "ws") + "/v1/live"
    with connect(url, subprotocols=["leaderboard.v1"]) as socket:  # type: ignore[list-item]
        say(socket, type="auth", token=token)
        frame = json.loads(socket.recv(timeout=15))
        assert (frame["type"], frame["id"], frame["code"]) == ("error", None, "store_unavailable")
        own_stack.start("redis")
        own_stack.wait_ready()
        say(socket, type="auth", token=token)
        assert hear(socket) == {"type": "ready"}
        subscribe(socket, "race")
        assert hear(socket)["type"] == "snapshot"
        own_stack.kill("redis")
        hear_nothing(socket, 1)
        say(socket, type="subscribe", id=2, namespace="race")
        frame = json.loads(socket.recv(timeout=15))
        assert (frame["id"], frame["code"]) == (2, "store_unavailable")
        own_stack.start("redis")
        own_stack.wait_ready()
        with own_stack.client() as api:
            grant(api, "race", "g", "a", 1)
        assert hear(socket)["id"] == 1, "the subscription lived through it"


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_server_that_ends_asks_its_clients_to_come_back(own_stack: Any, workers: str) -> None:
    if workers != "1":
        own_stack.extra["LEADERBOARD_WORKERS"] = workers
        own_stack.restart()
    url = own_stack.url.replace("http", "ws") + "/v1/live"
    with ExitStack() as resources:
        sockets = [resources.enter_context(connect(url, subprotocols=["leaderboard.v1"])) for _ in range(6)]  # type: ignore[list-item]
        for socket in sockets:
            say(socket, type="auth", token=own_stack.key)
            assert hear(socket) == {"type": "ready"}
        own_stack.stop("serve")
        for socket in sockets:
            assert hear(socket) == {"type": "drain", "retry_ms": 1000}
            assert closed(socket) == 4200
    # No worker came to the deadline of its end: uvicorn logs that as an error.
    assert "timeout graceful shutdown exceeded" not in (own_stack.folder / "serve.log").read_text()


def test_a_client_that_does_not_read_delays_no_end(own_stack: Any) -> None:
    with socket_module.create_connection(("127.0.0.1", own_stack.port)) as deaf:
        deaf.sendall(
            b"GET /v1/live HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
        assert b" 101 " in deaf.recv(1000)
        begun = time.monotonic()
        own_stack.stop("serve")
        assert time.monotonic() - begun < 3.5


def test_a_change_of_rules_is_sent_and_no_older_state_is_up_to_date(
    live_server: Any, api: httpx.Client, space: str, socket: ClientConnection
) -> None:
    rules = {"visibility": "public", "accept_past": None}
    api.put(f"/v1/namespaces/{space}", json=rules)
    grant(api, space, "g1", "a", 5)
    grant(api, space, "g2", "b", 5)
    subscribe(socket, space)
    first = hear(socket)
    assert [entry["rank"] for entry in first["entries"]] == [1, 1]
    api.put(f"/v1/namespaces/{space}", json=rules | {"ranking": "ordinal"})
    frame = hear(socket)
    assert (frame["type"], frame["from"], frame["version"]) == ("delta", first["version"], first["version"])
    assert [(entry["user_id"], entry["rank"]) for entry in frame["upsert"]] == [(first["entries"][1]["user_id"], 2)]
    resume = {"epoch": first["epoch"], "version": frame["version"]}
    say(socket, type="unsubscribe", id=1)
    subscribe(socket, space, **resume)
    assert hear(socket)["type"] == "snapshot", "the version does not tell which rules made it"
    grant(api, space, "g3", "c", 5)
    resume["version"] = hear(socket)["version"]
    say(socket, type="unsubscribe", id=1)
    subscribe(socket, space, **resume)
    assert hear(socket)["type"] == "uptodate"
