"""Live boards over a real WebSocket."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import msgspec
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect


@pytest.fixture
def socket(live_server: Any) -> Iterator[ClientConnection]:
    with connect(live_server.url.replace("http", "ws") + "/v1/live", subprotocols=["leaderboard.v1"]) as held:  # type: ignore[list-item]
        yield held


def say(socket: ClientConnection, **message: Any) -> None:
    socket.send(json.dumps(message))


def hear(socket: ClientConnection) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(socket.recv(timeout=5))
    return told


def unpacked(socket: ClientConnection) -> dict[str, Any]:
    told: dict[str, Any] = msgspec.msgpack.decode(socket.recv(timeout=5, decode=False))
    return told


def grant(api: httpx.Client, space: str, grant_id: str, user: str, amount: int) -> None:
    body = {"grant_id": grant_id, "user_id": user, "amount": amount}
    assert api.post(f"/v1/namespaces/{space}/grants", json=body).status_code == 201


def subscribe(socket: ClientConnection, space: str, limit: int = 3, **more: Any) -> None:
    say(socket, type="subscribe", id=1, namespace=space, view={"kind": "top", "limit": limit}, **more)


def test_a_snapshot_then_deltas_that_lead_to_the_board(
    live_server: Any, api: httpx.Client, space: str, socket: ClientConnection
) -> None:
    say(socket, type="auth", token=live_server.key)
    assert hear(socket) == {"type": "ready"}
    subscribe(socket, space)
    first = hear(socket)
    assert (first["type"], first["id"], first["version"], first["entries"]) == ("snapshot", 1, 0, [])
    held: dict[str, Any] = {}
    version = 0
    for i, (user, amount) in enumerate([("a", 5), ("b", 7), ("c", 6), ("d", 9), ("a", 9)]):
        grant(api, space, str(i), user, amount)
        frame = hear(socket)
        assert (frame["type"], frame["from"]) == ("delta", version)
        version = frame["version"]
        for gone in frame["remove"]:
            del held[gone]
        held |= {entry["user_id"]: entry for entry in frame["upsert"]}
        board = api.get(f"/v1/namespaces/{space}/boards/all?limit=3").json()
        assert sorted(held.values(), key=lambda entry: entry["position"]) == board["entries"]
        assert (frame["total"], version) == (board["total"], board["version"])


def test_a_client_that_holds_the_state_is_up_to_date(
    live_server: Any, api: httpx.Client, space: str, socket: ClientConnection
) -> None:
    grant(api, space, "g", "a", 1)
    board = api.get(f"/v1/namespaces/{space}/boards/all").json()
    say(socket, type="auth", token=live_server.key)
    hear(socket)
    subscribe(socket, space, epoch=board["epoch"], version=board["version"])
    assert hear(socket) == {"type": "uptodate", "id": 1, "version": board["version"]}
    say(socket, type="ping")
    assert hear(socket) == {"type": "pong"}
    say(socket, type="unsubscribe", id=1)
    subscribe(socket, space)
    assert hear(socket)["type"] == "snapshot"


def test_faults_of_a_subscription_leave_the_connection_open(
    live_server: Any, api: httpx.Client, space: str, socket: ClientConnection
) -> None:
    subscribe(socket, space)
    assert hear(socket)["code"] == "unauthorized"
    subscribe(socket, "nowhere")
    assert hear(socket)["code"] == "namespace_not_found"
    api.put(f"/v1/namespaces/{space}", json={"visibility": "public"})
    say(socket, type="subscribe", id=1, namespace=space, window="fortnight")
    assert hear(socket)["code"] == "board_not_found"
    say(socket, type="subscribe", id=1, namespace=space, view={"kind": "around"})
    assert hear(socket)["code"] == "invalid"
    subscribe(socket, space)
    assert hear(socket)["type"] == "snapshot"


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("{", 4400),
        ('{"type":"nonsense"}', 4400),
        ('{"type":"subscribe","id":1,"namespace":"a","view":{"kind":"top","limit":101}}', 4400),
        ("x" * 20_000, 4400),
        ('{"type":"auth","token":"lb_x_wrongwrongwrong1"}', 4001),
    ],
)
def test_faults_of_the_connection_close_it_with_their_code(socket: ClientConnection, message: str, code: int) -> None:
    socket.send(message)
    with pytest.raises(ConnectionClosed) as closed:
        socket.recv(timeout=5)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == code


def test_a_silent_connection_is_closed(socket: ClientConnection) -> None:
    with pytest.raises(ConnectionClosed) as closed:
        socket.recv(timeout=10)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 4102


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
