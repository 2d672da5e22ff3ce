"""Bodies that never end, come in crumbs, or are more than anybody may hold."""

from contextlib import ExitStack
from typing import Any

import httpx
import pytest

from tests.hostile.conftest import Short
from tests.support.raw_clients import Raw, head, resident_bytes

MB = 1024 * 1024


def post(path: str, size: int, key: str | None = None, **fields: str) -> bytes:
    if key is not None:
        fields["authorization"] = f"Bearer {key}"
    return head(path, "POST", content_length=str(size), **fields)


def test_a_body_that_stops_is_refused(short: Short) -> None:
    with short.raw() as raw:
        raw.send(post("/v1/boards", 10_000) + b'{"boards":')
        assert raw.problem() == (408, "request_timeout")


def test_a_body_that_comes_byte_by_byte_is_refused(short: Short) -> None:
    with short.raw() as raw:
        raw.send(post("/v1/boards", 10_000))
        while raw.is_open(0.05) and not raw.heard:
            raw.send(b" ")
        assert raw.problem() == (408, "request_timeout")


def test_a_body_takes_no_longer_than_its_time_however_steadily_it_comes(short: Short) -> None:
    with short.raw() as raw:
        raw.send(post("/v1/boards", 400_000))
        while raw.is_open(0.05) and not raw.heard:
            raw.send(b" " * 1_000)
        assert raw.problem() == (408, "request_timeout")


def test_a_body_that_is_answered_before_it_is_there_is_read_away_for_a_while(short: Short) -> None:
    with short.raw() as raw:
        raw.send(post("/v1/boards", 30 * MB))
        assert raw.answer()[0] == 413
        for _ in range(30):
            raw.send(b" " * MB)
        raw.send(head("/healthz"))
        assert raw.answer()[0] == 200
        raw.send(post("/v1/boards", 30 * MB))
        assert raw.answer()[0] == 413
        assert raw.end() == b""


def test_chunks_smaller_than_their_frames_are_refused(short: Short) -> None:
    with short.raw() as raw:
        raw.send(head("/v1/boards", "POST", transfer_encoding="chunked"))
        for _ in range(40):
            if not raw.send(b"1\r\n \r\n" * 1_000):
                break
        assert raw.problem() == (400, "bad_request")


def test_a_trailer_without_an_end_is_refused(short: Short) -> None:
    before = resident_bytes(short.pid)
    with short.raw() as raw:
        raw.send(head("/v1/boards", "POST", transfer_encoding="chunked") + b"1\r\n \r\n0\r\nx: ")
        for _ in range(64):
            if not raw.send(b"a" * 65_536):
                break
        assert raw.problem() == (400, "bad_request")
    assert resident_bytes(short.pid) - before < 8 * MB


def test_unfinished_bodies_are_held_up_to_a_bound(short: Short) -> None:
    with ExitStack() as resources:
        raws = [resources.enter_context(short.raw()) for _ in range(4)]
        for raw in raws:
            raw.send(post("/v1/boards", 500_000))
            raw.send(b" " * 400_000)
        with short.client() as client:
            space = "beside-bodies"
            client.put(f"/v1/namespaces/{space}", json={})
            lines = "".join(f'{{"grant_id":"g{i}","user_id":"otter","amount":1}}\n' for i in range(9_000))
            headers = {"content-type": "application/x-ndjson"}
            body = client.post(f"/v1/namespaces/{space}/grants", content=lines, headers=headers).json()
            assert body["applied"] == 9_000
        # Those that fit were too slow, the others too much.
        assert {raw.answer()[0] for raw in raws} == {408, 429}


def test_unfinished_bodies_of_a_key_are_held_up_to_a_bound(short: Short) -> None:
    with short.client() as client:
        client.put("/v1/namespaces/many-bodies", json={})
    before = resident_bytes(short.pid)
    with ExitStack() as resources:
        raws = [resources.enter_context(short.raw()) for _ in range(6)]
        path, more = "/v1/namespaces/many-bodies/grants", {"content_type": "application/x-ndjson"}
        answers = []
        for raw in raws:
            raw.send(post(path, 30 * MB, short.key, **more))
            for _ in range(3):
                raw.send(b"\n" * MB)
            if not raw.is_open(0.3) or raw.heard:
                answers.append(raw.answer()[0])
        assert answers
        assert set(answers) == {429}
        assert resident_bytes(short.pid) - before < 40 * MB


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v1/grants"),
        ("POST", "/v1/namespaces/a/grants"),
        ("POST", "/v1/namespaces/a/corrections"),
        ("PATCH", "/v1/namespaces/a/grants/g"),
        ("POST", "/v1/namespaces/a/grants/g/restore"),
        ("PUT", "/v1/namespaces/a"),
        ("PUT", "/v1/users/u"),
        ("POST", "/v1/namespaces/a/totals"),
        ("POST", "/v1/namespaces/a/ranks"),
        ("POST", "/v1/namespaces/a/activity"),
    ],
)
def test_who_may_not_is_answered_before_the_body(live_server: Any, method: str, path: str) -> None:
    with Raw(live_server.port) as raw:
        raw.send(head(path, method, content_length="60000"))
        assert raw.answer()[0] == 401


def test_a_body_announced_as_too_large_is_refused_before_it_comes(api: httpx.Client, live_server: Any) -> None:
    with Raw(live_server.port) as raw:
        raw.send(post("/v1/boards", 50 * MB, expect="100-continue"))
        assert raw.answer()[0] == 413
        assert raw.end() == b"", "what comes next may be the body or a request"
