"""Tells the caches of a process which values of Redis have changed."""

from collections.abc import Callable

from ..drivers.redis import REDIS_ERRORS, RedisLink
from . import fields, keys
from .changes import EVERYTHING, Changed, missed_call, read_missed, read_missed_users


class ChangeFollower:
    """Follows the numbers of changes of namespaces and keys, and of profiles, as partitions are told of them."""

    def __init__(self) -> None:
        self._listeners: list[Callable[[int, Changed], None]] = []
        self._profile_listeners: list[Callable[[int, tuple[str, ...] | None], None]] = []
        self._changes = -1
        self._profiles = -1
        self._raw: tuple[bytes | None, bytes | None] = (b"", b"")

    def subscribe(self, listener: Callable[[int, Changed], None]) -> None:
        """Calls a listener when the number of changes has moved, before the round's answers are given out. It gets the
        number, and what has changed since the call before. Listeners must not depend on each other's order."""
        self._listeners.append(listener)

    def subscribe_profiles(self, listener: Callable[[int, tuple[str, ...] | None], None]) -> None:
        """As `subscribe`, for the number of changed profiles; with the users, in order; None: anybody's may have
        changed."""
        self._profile_listeners.append(listener)

    def has_heard(self, changes: bytes | None, profiles: bytes | None) -> bool:
        """Whether these numbers, as a partition's meta has them, are the latest that this process has heard of.
        O(1)."""
        return changes == self._raw[0] and profiles == self._raw[1]

    async def follow(self, link: RedisLink, p: int, *, changes: int, profiles: int) -> None:
        """Takes the numbers of a partition. Where they are news, it calls the listeners with the changes of both
        counters, read in one round trip; if they cannot be read, with "everything". A partition that was told less than
        others tells nothing."""
        before = self._changes, self._profiles
        if changes <= before[0] and profiles <= before[1]:
            return
        calls = (
            missed_call(before[0], changes, keys.changes(p)),
            missed_call(before[1], profiles, keys.changes(p), fields.PROFILES),
        )
        due = [call for call in calls if call is not None]
        try:
            replies = iter(await link.run(due) if due else ())
        except REDIS_ERRORS:
            replies = iter([None] * len(due))
        reply, users_reply = (None if call is None else next(replies) for call in calls)
        # Meanwhile another node's reader may have heard more.
        if changes > self._changes:
            changed = EVERYTHING if reply is None else read_missed(reply, before[0])
            self._changes = changes
            for listener in self._listeners:
                listener(changes, changed)
        if profiles > self._profiles:
            users = read_missed_users(users_reply, before[1])
            self._profiles = profiles
            for profile_listener in self._profile_listeners:
                profile_listener(profiles, users)
        self._raw = _text(self._changes), _text(self._profiles)


def _text(number: int) -> bytes | None:
    """A number as Redis has it; None for none."""
    return b"%d" % number if number > 0 else None
