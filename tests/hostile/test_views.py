"""Many views of one client beside one of another."""

import json
import re
from contextlib import ExitStack
from typing import Any

import httpx

from app.live.watched_boards import ADDRESS_VIEWS_MAX
from tests.support.raw_clients import ANSWER_S_MAX, Raw, frame, say, upgrade


def answers(raw: Raw, count: int) -> bytes:
    """What comes until so many subscriptions are answered."""
    while len(re.findall(rb'"(?:snapshot|rate_limited)"', raw.heard)) < count:
        before = len(raw.heard)
        assert raw.is_open(ANSWER_S_MAX), "the server closed it"
        assert len(raw.heard) > before, "nothing comes any more"
    return raw.heard


def test_forty_sockets_of_fifty_views_leave_others_theirs(live_server: Any, api: httpx.Client, space: str) -> None:
    api.put(f"/v1/namespaces/{space}", json={"visibility": "public", "accept_past": None}).raise_for_status()
    batch = [{"grant_id": f"g{i}", "user_id": f"u{i}", "amount": i} for i in range(1_000)]
    api.post(f"/v1/namespaces/{space}/grants", json=batch).raise_for_status()
    with ExitStack() as resources:
        raws = [resources.enter_context(Raw(live_server.port)) for _ in range(40)]
        for number, raw in enumerate(raws):
            upgrade(raw)
            for i in range(50):
                view = {"kind": "around", "user": f"u{50 * number + i}", "radius": 20}
                message = {"type": "subscribe", "id": i, "namespace": space, "view": view}
                raw.send(frame(1, json.dumps(message).encode()))
        other = resources.enter_context(Raw(live_server.port))
        upgrade(other)
        say(other, type="auth", token=live_server.key)
        say(other, type="subscribe", id=1, namespace=space, view={"kind": "users", "users": ["u7"]})
        assert b'"snapshot"' in other.hear(b'"snapshot"')
        body = {"grant_id": "h", "user_id": "u7", "amount": 1}
        assert api.post(f"/v1/namespaces/{space}/grants", json=body).status_code == 201
        assert b'"delta"' in other.hear(b'"delta"')
        received = b"".join(answers(raw, 50) for raw in raws)
        assert received.count(b'"snapshot"') == ADDRESS_VIEWS_MAX
        assert received.count(b'"rate_limited"') == 40 * 50 - ADDRESS_VIEWS_MAX
