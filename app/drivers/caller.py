"""Who the work of a task is done for: the name under which it waits for a store and takes its share."""

from contextvars import ContextVar

#: The process itself: the hub, the loops, health. It is nobody's share.
OWN = ""
_STRANGER = "~"

#: Set once a request, where its key is judged; tasks that a request starts inherit it.
CALLER: ContextVar[str] = ContextVar("caller", default=OWN)


def stranger(address: str) -> str:
    """The name of a client without an accepted key, by its address. Key ids never begin so."""
    return _STRANGER + address


def is_stranger(caller: str) -> bool:
    """Whether a name is that of a client without an accepted key."""
    return caller[:1] == _STRANGER
