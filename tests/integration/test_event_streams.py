"""Live boards as Server-Sent Events, over a plain socket."""

import random
import time
from contextlib import ExitStack
from typing import Any
from uuid import uuid4

import httpx
import pytest

from app.model.namespace import partition_of
from tests.support.event_streams import applied, events, in_order
from tests.support.live_socket import grant, key, public
from tests.support.raw_clients import Raw, head, server_sockets
from tests.support.waits import until

VIEWS = ["limit=3", "around=b&radius=1", "user=a&user=e&user=nobody", "limit=2&category=red"]


def post(api: httpx.Client, space: str, grant_id: str, user: str, amount: int, **more: Any) -> None:
    body = {"grant_id": grant_id, "user_id": user, "amount": amount, **more}
    assert api.post(f"/v1/namespaces/{space}/grants", json=body).status_code == 201


def test_a_snapshot_then_deltas_that_lead_to_the_board(live_server: Any, api: httpx.Client, space: str) -> None:
    with events(
        live_server.port, f"{space}/boards/all/events?limit=3", authorization=f"Bearer {live_server.key}"
    ) as it:
        assert it.status == 200
        assert it.fields["content-type"] == "text/event-stream; charset=utf-8"
        assert (it.fields["cache-control"], it.fields["x-accel-buffering"]) == ("no-store", "no")
        assert (it.fields["transfer-encoding"], it.fields["connection"]) == ("chunked", "close")
        event = it.next()
        assert (event.kind, event.body["version"], event.body["entries"]) == ("snapshot", 0, [])
        assert "id" not in event.body
        state, version = applied({}, event.body), 0
        for i, (user, amount) in enumerate([("a", 5), ("b", 7), ("c", 6), ("d", 9), ("a", 9)]):
            grant(api, space, str(i), user, amount)
            event = it.next()
            assert (event.kind, event.body["from"]) == ("delta", version)
            state, version = applied(state, event.body), event.body["version"]
            board = api.get(f"/v1/namespaces/{space}/boards/all?limit=3").json()
            assert in_order(state) == board["entries"]
            assert (event.body["total"], version) == (board["total"], board["version"])
            assert event.event_id == f"{board['epoch']}-{version}-all"


@pytest.mark.parametrize("query", VIEWS)
def test_random_writes_lead_to_what_a_read_answers_at_the_same_version(
    live_server: Any, api: httpx.Client, space: str, query: str
) -> None:
    """The client comes back now and then, with the id of the event that it had last."""
    public(api, space, category_boards=True)
    post(api, space, "first", "b", 1, category="red")
    chance, state, event_id, seen = random.Random(query), dict[str, Any](), "", 0
    path = f"{space}/boards/all/events?{query}"
    for round_ in range(6):
        with events(live_server.port, path, last_event_id=event_id or None) as it:
            event = it.next()
            assert event.kind in ("snapshot", "uptodate")
            if event.kind == "snapshot":
                state = applied(state, event.body)
            for number in range(5):
                name = f"{round_}-{number}"
                for _ in range(chance.randint(1, 3)):
                    name += "x"
                    post(api, space, name, chance.choice("abcdef"), chance.randint(-3, 9), category="red")
                board = api.get(f"/v1/namespaces/{space}/boards/all?{query}").json()
                while event.body["version"] < board["version"]:
                    before = event.body["version"]
                    event = it.next()
                    assert event.kind == "snapshot" or event.body["from"] == before
                    state, seen = applied(state, event.body), seen + 1
                assert event.body["version"] == board["version"]
                assert in_order(state) == board["entries"]
            event_id = event.event_id
    assert seen > 20


def test_statistics(live_server: Any, api: httpx.Client, space: str) -> None:
    public(api, space)
    with events(live_server.port, f"{space}/boards/all/events?stats=true") as it:
        assert it.next().body["stats"]["count"] == 0
        grant(api, space, "g", "a", 7)
        stats = it.next().body["stats"]
        assert (stats["count"], stats["sum"]) == (1, 7)


def test_a_client_comes_back_where_it_was(live_server: Any, api: httpx.Client, space: str) -> None:
    public(api, space)
    grant(api, space, "g", "a", 1)
    path = f"{space}/boards/day/events"
    with events(live_server.port, path) as it:
        event = it.next()
        day, event_id = event.body["window"], event.event_id
        assert event_id.endswith(f"-{day}")
    with events(live_server.port, path, last_event_id=event_id) as it:
        event = it.next()
        assert (event.kind, event.event_id) == ("uptodate", event_id)
        assert event.body == {"type": "uptodate", "window": day, "version": int(event_id.split("-")[1])}
    others = [
        event_id.replace(day, "2020-01-01"),
        "9" + event_id,
        event_id.rpartition("-")[0],
        "x",
        "1-1-",
        "٣-١-all",
        "-" * 300,
    ]
    for other in others:
        with events(live_server.port, path, last_event_id=other.encode().decode("latin-1")) as it:
            assert it.next().kind == "snapshot", other
    grant(api, space, "h", "b", 1)
    with events(live_server.port, path, last_event_id=event_id) as it:
        assert it.next().kind == "snapshot"


@pytest.mark.parametrize(
    ("path", "status", "code", "field"),
    [
        ("{}/boards/all/events?limit=101", 422, "invalid", "?limit"),
        ("{}/boards/all/events?limit=x", 422, "invalid", "?limit"),
        ("{}/boards/all/events?around=a&radius=26", 422, "invalid", "?radius"),
        ("{}/boards/all/events?radius=2", 422, "invalid", "?radius"),
        ("{}/boards/all/events?around=a&limit=2", 422, "invalid", "?limit"),
        ("{}/boards/all/events?around=", 422, "invalid", "?around"),
        ("{}/boards/all/events?" + "&".join(f"user={i}" for i in range(51)), 422, "invalid", "?user"),
        ("{}/boards/all/events?stats=no", 422, "invalid", "?stats"),
        ("{}/boards/all/events?stats=true&limit=2", 422, "invalid", "?limit"),
        ("{}/boards/all/events?category=red", 422, "invalid", "?category"),
        ("{}/boards/all/events?category=", 422, "invalid", "?category"),
        ("{}/boards/all/events?offset=2", 422, "invalid", "?offset"),
        ("{}/boards/fortnight/events", 404, "board_not_found", "{window}"),
        ("{}-private/boards/all/events", 401, "unauthorized", "Authorization"),
        ("nowhere/boards/all/events", 401, "unauthorized", "Authorization"),
    ],
)
def test_a_wrong_request_gets_a_problem_and_no_stream(
    live_server: Any, api: httpx.Client, space: str, path: str, status: int, code: str, field: str
) -> None:
    public(api, space)
    api.put(f"/v1/namespaces/{space}-private", json={})
    with live_server.client(None) as nobody:
        answer = nobody.get(f"/v1/namespaces/{path.format(space)}")
        assert (answer.status_code, answer.json()["code"], answer.json()["field"]) == (status, code, field)
        assert answer.headers["content-type"] == "application/problem+json"
        assert nobody.get("/healthz").status_code == 200, "the connection goes on"


def test_head_tells_of_the_stream_and_begins_none(live_server: Any, api: httpx.Client, space: str) -> None:
    public(api, space)
    answer = api.head(f"/v1/namespaces/{space}/boards/all/events")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
    assert api.head(f"/v1/namespaces/{space}/boards/fortnight/events").status_code == 404


def test_an_old_client_gets_a_body_without_chunks(live_server: Any, api: httpx.Client, space: str) -> None:
    public(api, space)
    with events(live_server.port, f"{space}/boards/all/events", version="1.0") as it:
        assert "transfer-encoding" not in it.fields
        assert it.next().kind == "snapshot"
        grant(api, space, "g", "a", 1)
        assert it.next().kind == "delta"


def test_a_namespace_made_private_ends_what_is_watched_without_a_key(
    live_server: Any, api: httpx.Client, space: str
) -> None:
    public(api, space)
    with ExitStack() as resources:
        path = f"{space}/boards/all/events"
        nobody = resources.enter_context(events(live_server.port, path))
        known = resources.enter_context(events(live_server.port, path, authorization=f"Bearer {live_server.key}"))
        assert (nobody.next().kind, known.next().kind) == ("snapshot", "snapshot")
        api.put(f"/v1/namespaces/{space}", json={"visibility": "private"})
        event = nobody.next()
        assert (event.kind, event.body["code"]) == ("error", "unauthorized")
        assert "Authorization: Bearer" in event.body["detail"]
        with pytest.raises(EOFError):
            nobody.next()
        grant(api, space, "g", "a", 1)
        assert known.next().kind == "delta"


def test_a_revoked_key_ends_its_streams_and_no_others(live_server: Any, api: httpx.Client, space: str) -> None:
    token = key(live_server, f"read:{space}")
    path = f"{space}/boards/all/events"
    with (
        events(live_server.port, path, authorization=f"Bearer {token}") as it,
        events(live_server.port, path, authorization=f"Bearer {live_server.key}") as other,
    ):
        assert (it.next().kind, other.next().kind) == ("snapshot", "snapshot")
        live_server.revoke(token)
        event = it.next()
        assert (event.kind, event.body["code"], event.body["detail"]) == (
            *("error", "unauthorized"),
            "the key was revoked, or the token expired",
        )
        with pytest.raises(EOFError):
            it.next()
        grant(api, space, "g", "a", 1)
        assert other.next().kind == "delta"


def test_a_deleted_namespace_ends_its_streams(live_server: Any, api: httpx.Client, space: str) -> None:
    public(api, space)
    with events(live_server.port, f"{space}/boards/all/events") as it:
        assert it.next().kind == "snapshot"
        api.delete(f"/v1/namespaces/{space}", params={"confirm": space})
        assert it.next().body["code"] == "namespace_not_found"


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_server_that_ends_asks_its_streams_to_come_back(own_stack: Any, workers: str) -> None:
    if workers != "1":
        own_stack.extra["LEADERBOARD_WORKERS"] = workers
        own_stack.restart()
    with own_stack.client() as api:
        public(api, "race")
    with ExitStack() as resources:
        streams = [resources.enter_context(events(own_stack.port, "race/boards/all/events")) for _ in range(6)]
        assert {it.next().kind for it in streams} == {"snapshot"}
        begun = time.monotonic()
        own_stack.stop("serve")
        assert time.monotonic() - begun < 3.5
        drained = [it.next() for it in streams]
        assert {(event.kind, event.body["retry_ms"]) for event in drained} == {("drain", 1000)}
        assert all(1000 <= (event.retry_ms or 0) < 2000 for event in drained)
        for it in streams:
            with pytest.raises(EOFError):
                it.next()
    assert "timeout graceful shutdown exceeded" not in (own_stack.folder / "serve.log").read_text()


def test_a_client_comes_back_where_it_was_behind_a_restart_and_gets_the_whole_board_in_another_epoch(
    own_stack: Any,
) -> None:
    path, partition = "race/boards/all/events", partition_of("race", None, 16)
    with own_stack.client() as api:
        public(api, "race")
        grant(api, "race", "g", "a", 1)
        with events(own_stack.port, path) as it:
            event_id = it.next().event_id
            own_stack.stop("serve")
            assert it.next().kind == "drain"
            assert it.event_id == event_id, "a drain names no state"
        own_stack.start("serve")
        with events(own_stack.port, path, last_event_id=event_id) as it:
            assert it.next().kind == "uptodate"
            grant(api, "race", "h", "b", 1)
            event = it.next()
            assert (event.kind, event.body["from"]) == ("delta", int(event_id.split("-")[1]))
        own_stack.wait_flushed()
        assert own_stack.run("rebuild", "--partition", str(partition), "--quiet").returncode == 0
        with events(own_stack.port, path, last_event_id=event.event_id) as it:
            again = it.next()
            assert again.kind == "snapshot"
            assert again.body["epoch"] > int(event_id.split("-")[0])
            assert api.get("/v1/namespaces/race/boards/all").json()["entries"] == again.body["entries"]


def test_a_server_ends_in_time_beside_a_client_that_does_not_read(own_stack: Any) -> None:
    users = [f"{i:0128}" for i in range(100)]
    with own_stack.client() as api, Raw(own_stack.port, 4_096) as deaf:
        public(api, "race")
        deaf.send(head("/v1/namespaces/race/boards/all/events?limit=100"))
        peer = deaf.socket.getsockname()[1]

        def is_late() -> bool:
            batch = [{"grant_id": uuid4().hex, "user_id": user, "amount": 1} for user in users]
            assert api.post("/v1/namespaces/race/grants", json=batch).json()["applied"] == 100
            return server_sockets(own_stack.port, {peer})[peer][1] > 40 * 1024

        until(is_late, "the client takes all")
        begun = time.monotonic()
        own_stack.stop("serve")
        assert time.monotonic() - begun < 4
