import asyncio
import gc
import logging
import weakref
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from uvicorn.protocols.http.flow_control import FlowControl

from app.http.connections import ANSWER
from app.http.cycle import Cycle


class Wire:
    """A transport that keeps what reaches it."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.closed = False

    def write(self, data: bytes) -> None:
        assert not self.closed
        self.sent.append(data)

    def close(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...


def started(status: int, *headers: tuple[bytes, bytes]) -> dict[str, Any]:
    return {"type": "http.response.start", "status": status, "headers": list(headers)}


def piece(body: bytes, more: bool = False) -> dict[str, Any]:
    return {"type": "http.response.body", "body": body, "more_body": more}


class Made:
    """A cycle, the wire it writes to, and how often the end was told."""

    def __init__(self, method: str = "GET", *, keep_alive: bool = True) -> None:
        self.wire, self.ends = Wire(), 0
        protocol = SimpleNamespace(
            transport=self.wire,
            flow=FlowControl(self.wire),  # type: ignore[arg-type]
            logger=logging.getLogger(),
            on_response_complete=self._end,
            expect_100_continue=False,
        )
        self.cycle = Cycle({"method": method}, protocol, keep_alive=keep_alive)  # type: ignore[arg-type]

    def _end(self) -> None:
        self.ends += 1


def answered(
    *messages: dict[str, Any],
    method: str = "GET",
    keep_alive: bool = True,
    look: Callable[[Wire], None] | None = None,
) -> tuple[Wire, int]:
    """What leaves for these messages, and how often the end was told."""

    async def within() -> tuple[Wire, int]:
        made = Made(method, keep_alive=keep_alive)
        for message in messages:
            await made.cycle.send(message)
            if look is not None:
                look(made.wire)
        return made.wire, made.ends

    return asyncio.run(within())


LENGTH_5 = (b"content-length", b"5")


def test_head_and_body_leave_in_one_write() -> None:
    wire, ends = answered(started(201, LENGTH_5, (b"etag", b'"1"')), piece(b"hello"))
    assert wire.sent == [b'HTTP/1.1 201 Created\r\ncontent-length: 5\r\netag: "1"\r\n\r\nhello']
    assert (ends, wire.closed) == (1, False)


def test_a_head_without_a_body_to_come_leaves_at_once() -> None:
    for method, status in (("HEAD", 200), ("GET", 304), ("DELETE", 204)):
        headers = [LENGTH_5] if method == "HEAD" else []
        wire, ends = answered(started(status, *headers), piece(b""), method=method)
        (sent,) = wire.sent
        assert sent.endswith(b"\r\n\r\n")
        assert b"transfer-encoding" not in sent
        assert ends == 1


def test_the_answer_to_head_has_the_length_and_no_body() -> None:
    wire, _ = answered(started(200, LENGTH_5), piece(b"hello"), method="HEAD")
    assert wire.sent == [b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n"]


def test_a_stream_of_unknown_length_goes_in_chunks_as_it_comes() -> None:
    counts: list[int] = []
    wire, ends = answered(
        *(started(200), piece(b"ab", more=True), piece(b"c", more=True), piece(b"")),
        look=lambda space: counts.append(len(space.sent)),
    )
    assert counts == [0, 1, 2, 3]
    assert b"".join(wire.sent).endswith(b"transfer-encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n")
    assert ends == 1


def test_a_connection_that_is_not_kept_says_so_and_closes() -> None:
    for keep_alive, headers in ((False, ()), (True, ((b"connection", b"close"),))):
        wire, _ = answered(started(200, LENGTH_5, *headers), piece(b"hello"), keep_alive=keep_alive)
        assert b"".join(wire.sent).count(b"connection: close\r\n") == 1
        assert wire.closed


@pytest.mark.parametrize(
    "messages",
    [
        pytest.param([started(200, (b"x", b"a\r\nset-cookie: b"))], id="a line's end in a value"),
        pytest.param([started(200, (b"x\n", b"a"))], id="a line's end in a name"),
        pytest.param([started(200, LENGTH_5), piece(b"longer")], id="longer than told"),
        pytest.param([started(200, LENGTH_5), piece(b"shor")], id="shorter than told"),
        pytest.param([piece(b"hello")], id="a body first"),
        pytest.param([started(200, LENGTH_5), started(200, LENGTH_5)], id="two heads"),
        pytest.param([started(200, LENGTH_5), piece(b"hello"), piece(b"more")], id="more behind the end"),
    ],
)
def test_what_is_no_answer_is_refused(messages: Sequence[dict[str, Any]]) -> None:
    with pytest.raises(RuntimeError):
        answered(*messages)


def test_a_whole_answer_is_what_two_messages_would_be() -> None:
    async def within() -> Made:
        made = Made()
        assert made.cycle.answer(200, b"content-length: 5\r\n", b"hello")
        return made

    made = asyncio.run(within())
    wire, ends = answered(started(200, LENGTH_5), piece(b"hello"))
    assert (made.wire.sent, made.ends) == (wire.sent, ends)
    assert made.cycle.response_complete


def test_a_whole_answer_that_has_to_wait_or_is_none_is_left_to_the_messages() -> None:
    def is_taken(made: Made) -> bool:
        return made.cycle.answer(200, b"content-length: 5\r\n", b"hello")

    async def within() -> None:
        for made in (Made("HEAD"), Made(keep_alive=False)):
            assert not is_taken(made)
            assert (made.wire.sent, made.ends) == ([], 0)
        paused, gone, begun = Made(), Made(), Made()
        paused.cycle.flow.pause_writing()
        gone.cycle.disconnected = True
        await begun.cycle.send(started(200, LENGTH_5))
        assert not any(map(is_taken, (paused, gone, begun)))
        assert (paused.wire.sent, gone.wire.sent, begun.wire.sent) == ([], [], [])

    asyncio.run(within())


def test_nothing_of_a_request_is_left_to_the_garbage_collector() -> None:
    """Each request had cost a quarter more while its scope and its cycle held each other."""

    async def within() -> list[weakref.ref[Cycle]]:
        gone = []
        for is_whole in (True, False):
            made = Made()
            made.cycle.scope[ANSWER] = made.cycle.answer  # type: ignore[literal-required]
            if is_whole:
                made.cycle.answer(200, b"content-length: 5\r\n", b"hello")
            else:
                await made.cycle.send(started(200, LENGTH_5))
                await made.cycle.send(piece(b"hello"))
            made.cycle.on_response = lambda: None  # as uvicorn does once the application is done
            gone.append(weakref.ref(made.cycle))
        return gone

    gc.disable()
    try:
        assert [one() for one in asyncio.run(within())] == [None, None]
    finally:
        gc.enable()
