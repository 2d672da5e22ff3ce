"""Places in line: numbers in Python and SQL, digits in Redis, all in one order."""

from random import Random

import pytest

from app.model.aggregation import AGGREGATIONS_BY_NAME
from app.model.micros import EARLIEST, LATEST, to_micros
from app.model.tie_break import (
    NO_MOMENT,
    describe_tie_place,
    latest_tie_place,
    member_of,
    tie_digits,
    tie_place,
    tie_place_from_digits,
)

FIRST, LAST = to_micros(EARLIEST), to_micros(LATEST)


def some_grants(random: Random, count: int) -> list[tuple[int, int]]:
    moments = [FIRST, -1, 0, 1, 2**53 % 10**15, LAST - 1, *(random.randrange(FIRST, LAST) for _ in range(20))]
    return [(random.choice(moments), random.randrange(1, 9 * 10**15)) for _ in range(count)]


def test_the_lower_place_has_the_greater_digits() -> None:
    grants = sorted(set(some_grants(Random(1), 500)))
    digits = [tie_digits(tie_place(*grant)) for grant in grants]
    assert digits == sorted(digits, reverse=True)
    assert {len(digit) for digit in digits} == {33}
    assert tie_digits(NO_MOMENT) > digits[0]


def test_digits_tell_their_place() -> None:
    for grant in some_grants(Random(2), 200):
        place = tie_place(*grant)
        member = member_of(b"d/\xc3\xa9", place, "granted_at")
        assert (tie_place_from_digits(member, "granted_at"), member[33:]) == (place, b"d/\xc3\xa9")
    assert tie_place_from_digits(member_of(b"ann", 7, "earliest"), "earliest") == 7
    assert (member_of(b"ann", 0, "none"), tie_place_from_digits(b"ann", "none")) == (b"ann", 0)
    assert [tie_place_from_digits(one, "granted_at") for one in (b"", b"7" * 32, b"x" * 33)] == [None] * 3


def test_a_place_is_described_by_its_moment() -> None:
    assert describe_tie_place(tie_place(1_714_694_400_000_001, 12)) == "2024-05-03T00:00:00.000001Z seq 12"
    assert describe_tie_place(NO_MOMENT) == "before every moment"


@pytest.mark.parametrize(
    ("how", "expected"), [("sum", (30, 4)), ("highest", (10, 2)), ("lowest", (40, 5)), ("latest", (40, 5))]
)
def test_which_grant_a_scores_place_is_of(how: str, expected: tuple[int, int]) -> None:
    grants = [(3, 20, 1), (5, 10, 2), (5, 10, 3), (5, 30, 4), (0, 40, 5)]
    assert latest_tie_place(
        AGGREGATIONS_BY_NAME[how].line_key(amount, tie_place(at, seq)) for amount, at, seq in grants
    ) == tie_place(*expected)
    assert (
        latest_tie_place([])
        == latest_tie_place([AGGREGATIONS_BY_NAME["sum"].line_key(0, tie_place(5, 1))])
        == NO_MOMENT
    )
