"""Bodies are counted before anything is made of them."""

import asyncio
import tracemalloc
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from app.http.bodies import JSON, MSGPACK, NDJSON
from app.model.errors import BadRequest, Invalid, Problem, TooLarge
from app.write.grant_requests import ARRAY_MAX, GRANT_BYTES_MAX, LINES_MAX, YieldClock, check_size, size_of, split_batch

MB = 1024 * 1024


def members(body: bytes, media: str) -> list[bytes]:
    return [bytes(member) for member in asyncio.run(split_batch(body, media))]


def refused(body: bytes, media: str) -> tuple[Problem, int]:
    """What a body is refused with, and the most bytes that it took."""
    tracemalloc.start()
    try:
        with pytest.raises(Problem) as refusal:
            asyncio.run(split_batch(body, media))
        return refusal.value, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("make", "media"),
    [
        (lambda: b"\n" * 40 * MB, NDJSON),
        (lambda: b"1\n" * 20 * MB, NDJSON),
        (lambda: b" \n" * 20 * MB, NDJSON),
        (lambda: b"[" + b"0," * 4 * MB + b"0]", JSON),
        (lambda: b"\xdd" + (8 * MB - 5).to_bytes(4, "big") + b"\x01" * (8 * MB - 5), MSGPACK),
    ],
    ids=["line feeds", "lines", "blank lines", "JSON", "MessagePack"],
)
def test_what_is_too_many_is_refused_before_it_is_made(make: Callable[[], bytes], media: str) -> None:
    problem, peak = refused(make(), media)
    assert isinstance(problem, TooLarge)
    assert peak < 8 * MB


@pytest.mark.parametrize("media", [JSON, MSGPACK])
def test_an_array_takes_so_many_and_no_more(media: str) -> None:
    encode = msgspec.json.encode if media == JSON else msgspec.msgpack.encode
    assert members(encode([1, [2], {"3": None}]), media) == [encode(1), encode([2]), encode({"3": None})]
    assert len(members(encode([0] * ARRAY_MAX), media)) == ARRAY_MAX
    assert isinstance(refused(encode([0] * (ARRAY_MAX + 1)), media)[0], TooLarge)
    reply, _ = refused(encode([]), media)
    assert isinstance(reply, Invalid)
    assert reply.field == "$"


def test_lines_are_counted_without_empty_ones() -> None:
    whole = [b'{"a":%d}' % i for i in range(LINES_MAX)]
    assert members(b"\n\n".join(whole) + b"\r\n", NDJSON)[:-1] == whole[:-1]
    assert isinstance(refused(b"1\n" * (LINES_MAX + 1), NDJSON)[0], TooLarge)
    assert members(b"1", NDJSON) == [b"1"]


def test_lines_longer_than_a_piece_stay_whole() -> None:
    whole = [b"a" * size for size in (5 * MB, 10, 3 * MB, MB)]
    assert members(b"\n".join(whole), NDJSON) == whole


def test_a_deep_nest_is_refused() -> None:
    assert isinstance(refused(b"[" * MB, JSON)[0], BadRequest)
    assert isinstance(refused(b"\x91" * MB, MSGPACK)[0], BadRequest)


def test_an_array_shorter_than_it_says_is_refused() -> None:
    assert isinstance(refused(b"\xdd\xff\xff\xff\xff\x01", MSGPACK)[0], BadRequest)


def test_the_loop_goes_on_while_lines_are_counted_and_split() -> None:
    async def act() -> int:
        turns, work = 0, asyncio.ensure_future(split_batch(b"a" * 20 * MB + b"\n", NDJSON))
        while not work.done():
            turns += 1
            await asyncio.sleep(0)
        return turns

    assert asyncio.run(act()) > 10


def test_a_grant_larger_than_any_is_not_decoded() -> None:
    check_size(size_of(b"x" * GRANT_BYTES_MAX))
    with pytest.raises(TooLarge):
        check_size(size_of(msgspec.Raw(b"x" * (GRANT_BYTES_MAX + 1))))


def test_large_members_end_a_turn_sooner() -> None:
    def count(member: Any) -> int:
        turns = YieldClock()
        return next(i for i in range(1, 10_000) if turns.is_over(size_of(member)))

    assert count(b"x" * 100) == 256
    assert count(b"x" * GRANT_BYTES_MAX) == 4
