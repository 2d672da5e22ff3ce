from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.model.errors import Invalid
from app.model.micros import EARLIEST, LATEST, from_micros, to_micros
from app.model.moment import parse_moment, read_moment

LAST = datetime(2024, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)


def ext(seconds: int, nanos: int) -> bytes:
    return b"\xc7\x0c\xff" + nanos.to_bytes(4, "big") + seconds.to_bytes(8, "big", signed=True)


@pytest.mark.parametrize(
    "token",
    [
        b'"2024-12-31T23:59:59.9999999Z"',
        b'"2024-12-31T23:59:59.999999999999Z"',
        b'"2025-01-01T00:59:59.9999999+01:00"',
        b'"2024-12-31t23:59:59.999999z"',
        b'"\\u0032024-12-31T23:59:59.9999999Z"',
        msgspec.msgpack.encode("2024-12-31T23:59:59.9999999Z"),
        b"\xd7\xff" + (999_999_999 << 34 | 1_735_689_599).to_bytes(8, "big"),
        ext(1_735_689_599, 999_999_999),
    ],
)
def test_digits_past_the_sixth_are_cut(token: bytes) -> None:
    assert read_moment(msgspec.Raw(token), "$.granted_at") == LAST


@given(st.integers(to_micros(EARLIEST), to_micros(LATEST) - 1), st.integers(0, 999))
def test_every_way_of_writing_a_time_is_the_same_time(micros: int, nanos: int) -> None:
    moment = from_micros(micros)
    text = f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond:06}{nanos:03}Z"
    whole, rest = divmod(to_micros(moment), 1_000_000)
    for token in (f'"{text}"'.encode(), msgspec.msgpack.encode(text), ext(whole, rest * 1_000 + nanos)):
        assert read_moment(msgspec.Raw(token), "$.at") == moment
    assert parse_moment(text, "?at") == moment


@pytest.mark.parametrize("token", [b"null", b"\xc0"])
def test_null_is_no_time(token: bytes) -> None:
    assert read_moment(msgspec.Raw(token), "$.at") is None


@pytest.mark.parametrize(
    "token",
    [
        *(b'"', b'""', b"5", b"{}", b"true", b"\x05", b"\x93\x01\x02\x03", b"\xd6\xff", b"\xd7\x01" + bytes(8)),
        *(b'"2024-12-31"', b'"2024-12-31T23:59:59"', b'"2024-12-31T23:59:59.1234567"', b'"2024-12-31T23:59:60Z"'),
        *(b'"1899-12-31T23:59:59.9999999Z"', b'"2255-01-01T00:00:00Z"', b'"yesterday"', ext(2**60, 0), ext(0, 10**9)),
    ],
)
def test_what_is_no_time_is_refused_by_its_field(token: bytes) -> None:
    with pytest.raises(Invalid) as refused:
        read_moment(msgspec.Raw(token), "$.at")
    assert refused.value.field == "$.at"


def test_a_plus_may_come_as_a_space() -> None:
    assert parse_moment("2024-12-31T23:59:59.9999999 00:00", "?at") == LAST
    assert parse_moment("2024-12-31 23:59:59.9999999 00:00", "?at") == LAST
