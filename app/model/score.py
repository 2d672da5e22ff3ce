"""Amounts and scores: exact decimals with a namespace's scale, held as integers of scaled units.

Doubles hold scaled units up to 10^15 exactly, and a decimal of 15 digits survives the conversion to a double and back.
So a score leaves as a JSON number without rounding.
"""

from decimal import Decimal, InvalidOperation

from .errors import AmountRange, AmountScale, Invalid

#: Scaled units of an amount or a score: fifteen digits are exact in the doubles by which Redis sorts.
UNITS_MAX = 10**15 - 1
#: Characters of a number with a point or an exponent; a longer one is refused before it is read.
_DIGITS_MAX = 1000
_POWERS = tuple(int(f"1{'0' * n}") for n in range(32))


def to_units(number: str, scale: int, field: str = "$.amount") -> int:
    """Scaled units of a JSON number's own text: `2.5` at scale 1 is 25. AmountScale, AmountRange, Invalid."""
    if len(number) < 16:
        try:
            units = int(number) * _POWERS[scale]
        except ValueError:
            pass
        else:
            if -UNITS_MAX <= units <= UNITS_MAX:
                return units
            raise _too_large(scale, field)
    return _decimal_units(number, scale, field)


def _decimal_units(number: str, scale: int, field: str) -> int:
    if len(number) > _DIGITS_MAX:
        raise AmountRange(f"a number of more than {_DIGITS_MAX} characters", field=field)
    try:
        sign, digits, exponent = Decimal(number).as_tuple()
    except InvalidOperation:
        raise Invalid("must be a number", field=field) from None
    if not isinstance(exponent, int):
        raise Invalid("must be a finite number", field=field)
    plain = "".join(map(str, digits)).lstrip("0")
    if not plain:
        return 0
    shift = exponent + scale
    # Bounded here, so that the shift stays within the table of powers of ten.
    if len(plain) + shift > 15:
        raise _too_large(scale, field)
    if shift < 0:
        whole, rest = plain[:shift], plain[shift:]
        if len(plain) < -shift or rest.strip("0"):
            raise AmountScale(_scale_rule(scale), field=field)
        plain, shift = whole or "0", 0
    units = int(plain) * _POWERS[shift]
    return -units if sign else units


def _scale_rule(scale: int) -> str:
    if scale == 0:
        return "only whole numbers are kept here"
    return f"at most {scale} decimal {'place is' if scale == 1 else 'places are'} kept here"


def _too_large(scale: int, field: str) -> AmountRange:
    most = f"±{from_units(UNITS_MAX, scale):,}"
    return AmountRange(f"the number lies beyond {most}, all that is kept exactly at scale {scale}", field=field)


def from_units(units: int, scale: int) -> int | float:
    """The JSON number of scaled units: an integer if it is whole, else the double that prints as the exact decimal."""
    if scale == 0:
        return units
    whole, rest = divmod(units, _POWERS[scale])
    return units / _POWERS[scale] if rest else whole


def sum_of(units: int, scale: int) -> int | float | Decimal:
    """The number of a sum of scaled units, which has no bound; exact in every format. If neither 64 bits nor a double
    can hold it, it is a Decimal: a number in JSON, text in MessagePack."""
    whole, rest = divmod(units, _POWERS[scale])
    if rest:
        return from_units(units, scale) if abs(units) <= UNITS_MAX else Decimal(f"{units}e-{scale}")
    return whole if -(2**63) <= whole < 2**64 else Decimal(whole)
