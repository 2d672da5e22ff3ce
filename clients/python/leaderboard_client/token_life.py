"""How long a client token lives, as it says itself."""

from base64 import urlsafe_b64decode
from typing import Any

import msgspec


def life_of(token: str) -> float:
    """Seconds from its making to its end. They are no dates, so a machine whose clock is wrong is right about them,
    too. Infinity for what is no client token."""
    try:
        middle = token.split(".")[1]
        claims: dict[str, Any] = msgspec.json.decode(urlsafe_b64decode(middle + "=" * (-len(middle) % 4)))
        life = float(claims["exp"] - claims["iat"])
    except (IndexError, KeyError, TypeError, ValueError, msgspec.DecodeError):
        return float("inf")
    return life if life > 0 else float("inf")
