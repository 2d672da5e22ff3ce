"""Who is off the boards: what is wished for a user, and the entries that carry it out."""

from collections.abc import Iterator, Sequence
from hashlib import blake2b
from typing import NamedTuple

from .entry import PlannedEntry, entry_id, marker_entry
from .micros import EARLIEST, to_micros
from .namespace import Namespace

HIDE = "hide"
UNHIDE = "unhide"
ERASE = "erase"
RELEASE = "release"  # the state goes from Redis: nothing hangs on it any more

# A wish → the state that the script reads of its user.
STATES = {HIDE: "hidden", UNHIDE: "returning", ERASE: "erasing"}

#: Boards that one entry takes a user off: each is a move in one call, and others wait for that call.
BOARDS_AN_ENTRY_MAX = 100
MOVE_ONLY = "moved"  # the verb of entries that only move further boards: one of each wish tells of it
_ERASED = "\x01"


class VisibilityIntent(NamedTuple):
    """What was asked for last of a user. number, name: the user's; version: rises with each intent of anybody;
    namespace_id: where it holds, 0 for the whole deployment."""

    number: int
    name: str
    version: int
    desired_state: str
    actor: str | None
    namespace_id: int = 0


def erased_name(number: int) -> str:
    """What an erased user is called instead: a name that no client can use."""
    return f"{_ERASED}{number}"


def is_erased(name: str) -> bool:
    """Whether a name is that of an erased user."""
    return name.startswith(_ERASED)


def visible_name(name: str) -> str | None:
    """A name as a client reads it; null for an erased user's."""
    return None if is_erased(name) else name


def visibility_entries(namespace: Namespace, intent: VisibilityIntent, boards: Sequence[str]) -> Iterator[PlannedEntry]:
    """The entries that move a user on boards of a namespace, `all` first; the boards besides it in their order.

    One of each wish moves `all` alone, under an id of its own: it is applied once, whatever boards are found by whoever
    carries the wish out. Each of the others is named by the boards that it moves.
    """
    name = f"{intent.desired_state}:{intent.version}"
    yield _entry(namespace, intent, name, ("all",), None)
    others = [board for board in boards if board != "all"]
    for start in range(0, len(others), BOARDS_AN_ENTRY_MAX):
        chunk = ("all", *others[start : start + BOARDS_AN_ENTRY_MAX])
        digest = blake2b("\n".join(chunk).encode(), digest_size=8).hexdigest()
        yield _entry(namespace, intent, f"{name}:{digest}", chunk, MOVE_ONLY)


def _entry(
    namespace: Namespace, intent: VisibilityIntent, grant_id: str, boards: tuple[str, ...], verb: str | None
) -> PlannedEntry:
    """It moves no number, lands in no window and lies before every grant."""
    at = to_micros(EARLIEST)
    body = marker_entry(
        intent.desired_state, namespace.id, grant_id, at, user=intent.name, verb=verb, actor=intent.actor
    )
    return PlannedEntry(
        namespace=namespace,
        body=body,
        id=entry_id(intent.desired_state, namespace.id, grant_id, 1),
        content=blake2b(grant_id.encode(), digest_size=16).digest(),
        boards=boards,
        ops=f"h{intent.version}",
    )
