"""Whoever caches values of Redis hears here which of them have changed."""

from collections.abc import Callable

from ..drivers.redis import REDIS_ERRORS, RedisLink
from . import fields
from .changes import EVERYTHING, Changed, missed_call, read_missed, read_missed_users


class ChangeFollower:
    """Follows the counters of changes of namespaces and keys, and of profiles."""

    def __init__(self) -> None:
        self._listeners: list[Callable[[int, Changed], None]] = []
        self._profile_listeners: list[Callable[[int, tuple[str, ...] | None], None]] = []
        self._changes = -1
        self._profiles = -1

    def subscribe(self, listener: Callable[[int, Changed], None]) -> None:
        """Calls a listener when the number of changes has moved, before the round's answers are given out. It gets the
        number, and what has changed since the call before. Listeners must not depend on each other's order."""
        self._listeners.append(listener)

    def subscribe_profiles(self, listener: Callable[[int, tuple[str, ...] | None], None]) -> None:
        """As `subscribe`, for the number of changed profiles; with the users, in order; None: anybody's may have
        changed."""
        self._profile_listeners.append(listener)

    def forget(self) -> None:
        """The counters may have begun again."""
        self._changes = self._profiles = -1

    async def follow(self, link: RedisLink, changes: int, profiles: int) -> None:
        """Takes the numbers that a round read. Where they have moved, it calls the listeners with the changes of both
        counters, read in one round trip; if they cannot be read, with "everything"."""
        if (changes, profiles) == (self._changes, self._profiles):
            return
        calls = missed_call(self._changes, changes), missed_call(self._profiles, profiles, field=fields.PROFILES)
        due = [call for call in calls if call is not None]
        try:
            replies = iter(await link.run(due) if due else ())
        except REDIS_ERRORS:
            replies = iter([None] * len(due))
        reply, users_reply = (None if call is None else next(replies) for call in calls)
        if changes != self._changes:
            changed = EVERYTHING if reply is None else read_missed(reply, self._changes)
            self._changes = changes
            for listener in self._listeners:
                listener(changes, changed)
        if profiles != self._profiles:
            users = read_missed_users(users_reply, self._profiles)
            self._profiles = profiles
            for profile_listener in self._profile_listeners:
                profile_listener(profiles, users)
