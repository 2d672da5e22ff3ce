"""Profiles of users: stored in Postgres, one hash in Redis for all boards, cached in every process.

A change of one is announced to every partition (decision 88). Every round of reads includes the number of the latest
change (decision 8), and where that has moved, the users whose profiles changed (decision 67). A profile is written
before its change is announced: a process that has read the number then reads every profile that it counts.

A namespace may have profiles of its own (decision 27), in a hash with a counter of its own, which one step writes with
the profile: their changes empty nobody else's caches. The set of such namespaces is cached and is dropped with a change
that has no name.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import NamedTuple

import asyncpg
import msgspec

from ..drivers.redis import Call
from ..model.namespace import Namespace
from ..model.profile import NamespaceProfile, Profile
from . import keys
from .announcements import Announcer
from .changes import EVERYTHING, RING_MAX, Changed, missed_call, profile_changed, read_missed_users
from .recent_changes import RecentChanges

#: Profiles that a process caches. Beyond them the cache is cleared, and they are read from Redis again.
CACHED_MAX = 100_000
#: Namespaces with own profiles whose latest changes a process remembers: 15 MB, with 512 users each.
NAMED_MAX = 200
_STEPS = 1 << 40  # more than the steps of one `RecentChanges`
CHANGES_FIELD = "\x01"  # in a namespace's hash: no user can have this name

_encode = msgspec.json.Encoder().encode


class DisplayProfile(msgspec.Struct, frozen=True):
    """What a board shows of a profile, and the zone in which the user's days begin."""

    display_name: str | None = None
    avatar: str | None = None
    timezone: str | None = None


class ProfilesVersion(NamedTuple):
    """The changes up to which profiles are known: the deployment's, and a namespace's own (0: it has none)."""

    changes: int
    own: int


class UserZones(NamedTuple):
    """The zones of those users who have one of their own, as they were when so many profiles had changed."""

    changes: int
    users: Sequence[str]
    by_user: Mapping[str, str]


NO_PROFILE = DisplayProfile()
_decode = msgspec.json.Decoder(DisplayProfile).decode
#: Where no user's zone matters.
NO_ZONES = UserZones(0, (), {})

_decode_own = msgspec.json.Decoder(NamespaceProfile).decode


class ProfileCache:
    """The profiles that this process has cached. Changed ones are dropped."""

    def __init__(self, call: Callable[[Call], Awaitable[object]]) -> None:
        self.call = call
        self._recent = RecentChanges()
        self._own: dict[int, RecentChanges] = {}
        self._own_begin = 0
        self._profiles: dict[str, DisplayProfile | None] = {}
        self._namespaces: frozenset[int] | None = None
        self._resets = 0

    def forget_namespaces(self, changed: Changed) -> None:
        """Forgets which namespaces have profiles of their own, if that may have changed: such a change has no name."""
        if changed.is_all:
            self._namespaces = None
            self._resets += 1

    @property
    def changes(self) -> int:
        """Rises with each change of a profile that this process learns of; 0 while there has never been one."""
        return self._recent.step

    def notice(self, number: int, users: Sequence[str] | None = None) -> None:
        """Takes the new counter of changes and the users whose profiles changed since the last call, in order; None:
        any user's may have changed. O(users)."""
        if number == self._recent.number == 0:
            return
        self._recent.follow(number, users)
        if users is None:
            self._profiles.clear()
        else:
            for user in users:
                self._profiles.pop(user, None)

    async def of(self, users: Sequence[str]) -> Mapping[str, DisplayProfile]:
        """The profiles of those users who have one. They include every change that `changes` counts at this moment.

        One call for all users that the cache lacks; none while the deployment has no profile. StoreUnavailable.
        """
        changes = self.changes
        if not changes:
            return {}
        profiles = {user: self._profiles[user] for user in users if user in self._profiles}
        lacking = [user for user in users if user not in profiles]
        if lacking:
            raw = await self.call(("HMGET", keys.PROFILES, *lacking))
            assert isinstance(raw, list)
            read = {user: None if value is None else _parse(value) for user, value in zip(lacking, raw, strict=True)}
            profiles |= read
            self._put(read, changes)
        return {user: name for user, name in profiles.items() if name is not None}

    async def display_profiles(self, namespace: Namespace, users: Sequence[str]) -> Mapping[str, DisplayProfile]:
        """The profiles that a namespace's boards show: its own names and pictures, else the deployment's. One call more
        where the namespace has its own. StoreUnavailable."""
        profiles = await self.of(users)
        if not users or self.known_version(namespace) is not None or not await self._has_own(namespace):
            return profiles
        raw = await self.call(("HMGET", keys.profiles_in(namespace.partition, namespace.id), *users))
        assert isinstance(raw, list)
        own = {user: _parse(value) for user, value in zip(users, raw, strict=True) if value is not None}
        return {**profiles, **{user: _merged(name, profiles.get(user, NO_PROFILE)) for user, name in own.items()}}

    def known_version(self, namespace: Namespace) -> ProfilesVersion | None:
        """The result of `version_in`, if it needs no call; else None."""
        named = self._namespaces
        return None if named is None or namespace.id in named else ProfilesVersion(self.changes, 0)

    async def version_in(self, namespace: Namespace) -> ProfilesVersion:
        """The version of the profiles that a namespace shows. Profiles that are read from now on include all changes up
        to it. One call where the namespace has its own profiles, and one more after a change. StoreUnavailable."""
        own = 0
        if self.known_version(namespace) is None and await self._has_own(namespace):
            own = await self._follow_own(namespace)
        return ProfilesVersion(self.changes, own)

    def has_changed(self, namespace: Namespace, users: Sequence[str], since: ProfilesVersion) -> bool:
        """Whether a profile of one of the users may have changed in a namespace since a version, as far as this process
        knows. O(users)."""
        own = self._own.get(namespace.id)
        if self._recent.has_changed(users, since.changes):
            return True
        return own.has_changed(users, since.own) if own is not None else since.own > 0

    async def _follow_own(self, namespace: Namespace) -> int:
        """Follows the counter of a namespace's own profiles. Returns its step now. StoreUnavailable."""
        number = await self.own_version(namespace)
        recent = self._own.get(namespace.id)
        if recent is None:
            if len(self._own) >= NAMED_MAX:
                del self._own[next(iter(self._own))]
            # Reads from before this call must never count as newer than it.
            self._own_begin += _STEPS
            recent = self._own[namespace.id] = RecentChanges(number, self._own_begin)
        before = recent.number
        if number == before:
            return recent.step
        key = keys.profiles_in(namespace.partition, namespace.id)
        call = missed_call(before, number, key, CHANGES_FIELD)
        reply = None if call is None else await self.call(call)
        if recent.number == before:
            recent.follow(number, read_missed_users(reply, before))
        elif recent.number < number:  # Another call ended meanwhile, with an older number.
            recent.follow(number, None)
        return recent.step

    async def own_version(self, namespace: Namespace) -> int:
        """How often the namespace's own profiles have changed. StoreUnavailable."""
        if not await self._has_own(namespace):
            return 0
        raw = await self.call(("HGET", keys.profiles_in(namespace.partition, namespace.id), CHANGES_FIELD))
        return int(raw) if isinstance(raw, bytes) else 0

    async def profile_in(self, namespace: Namespace, user: str) -> NamespaceProfile | None:
        """A user's own profile in a namespace. StoreUnavailable."""
        if not await self._has_own(namespace):
            return None
        raw = await self.call(("HGET", keys.profiles_in(namespace.partition, namespace.id), user))
        return _decode_own(raw.partition(b" ")[2]) if isinstance(raw, bytes) else None

    async def _has_own(self, namespace: Namespace) -> bool:
        named = self._namespaces
        if named is None:
            resets = self._resets
            raw = await self.call(("HKEYS", keys.NAMESPACES_WITH_PROFILES))
            assert isinstance(raw, list)
            named = frozenset(map(int, raw))
            if resets == self._resets:
                self._namespaces = named
        return namespace.id in named

    async def zones_of(self, users: Sequence[str]) -> Mapping[str, str]:
        """The time zones of those users who have one. StoreUnavailable."""
        names = await self.of(users)
        return {user: name.timezone for user, name in names.items() if name.timezone is not None}

    async def zones(self, users: Sequence[str]) -> UserZones:
        """The time zones of users, with the number of changes then. No call without users. StoreUnavailable."""
        changes = self.changes
        return UserZones(changes, users, await self.zones_of(users) if users else {})

    async def still_hold(self, zones: UserZones) -> bool:
        """Whether users still have the zones that were read. No call where none of their profiles has changed since.
        StoreUnavailable."""
        if not self._recent.has_changed(zones.users, zones.changes):
            return True
        now = await self.zones_of(zones.users)
        return all(now.get(user) == zones.by_user.get(user) for user in zones.users)

    def _put(self, read: Mapping[str, DisplayProfile | None], changes: int) -> None:
        """Caches those profiles that have not changed since the call was made: a later round may have dropped them."""
        if changes != self.changes:
            read = {user: name for user, name in read.items() if not self._recent.has_changed((user,), changes)}
        if len(self._profiles) + len(read) > CACHED_MAX:
            self._profiles.clear()
        self._profiles.update(read)


def _parse(value: bytes) -> DisplayProfile:
    """A profile as Redis caches it, `<version> <JSON>`."""
    return _decode(value.partition(b" ")[2])


def _merged(own: DisplayProfile, wide: DisplayProfile) -> DisplayProfile:
    return DisplayProfile(
        wide.display_name if own.display_name is None else own.display_name,
        wide.avatar if own.avatar is None else own.avatar,
        wide.timezone,
    )


def profile_from_row(row: asyncpg.Record) -> Profile:
    """A profile from its row."""
    return Profile(**{field: row[field] for field in Profile.__struct_fields__})


def name_call(user: str, version: int, profile: Profile, erased: int = 0) -> Call:
    """The call that writes a user's profile, before the change is announced; a later version stays. erased: the reply
    of `erased_call` from before the profile was read. The reply is −1 if the user may have been erased since."""
    value = f"{version} ".encode() + _encode(profile)
    return profile_changed(keys.PROFILES, field=CHANGES_FIELD, user=user, value=value, erased=erased, recorded=0)


def own_name_call(
    p: int, *, namespace_id: int, user: str, version: int, profile: NamespaceProfile, erased: int = 0
) -> Call:
    """The call that writes a user's own profile in a namespace, as `name_call` does, and counts the change there."""
    key, value = keys.profiles_in(p, namespace_id), f"{version} ".encode() + _encode(profile)
    return profile_changed(key, field=CHANGES_FIELD, user=user, value=value, erased=erased, recorded=RING_MAX)


def forget_name_call(user: str, version: int) -> Call:
    """The call that deletes an erased user's profile. Later writes of a profile up to this version are refused."""
    return profile_changed(keys.PROFILES, field=CHANGES_FIELD, user=user, value=b"", erased=version, recorded=0)


def forget_own_name_call(p: int, *, namespace_id: int, user: str, version: int) -> Call:
    """The call that deletes an erased user's own profile in a namespace, as `forget_name_call` does."""
    key = keys.profiles_in(p, namespace_id)
    return profile_changed(key, field=CHANGES_FIELD, user=user, value=b"", erased=version, recorded=RING_MAX)


def erased_call() -> Call:
    """The call that reads the latest version with which a profile was deleted, if any. It is that of the deployment's
    profiles: they are deleted before those of namespaces, with the same version."""
    return ("HGET", keys.PROFILES, f"{CHANGES_FIELD}:erased")


def forget_profiles_in_call(namespace_id: int) -> Call:
    """The call that takes a deleted namespace off those that have own profiles."""
    return ("HDEL", keys.NAMESPACES_WITH_PROFILES, str(namespace_id))


async def announce_profiles_in(
    call: Callable[[Call], Awaitable[object]], announcer: Announcer, namespace_id: int
) -> None:
    """Announces to every process that a namespace has own profiles. If it breaks off, the field is 0 and the next
    call does it again. StoreUnavailable."""
    if await call(("HGET", keys.NAMESPACES_WITH_PROFILES, str(namespace_id))) == b"1":
        return
    await call(("HSET", keys.NAMESPACES_WITH_PROFILES, str(namespace_id), "0"))
    await announcer.announce(EVERYTHING)
    await call(("HSET", keys.NAMESPACES_WITH_PROFILES, str(namespace_id), "1"))
