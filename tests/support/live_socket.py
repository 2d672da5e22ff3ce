"""A WebSocket of the live server, spoken to in short words."""

import json
from typing import Any

import httpx
import msgspec
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection


def say(socket: ClientConnection, **message: Any) -> None:
    socket.send(json.dumps(message))


def hear(socket: ClientConnection) -> dict[str, Any]:
    frame: dict[str, Any] = json.loads(socket.recv(timeout=5))
    return frame


def closed(socket: ClientConnection) -> int:
    """The code that the server closed with."""
    with pytest.raises(ConnectionClosed) as end:
        socket.recv(timeout=10)
    assert end.value.rcvd is not None
    return int(end.value.rcvd.code)


def unpacked(socket: ClientConnection) -> dict[str, Any]:
    text: dict[str, Any] = msgspec.msgpack.decode(socket.recv(timeout=5, decode=False))
    return text


def grant(api: httpx.Client, space: str, grant_id: str, user: str, amount: int) -> None:
    body = {"grant_id": grant_id, "user_id": user, "amount": amount}
    assert api.post(f"/v1/namespaces/{space}/grants", json=body).status_code == 201


def subscribe(socket: ClientConnection, space: str, limit: int = 3, **more: Any) -> None:
    say(socket, type="subscribe", id=1, namespace=space, view={"kind": "top", "limit": limit}, **more)


def key(stack: Any, *scopes: str) -> str:
    """A fresh API key."""
    return str(stack.new_key(*scopes))


def public(api: httpx.Client, space: str, **rules: Any) -> None:
    body = {"visibility": "public", "accept_past": None, **rules}
    assert api.put(f"/v1/namespaces/{space}", json=body).status_code in (200, 201)


def hear_nothing(socket: ClientConnection, seconds: float = 0.5) -> None:
    with pytest.raises(TimeoutError):
        socket.recv(timeout=seconds)
