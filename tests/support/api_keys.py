"""API keys as an admin manages them over HTTP, and what they open."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
from websockets.sync.client import ClientConnection, connect

from tests.support.live_socket import hear, say


def make(api: httpx.Client, *scopes: str, **more: Any) -> dict[str, Any]:
    answer = api.post("/v1/keys", json={"scopes": list(scopes), **more})
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def rotate(api: httpx.Client, made: dict[str, Any], **more: Any) -> str:
    answer = api.post(f"/v1/keys/{made['id']}/rotate", json=more)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["key"])


def status(server: httpx.Client, token: str, space: str) -> int:
    path = f"/v1/namespaces/{space}/boards/all"
    return server.get(path, headers={"authorization": f"Bearer {token}"}).status_code


def listed(api: httpx.Client) -> dict[str, dict[str, Any]]:
    shown: dict[str, dict[str, Any]] = {}
    cursor: dict[str, str] = {}
    while True:
        page = api.get("/v1/keys", params={"limit": 7, **cursor}).json()
        shown |= {one["id"]: one for one in page["keys"]}
        if page["next_cursor"] is None:
            return shown
        cursor = {"cursor": page["next_cursor"]}


@contextmanager
def live(server: httpx.Client, token: str) -> Iterator[ClientConnection]:
    with connect(str(server.base_url).rstrip("/").replace("http", "ws") + "/v1/live") as socket:
        say(socket, type="auth", token=token)
        assert hear(socket) == {"type": "ready"}
        yield socket
