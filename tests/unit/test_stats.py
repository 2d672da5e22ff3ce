"""Figures out of exact sums, and bands."""

from decimal import Decimal, localcontext
from fractions import Fraction

import msgspec
import pytest

from app.http.bodies import encode_json, encode_msgpack
from app.live.frames import Snapshot
from app.live.protocol import Frame
from app.model.score import UNITS_MAX, sum_of
from app.model.stats import Band, ScoreSums, Statistics, band_of, ranks_within, statistics_body

SPREADS = [[5], [0, 0], [-7, 7], [UNITS_MAX, -UNITS_MAX, 1], [UNITS_MAX] * 999 + [UNITS_MAX - 1]]


@pytest.mark.parametrize("scores", SPREADS, ids=str)
@pytest.mark.parametrize("scale", [0, 3, 6])
def test_a_mean_and_a_deviation_are_rounded_once(scores: list[int], scale: int) -> None:
    sums, n = ScoreSums(sum(scores), sum(score**2 for score in scores)), len(scores)
    mean = Fraction(sum(scores), n)
    assert sums.mean(n, scale) == float(mean / 10**scale)
    variance = sum((score - mean) ** 2 for score in scores) / n / 100**scale
    with localcontext(prec=60):
        deviation = (Decimal(variance.numerator) / variance.denominator).sqrt()
    assert sums.deviation(n, scale) == pytest.approx(float(deviation), rel=1e-15, abs=0)


@pytest.mark.parametrize(
    ("units", "scale", "expected"),
    [
        (10**15 - 1, 0, "999999999999999"),
        (25, 1, "2.5"),
        (-(10**20), 0, "-100000000000000000000"),
        (10**20 + 1, 3, "100000000000000000.001"),
        (-(10**20) - 1, 3, "-100000000000000000.001"),
        (10**20, 6, "100000000000000"),
    ],
)
def test_a_sum_of_any_length_is_exact(units: int, scale: int, expected: str) -> None:
    statistics = Statistics(1, 1, ScoreSums(units, units**2), 1, units, units, (1, 1, 1), ())
    assert str(statistics_body(statistics, scale)["sum"]) == expected


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize(
    ("units", "scale", "expected", "is_text"),
    [
        (999_999_999_999_999, 0, "999999999999999", False),
        (2**53 + 1, 0, "9007199254740993", False),
        (1_234_567_890_123_456_789, 0, "1234567890123456789", False),
        (2**63 - 1, 0, "9223372036854775807", False),
        (2**64, 0, "18446744073709551616", True),
        (1_234_567_890_123_456_789_012_345, 0, "1234567890123456789012345", True),
        (999_999_999_999_999, 3, "999999999999.999", False),
        (1_000_000_000_000_001, 3, "1000000000000.001", True),
        (1_234_567_890_123_456_789, 3, "1234567890123456.789", True),
        (9_007_199_254_740_993_000, 3, "9007199254740993", False),
        (1_234_567_890_123_456_789_012_345, 3, "1234567890123456789012.345", True),
        (1_234_567_890_123_456_789_012_000, 3, "1234567890123456789012", True),
    ],
)
def test_a_sum_arrives_exactly_in_every_format(units: int, scale: int, expected: str, is_text: bool, sign: int) -> None:
    expected = expected if sign > 0 else f"-{expected}"
    body = {
        "sum": statistics_body(Statistics(1, 1, ScoreSums(sign * units, None), 1, 1, 1, (1, 1, 1), ()), scale)["sum"]
    }
    frame = Frame(Snapshot("all", None, None, 1, 1, 1, (), body))
    wire = frame.wire(7, packed=True)
    assert encode_json(body) == b'{"sum":%s}' % expected.encode()
    assert frame.wire(7, packed=False).endswith(f'"stats":{{"sum":{expected}}}}}'.encode())
    for packed in (encode_msgpack({"stats": body}), wire[2 if wire[1] < 126 else 4 :]):
        decoded = msgspec.msgpack.decode(packed)["stats"]["sum"]
        assert (str(decoded), isinstance(decoded, str)) == (expected, is_text)


@pytest.mark.parametrize("units", [2**63, 2**64 - 1])
def test_an_unsigned_integer_has_64_bits(units: int) -> None:
    assert msgspec.msgpack.decode(encode_msgpack(sum_of(units, 0))) == units


def test_bands_are_shares_from_the_greatest_down() -> None:
    assert [band_of((), better, 5) for better in range(5)] == ["very-high", "high", "medium", "low", "very-low"]
    assert [band_of((), better, 2) for better in range(2)] == ["very-high", "medium"]
    halves = (Band("top", 0.5), Band("rest", 1))
    assert [band_of(halves, better, 3) for better in range(3)] == ["top", "top", "rest"]
    assert band_of(halves, 0, 1) == "top"


def test_so_many_begin_within_a_share_as_have_fewer_above_them() -> None:
    for total in range(1, 61):
        for n in range(1, 21):
            assert [ranks_within(i / n, total) for i in range(1, n + 1)] == [
                -(-i * total // n) for i in range(1, n + 1)
            ]
    assert ranks_within(0.5, 0) == 0
