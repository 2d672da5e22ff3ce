"""Who may watch what over a real WebSocket: asked again whenever it may have changed."""

from contextlib import ExitStack
from typing import Any

import httpx
from websockets.sync.client import ClientConnection, connect

from tests.support.live_socket import closed, grant, hear, hear_nothing, key, public, say, subscribe


def test_a_namespace_made_private_ends_what_anonymous_clients_watch(
    live_server: Any, api: httpx.Client, space: str, socket: ClientConnection
) -> None:
    public(api, space)
    subscribe(socket, space)
    assert hear(socket)["type"] == "snapshot"
    api.put(f"/v1/namespaces/{space}", json={"visibility": "private"})
    grant(api, space, "g", "a", 1)
    frame = hear(socket)
    assert (frame["type"], frame["id"], frame["code"]) == ("error", 1, "unauthorized")
    grant(api, space, "h", "a", 1)
    hear_nothing(socket)
    public(api, space)
    subscribe(socket, space)
    assert hear(socket)["type"] == "snapshot", "the connection stays, and the id is free"


def test_a_rule_that_takes_nothing_away_leaves_subscriptions_as_they_are(
    api: httpx.Client, space: str, socket: ClientConnection
) -> None:
    public(api, space)
    subscribe(socket, space)
    assert hear(socket)["type"] == "snapshot"
    public(api, space, display_name="Named")
    hear_nothing(socket)
    grant(api, space, "g", "a", 1)
    assert hear(socket)["type"] == "delta"


def test_a_namespace_made_anew_under_an_old_name_is_not_shown_to_those_who_watched_the_old(
    api: httpx.Client, space: str, socket: ClientConnection
) -> None:
    public(api, space)
    grant(api, space, "g", "a", 1)
    subscribe(socket, space)
    assert hear(socket)["type"] == "snapshot"
    assert api.delete(f"/v1/namespaces/{space}", params={"confirm": space}).status_code == 204
    assert api.put(f"/v1/namespaces/{space}", json={"visibility": "private"}).status_code == 201
    grant(api, space, "g", "secret", 1)
    assert hear(socket)["code"] == "namespace_not_found"
    subscribe(socket, space)
    assert hear(socket)["code"] == "unauthorized"
    hear_nothing(socket)


def test_a_revoked_key_ends_its_connections(live_server: Any, api: httpx.Client, space: str) -> None:
    token = key(live_server, f"read:{space}")
    url = live_server.url.replace("http", "ws") + "/v1/live"
    with ExitStack() as resources:
        watching, idle, other = (resources.enter_context(connect(url)) for _ in range(3))
        for socket in (watching, idle):
            say(socket, type="auth", token=token)
            assert hear(socket) == {"type": "ready"}
        say(other, type="auth", token=live_server.key)
        hear(other)
        for socket in (watching, other):
            subscribe(socket, space)
            assert hear(socket)["type"] == "snapshot"
        assert live_server.run("keys", "revoke", token.split("_")[1]).returncode == 0
        grant(api, space, "g", "a", 1)
        assert closed(watching) == 4101
        assert closed(idle) == 4101
        assert hear(other)["type"] == "delta"


def test_a_key_without_the_scope_is_refused(live_server: Any, api: httpx.Client, space: str, socket: Any) -> None:
    say(socket, type="auth", token=key(live_server, "read:elsewhere"))
    assert hear(socket) == {"type": "ready"}
    subscribe(socket, space)
    frame = hear(socket)
    assert (frame["code"], frame["field"]) == ("forbidden", "$.namespace")


def test_what_is_no_more_ends_its_subscriptions_and_no_others(
    live_server: Any, api: httpx.Client, space: str, socket: ClientConnection
) -> None:
    gone, narrowed = f"{space}-gone", f"{space}-narrowed"
    for name in (space, gone, narrowed):
        public(api, name)
    for number, name, window in ((1, space, "all"), (2, gone, "all"), (3, narrowed, "week"), (4, narrowed, "all")):
        say(socket, type="subscribe", id=number, namespace=name, window=window)
        assert (hear(socket)["type"], number) == ("snapshot", number)
    api.delete(f"/v1/namespaces/{gone}", params={"confirm": gone})
    frame = hear(socket)
    assert (frame["type"], frame["id"], frame["code"], frame["field"]) == (
        *("error", 2, "namespace_not_found"),
        "$.namespace",
    )
    public(api, narrowed, periods=["all"])
    frame = hear(socket)
    assert (frame["type"], frame["id"], frame["code"], frame["field"]) == ("error", 3, "board_not_found", "$.window")
    grant(api, space, "g", "a", 1)
    assert hear(socket)["id"] == 1
    grant(api, narrowed, "g", "a", 1)
    assert hear(socket)["id"] == 4
