"""The client for whom a task works: it waits for a store, and uses a share of it, under this name."""

from contextvars import ContextVar

#: The process itself: the hub, the loops, health. It has no share.
OWN = ""
_STRANGER = "~"

#: Set once a request, where its key is checked. Tasks that the request starts inherit it.
CALLER: ContextVar[str] = ContextVar("caller", default=OWN)


def stranger(address: str) -> str:
    """The name of a client without an accepted key, made of its address. No key id begins with the same character."""
    return _STRANGER + address


def is_stranger(caller: str) -> bool:
    """Whether a name is that of a client without an accepted key."""
    return caller[:1] == _STRANGER
