"""The codes with which the server closes a WebSocket, and what each tells the client."""

from enum import IntEnum
from typing import NamedTuple


class CloseCode(IntEnum):
    """The connection's faults. 40xx and 44xx: do not retry; 41xx: back off; 42xx: come back."""

    UNAUTHORIZED = 4001
    OVER_LIMIT = 4013
    REVOKED = 4101
    NO_AUTH = 4102
    TOO_SLOW = 4108
    TOO_MANY = 4129
    DRAIN = 4200
    BAD_MESSAGE = 4400


class CloseAdvice(NamedTuple):
    """Why a connection was closed, and what its client does next."""

    meaning: str
    remedy: str


_KEEP_OUT, _BACK_OFF = "do not retry unchanged", "back off"

CLOSE_ADVICE = {
    CloseCode.UNAUTHORIZED: CloseAdvice("the key or the client token is not valid", _KEEP_OUT),
    CloseCode.OVER_LIMIT: CloseAdvice(
        "more than 50 subscriptions, or too many sockets of this key or address", _KEEP_OUT
    ),
    CloseCode.REVOKED: CloseAdvice(
        "the key was revoked or has another secret, or the client token expired", "come back with a new one"
    ),
    CloseCode.NO_AUTH: CloseAdvice(
        "no message came within 5 s, or within 10 s neither a token was accepted nor a view watched", _BACK_OFF
    ),
    CloseCode.TOO_SLOW: CloseAdvice("the client reads too slowly", _BACK_OFF),
    CloseCode.TOO_MANY: CloseAdvice("too many messages", _BACK_OFF),
    CloseCode.DRAIN: CloseAdvice("the server shuts down", "come back after a short random time"),
    CloseCode.BAD_MESSAGE: CloseAdvice(
        "the message cannot be read or is too large, or a token was accepted already", _KEEP_OUT
    ),
}
