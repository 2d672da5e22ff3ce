"""Counters in Redis that tell every process which of its cached values are old.

`changes` counts changes of namespaces and API keys, `profiles` those of profiles. A namespace with profiles of its own
counts their changes in a hash of its own. Beside each counter is a ring of its latest changes, by name.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from ..drivers.redis import Call, evalsha
from ..drivers.scripts import load
from . import fields, keys

#: Names in a ring of changes. A process that missed more changes drops all that it has cached.
RING_MAX = 512

BUMP_COUNTER = load("bump_counter")
WRITE_PROFILE = load("write_profile")
#: A change without a name: every process drops all cached namespaces and keys.
ALL_CHANGED: Call = evalsha(BUMP_COUNTER, [keys.DEPLOYMENT], [fields.CHANGES])

_NAMESPACE, _KEY = "n", "k"


def raise_counters_call(number: int) -> Call:
    """The call after which both counters go on behind a number: every process drops all that it has cached."""
    return ("HSET", keys.DEPLOYMENT, fields.CHANGES, number, fields.PROFILES, number)


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


def namespace_changed(name: str) -> Call:
    """The call that announces a change of a namespace to every process; made after the change is published."""
    return _changed(f"{_NAMESPACE} {name}")


def key_changed(key_id: str) -> Call:
    """The call that announces a new or revoked API key to every process; made after it is published."""
    return _changed(f"{_KEY} {key_id}")


def _changed(what: str) -> Call:
    return evalsha(BUMP_COUNTER, [keys.DEPLOYMENT], [fields.CHANGES, RING_MAX, what])


def name_changed(key: str, *, counted_in: str, field: str, user: str, value: bytes, erased: int) -> Call:
    """The call that writes a user's profile and announces it to every process, both or neither. value: `<version>` and
    a profile; empty to delete it. erased: the version of the deletion; for a profile, the latest deletion that the
    caller knew before it read the profile. The reply is −1 if the user may have been erased since."""
    return evalsha(WRITE_PROFILE, [key, counted_in], [user, value, field, RING_MAX, erased])


def missed_call(before: int, now: int, key: str = keys.DEPLOYMENT, field: str = fields.CHANGES) -> Call | None:
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
