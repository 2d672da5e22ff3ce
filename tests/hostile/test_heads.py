"""Requests that never end, come byte by byte, or whose answers nobody reads."""

import json
import time
from contextlib import ExitStack
from typing import Any

import httpx
import pytest

from app.http.connections import IDLE_S_MAX
from app.http.protocol import HEADERS_BYTES_MAX, HEADERS_MAX, PIPELINED_MAX, URL_BYTES_MAX
from tests.hostile.conftest import Short
from tests.support.raw_clients import Raw, head, resident_bytes, server_sockets
from tests.support.short_limits import LIMITS
from tests.support.waits import until

MB = 1024 * 1024


def test_a_connection_that_sends_nothing_is_closed(short: Short) -> None:
    with short.raw() as raw:
        assert raw.end() == b""


def test_a_head_that_comes_too_slowly_is_refused(short: Short) -> None:
    with short.raw() as raw:
        raw.send(b"GET /healthz HTTP/1.1\r\nhost: x\r\nx-slow: ")
        while raw.is_open(0.1) and not raw.heard:
            raw.send(b"a")
        assert raw.problem() == (408, "request_timeout")


def test_a_slow_head_behind_an_answer_is_timed_from_its_first_byte(short: Short) -> None:
    with short.raw() as raw:
        raw.send(head("/healthz"))
        assert raw.answer()[0] == 200
        raw.send(b"GET /healthz")
        assert raw.problem() == (408, "request_timeout")


@pytest.mark.parametrize(
    ("begin", "more", "expected"),
    [
        (b"GET /healthz HTTP/1.1\r\nhost: x\r\nx-long: ", b"a", (431, "headers_too_large")),
        (b"GET /healthz HTTP/1.1\r\nhost: x\r\n", b"x", (431, "headers_too_large")),
        (b"GET /healthz HTTP/1.1\r\nhost: x\r\n", b"a: b\r\n", (431, "headers_too_large")),
        (b"GET /v1/namespaces?prefix=", b"a", (414, "uri_too_long")),
        (b"GET /", b"a/", (414, "uri_too_long")),
    ],
    ids=["value", "name", "fields", "query", "path"],
)
def test_a_head_without_an_end_is_refused_and_kept_nowhere(
    short: Short, begin: bytes, more: bytes, expected: tuple[int, str]
) -> None:
    before, piece = resident_bytes(short.pid), more * (65_536 // len(more))
    with ExitStack() as resources:
        raws = [resources.enter_context(short.raw()) for _ in range(10)]
        for raw in raws:
            raw.send(begin)
            for _ in range(4 * MB // len(piece)):
                if not raw.send(piece):
                    break
        assert resident_bytes(short.pid) - before < 24 * MB
        assert raws[-1].problem() == expected


def test_a_head_at_the_bounds_is_taken(short: Short) -> None:
    with short.raw() as raw:
        raw.send(head("/healthz", **{f"x{i}": "" for i in range(HEADERS_MAX - 1)}))
        assert raw.answer()[0] == 200
        raw.send(head("/healthz", long="a" * (HEADERS_BYTES_MAX - 100)))
        assert raw.answer()[0] == 200
        raw.send(head("/healthz?" + "a" * (URL_BYTES_MAX - 100)))
        assert raw.answer()[0] == 200
        raw.send(head("/healthz", **{f"x{i}": "" for i in range(HEADERS_MAX)}))
        assert raw.problem() == (431, "headers_too_large")
    with short.raw() as raw:
        raw.send(head("/healthz", long="a" * HEADERS_BYTES_MAX))
        assert raw.problem() == (431, "headers_too_large")


def test_a_query_of_thousands_of_parameters_is_refused_by_name(api: httpx.Client) -> None:
    answer = api.get("/v1/namespaces?" + "&".join(f"p{i}" for i in range(5_000)))
    assert (answer.status_code, answer.json()["code"], answer.json()["field"]) == (422, "invalid", "?")


def test_what_is_no_http_is_refused_without_a_line_in_the_log(live_server: Any) -> None:
    log = live_server.folder / "serve.log"
    before = log.stat().st_size
    with Raw(live_server.port) as raw:
        raw.send(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n")
        assert raw.problem() == (400, "bad_request")
    with Raw(live_server.port) as raw:
        raw.send(head("/healthz", connection="Upgrade", upgrade="h2c"))
        assert raw.answer()[0] == 200
    assert log.stat().st_size == before


def test_a_connection_without_requests_is_closed_after_a_while(short: Short) -> None:
    with short.raw() as raw:
        raw.send(head("/healthz"))
        assert raw.answer()[0] == 200
        assert raw.is_open(LIMITS.idle_s_max / 2)
        assert raw.end() == b""
    assert IDLE_S_MAX == 60


def test_requests_that_are_sent_ahead_are_answered_up_to_a_bound(short: Short) -> None:
    with short.raw() as raw:
        raw.send(head("/healthz") * (PIPELINED_MAX // 2))
        assert [raw.answer()[0] for _ in range(PIPELINED_MAX // 2)] == [200] * (PIPELINED_MAX // 2)
        raw.send(head("/healthz") * 2_000)
        reply = raw.end()
        assert reply.count(b"HTTP/1.1 200") == PIPELINED_MAX + 1
        assert reply.count(b"HTTP/1.1 429") == 1
        assert json.loads(reply.rpartition(b"\r\n\r\n")[2])["code"] == "rate_limited"


def test_answers_that_nobody_reads_are_dropped(short: Short) -> None:
    with short.client() as client:
        client.put("/v1/namespaces/unread", json={"visibility": "public"})
        batch = [{"grant_id": f"g{i}", "user_id": f"{i:0128}", "amount": i} for i in range(1_000)]
        assert client.post("/v1/namespaces/unread/grants", json=batch).json()["applied"] in (0, 1_000)
    before = resident_bytes(short.pid)
    with ExitStack() as resources:
        raws = [resources.enter_context(short.raw(4_096)) for _ in range(10)]
        for raw in raws:
            raw.send(head("/v1/namespaces/unread/boards/all?limit=1000") * 30)
        peers = {raw.socket.getsockname()[1] for raw in raws}
        until(lambda: not server_sockets(short.port, peers), "the sockets stay", 10)
    assert resident_bytes(short.pid) - before < 40 * MB


def test_at_the_bound_the_longest_idle_without_a_key_makes_room(short: Short) -> None:
    with ExitStack() as resources:
        keyed = resources.enter_context(short.raw())
        keyed.send(head("/v1/namespaces/none", authorization=f"Bearer {short.key}"))
        assert keyed.answer()[0] == 404
        idle = [resources.enter_context(short.raw()) for _ in range(5)]
        for raw in idle:
            raw.send(head("/healthz"))
            assert raw.answer()[0] == 200
        silent = [resources.enter_context(short.raw()) for _ in range(LIMITS.connections_max)]
        for raw in silent[-3:]:
            raw.send(head("/healthz"))
            assert raw.answer()[0] == 200
        assert not any(raw.is_open() for raw in idle)
        keyed.send(head("/v1/namespaces/none", authorization=f"Bearer {short.key}"))
        assert keyed.answer()[0] == 404


@pytest.mark.long
def test_thousands_of_idle_connections_leave_others_their_way(
    live_server: Any, api: httpx.Client, space: str, files: None
) -> None:
    pid = live_server.pid("serve")
    before = resident_bytes(pid)
    with ExitStack() as resources:
        raws = [resources.enter_context(Raw(live_server.port)) for _ in range(5_000)]
        for raw in raws[::2]:
            raw.send(b"POST /v1/boards HTTP/1.1\r\nhost: x\r\ncontent-le")
        for i in range(20):
            body = {"grant_id": f"g{i}", "user_id": "otter", "amount": 1}
            assert api.post(f"/v1/namespaces/{space}/grants", json=body).status_code == 201
            assert api.get(f"/v1/namespaces/{space}/boards/all").json()["entries"][0]["score"] == i + 1
        grown = resident_bytes(pid) - before
        assert grown < 5_000 * 24 * 1024
        began = time.monotonic()
        until(lambda: not raws[0].is_open() and not raws[-1].is_open(), "the connections stay", 30)
        assert time.monotonic() - began < 25


@pytest.mark.parametrize("target", [b"GET http://elsewhere", b"CONNECT elsewhere:1", b"GET ?window=all"])
def test_a_target_without_a_path_is_refused_by_name(short: Short, target: bytes) -> None:
    with short.raw() as raw:
        raw.send(target + b" HTTP/1.1\r\nhost: x\r\n\r\n")
        assert raw.problem() == (400, "bad_request")


def test_a_target_that_names_the_server_is_its_path(short: Short) -> None:
    with short.raw() as raw:
        raw.send(head("http://elsewhere/healthz"))
        assert raw.answer()[0] == 200


@pytest.mark.parametrize("query", ["user=%ff", "user=%ed%a0%80", "user=ann&user=%C3%28"])
def test_a_query_that_is_not_utf_8_is_refused_like_a_path(short: Short, query: str) -> None:
    for path in ("/v1/namespaces/n/boards/all", "/v1/stats"):
        with short.raw() as raw:
            raw.send(head(f"{path}?{query}"))
            status, body = raw.answer()
            assert (status, json.loads(body)["code"]) == (400, "bad_request")
            raw.send(head("/healthz"))
            assert raw.answer()[0] == 200
