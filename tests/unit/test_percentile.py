from collections import Counter
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.model.errors import Invalid
from app.model.percentile import MILLIONTHS, parse_percentile, percentile_of, position_of
from app.model.sample import draw_sample


@given(st.integers(1, 10**9), st.data())
def test_a_percentile_leads_back_to_its_score(total: int, data: st.DataObject) -> None:
    position = data.draw(st.integers(1, total))
    percentile = percentile_of(total - position + 1, total)
    assert abs(Fraction(percentile) - Fraction(100 * (total - position + 1), total)) <= Fraction(51, 1_000_000)
    position_there = position_of(parse_percentile(f"{percentile:.4f}", ""), total)
    assert position_there >= position
    assert percentile_of(total - position_there + 1, total) == percentile
    if total <= MILLIONTHS:
        assert position_there == position


@given(st.integers(1, 300), st.integers(0, MILLIONTHS))
def test_nearest_rank_is_the_last_position_that_is_high_enough(total: int, share: int) -> None:
    high = [at for at in range(1, total + 1) if round(percentile_of(total - at + 1, total) * 10_000) >= share]
    assert position_of(share, total) == high[-1]


@pytest.mark.parametrize(("text", "share"), [("0", 0), ("100", MILLIONTHS), ("99.9999", 999_999), ("5.50000", 55_000)])
def test_a_percentile_is_read(text: str, share: int) -> None:
    assert parse_percentile(text, "") == share


@pytest.mark.parametrize("text", ["", "-1", "100.0001", "101", "1e1", "0.00001", "٣", "nan", " 5", "5.", ".5", "1000"])
def test_what_is_no_percentile_is_refused(text: str) -> None:
    with pytest.raises(Invalid) as refused:
        parse_percentile(text, "{percentile}")
    assert refused.value.field == "{percentile}"


@given(st.lists(st.floats(0, 1, exclude_max=True), max_size=20), st.integers(0, 25))
def test_a_sample_is_distinct_and_as_large_as_it_can_be(fractions: list[float], total: int) -> None:
    drawn = draw_sample(fractions, total)
    assert drawn == sorted(set(drawn))
    assert len(drawn) == min(len(fractions), total)
    assert all(1 <= position <= total for position in drawn)


def test_every_set_is_as_likely() -> None:
    grid = [(i + 0.5) / 12 for i in range(12)]
    counted = Counter(tuple(draw_sample([one, other], 4)) for one in grid for other in grid)
    assert counted == dict.fromkeys([(1, 2), (1, 3), (1, 4), (2, 3), (2, 4), (3, 4)], 24)
