"""How a connection, or a subscription, comes back after what ended it."""

from typing import NamedTuple

#: Seconds: bounds of the first wait and of the longest, by what happened.
SOON = (0.5, 30.0)
RENEWAL = (1.0, 60.0)
PATIENT = (5.0, 60.0)
PASSED = (1.0, 30.0)
ABSENT = (2.0, 60.0)
Waits = tuple[float, float]

UNAUTHORIZED, REVOKED = 4001, 4101
#: Close codes after which another try does not help: unauthorized, forbidden, over a limit, bad message.
FINAL = frozenset({UNAUTHORIZED, 4003, 4013, 4400})
#: Close codes of a client that does too much, or too little.
IMPATIENT = frozenset({4102, 4108, 4129})
#: Errors of a subscription that pass soon.
PASSING = frozenset({"store_unavailable", "recovering", "overloaded", "rate_limited", "internal"})
#: Errors that pass when somebody makes the board anew, or public.
MISSING = frozenset({"namespace_not_found", "board_not_found", "unauthorized", "forbidden"})


class Comeback(NamedTuple):
    """waits: None where it is final. is_absent: there is no board to show."""

    waits: Waits | None
    is_absent: bool = False


def after_close(code: int) -> Waits | None:
    """The waits after a close with this code; None: it is final."""
    if code in FINAL:
        return None
    if code == REVOKED:
        return RENEWAL
    return PATIENT if code in IMPATIENT else SOON


def after_error(code: str) -> Comeback:
    """What follows a subscription's error."""
    if code in MISSING:
        return Comeback(ABSENT, is_absent=True)
    return Comeback(PASSED if code in PASSING else None)
