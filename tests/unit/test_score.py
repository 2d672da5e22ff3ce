from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.model.errors import AmountRange, AmountScale, Invalid
from app.model.score import UNITS_MAX, from_units, to_units


@pytest.mark.parametrize(
    ("text", "scale", "units"),
    [
        ("25", 0, 25),
        ("-3", 0, -3),
        ("2.5", 1, 25),
        ("2.50", 1, 25),
        ("1e2", 0, 100),
        ("1E-1", 1, 1),
        ("0.0", 0, 0),
        ("-0", 0, 0),
        ("0e999999", 0, 0),
        ("25." + "0" * 100, 0, 25),
        ("999999999999999", 0, UNITS_MAX),
        ("-999999999.999999", 6, -UNITS_MAX),
    ],
)
def test_a_number_becomes_exact_units(text: str, scale: int, units: int) -> None:
    assert to_units(text, scale) == units


@pytest.mark.parametrize("text", ["2.55", "0.30000000000000004", "1e-400", "1E-2", "0.1000000000000000055"])
def test_too_many_decimals_are_refused(text: str) -> None:
    with pytest.raises(AmountScale):
        to_units(text, 1)


@pytest.mark.parametrize("text", ["1" + "0" * 15, "-1" + "0" * 15, "1e400", "1e15", "9" * 5000, "1e999999999"])
def test_beyond_the_exact_range_is_refused(text: str) -> None:
    with pytest.raises(AmountRange):
        to_units(text, 0)


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity", "sNaN", "abc", ""])
def test_what_is_no_number_is_refused(text: str) -> None:
    with pytest.raises(Invalid):
        to_units(text, 0)


@given(st.integers(-UNITS_MAX, UNITS_MAX), st.integers(0, 6))
def test_units_survive_the_way_through_a_json_number(units: int, scale: int) -> None:
    number = from_units(units, scale)
    assert Decimal(repr(number)) == Decimal(units).scaleb(-scale)
    assert to_units(repr(number), scale) == units
