"""Visibility: the desired state of a user, and the entries that carry it out."""

from collections.abc import Iterator, Sequence
from hashlib import blake2b
from typing import NamedTuple

from . import entry_kinds
from .entry import PlannedEntry, marker_entry
from .entry_kinds import KINDS, MOVE_ONLY_VERB
from .entry_names import digest_of, entry_id
from .micros import EARLIEST, to_micros
from .namespace import Namespace
from .ops import VisibilityOps

HIDE = entry_kinds.HIDE.name
UNHIDE = entry_kinds.UNHIDE.name
ERASE = entry_kinds.ERASE.name
RELEASE = "release"  # the state goes from Redis: nothing hangs on it any more

# A desired state → the state that the script reads for the user.
STATES = {HIDE: "hidden", UNHIDE: "returning", ERASE: "erasing"}

#: Boards from which one entry removes a user: each is a move in one call, and other calls wait for it.
BOARDS_AN_ENTRY_MAX = 100
_ERASED = "\x01"


class VisibilityIntent(NamedTuple):
    """The last intent for a user. number, name: the user's; version: rises with each intent of any user; namespace_id:
    where it applies, 0 for the whole deployment."""

    number: int
    name: str
    version: int
    desired_state: str
    actor: str | None
    namespace_id: int = 0


def erased_name(number: int) -> str:
    """The name that replaces an erased user's: no client can use it."""
    return f"{_ERASED}{number}"


def is_erased(name: str) -> bool:
    """Whether a name is that of an erased user."""
    return name.startswith(_ERASED)


def visible_name(name: str) -> str | None:
    """A name as a client reads it; null for an erased user's."""
    return None if is_erased(name) else name


def visibility_entries(namespace: Namespace, intent: VisibilityIntent, boards: Sequence[str]) -> Iterator[PlannedEntry]:
    """The entries that move a user on a namespace's boards: `all` first, the other boards in their order.

    The first entry moves only `all` and has a fixed id, so it is applied once even if the intent is carried out again
    with other boards. Each further entry is named by the boards that it moves.
    """
    name = f"{intent.desired_state}:{intent.version}"
    yield _entry(namespace, intent, name, ("all",), None)
    others = [board for board in boards if board != "all"]
    for start in range(0, len(others), BOARDS_AN_ENTRY_MAX):
        chunk = ("all", *others[start : start + BOARDS_AN_ENTRY_MAX])
        digest = blake2b("\n".join(chunk).encode(), digest_size=8).hexdigest()
        yield _entry(namespace, intent, f"{name}:{digest}", chunk, MOVE_ONLY_VERB)


def _entry(
    namespace: Namespace, intent: VisibilityIntent, grant_id: str, boards: tuple[str, ...], verb: str | None
) -> PlannedEntry:
    """It changes no number, has no window, and has a moment before every grant."""
    kind, at = KINDS[intent.desired_state], to_micros(EARLIEST)
    return PlannedEntry(
        kind=kind,
        namespace=namespace,
        body=marker_entry(kind, namespace.id, grant_id, at, user=intent.name, verb=verb, actor=intent.actor),
        id=entry_id(kind, namespace.id, grant_id, 1),
        content=digest_of(grant_id),
        boards=boards,
        ops=VisibilityOps(intent.version),
    )
