"""What has changed, told to every process: each partition's meta in Redis has the number of the latest change, and a
ring beside it what the latest ones were, by name.

`changes` numbers the changes of namespaces and API keys, `profiles` those of profiles; every round of reads reads both.
An announcement takes its number once its change is published. So a process that knows a number, from any partition,
can read every change up to it. A namespace with profiles of its own counts their changes in a hash of its
own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from ..drivers.redis import Call, evalsha
from ..drivers.scripts import load
from . import fields, keys

#: Names in a ring of changes. A process that missed more changes drops all that it has cached.
RING_MAX = 512

ANNOUNCE_CHANGE = load("announce_change")
WRITE_PROFILE = load("write_profile")

_NAMESPACE, _KEY = "n", "k"


class Changed(NamedTuple):
    """What changed: namespaces by name, API keys by id. is_all: anything may have changed."""

    namespaces: frozenset[str] = frozenset()
    keys: frozenset[str] = frozenset()
    is_all: bool = False

    def __bool__(self) -> bool:
        return bool(self.is_all or self.namespaces or self.keys)

    def joined(self, other: Changed) -> Changed:
        """Both changes as one."""
        return Changed(self.namespaces | other.namespaces, self.keys | other.keys, self.is_all or other.is_all)

    def has_namespace(self, name: str) -> bool:
        """Whether a namespace may have changed."""
        return self.is_all or name in self.namespaces

    def has_key(self, key_id: str) -> bool:
        """Whether an API key may have changed."""
        return self.is_all or key_id in self.keys


NOTHING = Changed()
EVERYTHING = Changed(is_all=True)


def names_of(changed: Changed) -> list[str]:
    """What changed, as a ring has it; none for everything."""
    if changed.is_all:
        return []
    return [f"{_NAMESPACE} {name}" for name in changed.namespaces] + [f"{_KEY} {key_id}" for key_id in changed.keys]


def announce_call(partitions: Sequence[int], field: str, number: int, names: Sequence[str]) -> Call:
    """The call that tells partitions of one node of changes by name, the last of which has this number; without a name
    anything may have changed. The reply is the greatest number before."""
    return evalsha(
        ANNOUNCE_CHANGE,
        [key for p in partitions for key in (keys.meta(p), keys.changes(p))],
        [field, number, RING_MAX, *names],
    )


def latest_change_call(p: int) -> Call:
    """The call that reads the number of the latest change that a partition was told of. Its round has both numbers."""
    return ("HGET", keys.meta(p), fields.CHANGES)


def profile_changed(key: str, *, field: str, user: str, value: bytes, erased: int, recorded: int) -> Call:
    """The call that writes a user's profile and counts the change in the same hash, both or neither. value: `<version>`
    and a profile; empty to delete it. erased: the version of the deletion; for a profile, the latest deletion that the
    caller knew before it read the profile. recorded: of how many of the latest changes the users are recorded. The
    reply is −1 if the user may have been erased since."""
    return evalsha(WRITE_PROFILE, [key], [user, value, field, recorded, erased])


def missed_call(before: int, now: int, key: str, field: str = fields.CHANGES) -> Call | None:
    """The call that reads the changes between two values of a counter; None if the ring is too short."""
    if before < 0 or not 0 < now - before <= RING_MAX:
        return None
    return ("HMGET", key, *(f"{field}:{number % RING_MAX}" for number in range(before + 1, now + 1)))


def read_missed(reply: Any, before: int) -> Changed:
    """The changes in the reply of that call; everything, if one was overwritten meanwhile or has no name."""
    if not isinstance(reply, list):
        return EVERYTHING
    names: dict[str, set[str]] = {_NAMESPACE: set(), _KEY: set()}
    for what in _names_in(reply, before):
        kind, _, name = (what or "").partition(" ")
        if kind not in names:
            return EVERYTHING
        names[kind].add(name)
    return Changed(frozenset(names[_NAMESPACE]), frozenset(names[_KEY]))


def read_missed_users(reply: Any, before: int) -> tuple[str, ...] | None:
    """The users whose profiles changed, in the order of the changes; None: any profile may have changed."""
    if not isinstance(reply, list):
        return None
    users = tuple(_names_in(reply, before))
    return None if None in users else users  # type: ignore[return-value]


def _names_in(reply: list[bytes | None], before: int) -> Iterator[str | None]:
    """The name of each change after a value of the counter; None if it was overwritten, or has no name."""
    for number, raw in enumerate(reply, before + 1):
        counter, _, what = (raw or b"").decode().partition(" ")
        yield what if what and counter == str(number) else None
