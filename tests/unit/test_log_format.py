"""What the script writes to the log and to the dedup hashes, as Python reads it."""

import pytest

from app.store.log_format import (
    LogFields,
    LogOutcome,
    dedup_place,
    parse_place,
    read_fields,
    read_outcome,
)


@pytest.mark.parametrize(
    ("text", "outcome"),
    [
        (b"1700 5 3", LogOutcome(1700, 5, 3, False)),
        (b"1700 0 -3", LogOutcome(1700, 0, -3, False)),
        (b"1700 5 ", LogOutcome(1700, 5, None, False)),
        (b"1700  3", LogOutcome(1700, None, 3, False)),
        (b"1700   q", LogOutcome(1700, None, None, True)),
        (b"1700 5 5 q", LogOutcome(1700, 5, 5, True)),
    ],
)
def test_an_outcome_says_when_and_what_the_score_was(text: bytes, outcome: LogOutcome) -> None:
    assert read_outcome(text) == outcome


@pytest.mark.parametrize("text", [b"", b"1700", b"1700 5", b"x 5 3", b"1700 x 3", b"1700 5 x", b" 5 3"])
def test_another_text_is_no_outcome(text: bytes) -> None:
    with pytest.raises(ValueError):
        read_outcome(text)


@pytest.mark.parametrize(
    ("fields", "read"),
    [
        ([b"d", b"x", b"e", b"y", b"r", b"z"], (b"x", b"y", b"z")),
        ([b"r", b"z", b"d", b"x", b"e", b"y"], (b"x", b"y", b"z")),
        ([b"d", b"x", b"e"], (b"x", b"", b"")),
        ([], (b"", b"", b"")),
    ],
)
def test_a_field_that_is_missing_is_empty(fields: list[bytes], read: tuple[bytes, bytes, bytes]) -> None:
    assert read_fields(fields) == LogFields(*read)


def test_a_position_is_epoch_and_seq() -> None:
    assert parse_place(b"2-17") == (2, 17)
    assert dedup_place(b"-" * 16 + b"2-17") == (2, 17)


@pytest.mark.parametrize("text", [b"", b"2", b"2-", b"-17", b"2-17-1", b"a-b"])
def test_another_text_is_no_position(text: bytes) -> None:
    with pytest.raises(ValueError):
        parse_place(text)
    with pytest.raises(ValueError):
        dedup_place(b"0" * 16 + text)
