"""What users are called: truth in Postgres, one hash in Redis for all boards, cached in every process.

`profiles` in `lb:deployment` counts the changes; every round of reads tells that number (decision 8). A name is written
first and counted then, so whoever has read the number reads every name that it counts.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence

import msgspec

from ..model.profile import Profile
from . import keys
from .directory import PUBLISH
from .redis import Call, evalsha

CACHED_MAX = 100_000

_encode = msgspec.json.Encoder().encode


class Name(msgspec.Struct, frozen=True):
    """What a board shows of a profile, and the zone in which the user's days begin."""

    display_name: str | None = None
    avatar: str | None = None
    timezone: str | None = None


NAMELESS = Name()
_decode = msgspec.json.Decoder(Name).decode


class Names:
    """This process's view. `changes` is the number its cache stands at; a new one empties it."""

    def __init__(self) -> None:
        self.call: Callable[[Call], Awaitable[object]]
        self.changes = 0
        self._known: dict[str, Name | None] = {}

    def notice(self, changes: int) -> None:
        """Empties the cache where a profile has changed since it was filled."""
        if changes != self.changes:
            self.changes = changes
            self._known.clear()

    async def of(self, users: Sequence[str]) -> Mapping[str, Name]:
        """The names of those who have a profile, with every change that `changes` counted when this was called.

        One call for all whom the cache lacks, and none while the whole deployment has no profile. StoreUnavailable.
        """
        changes = self.changes
        if not changes:
            return {}
        found = {user: self._known[user] for user in users if user in self._known}
        lacking = [user for user in users if user not in found]
        if lacking:
            raw = await self.call(("HMGET", keys.PROFILES, *lacking))
            assert isinstance(raw, list)
            read = {user: None if value is None else _parse(value) for user, value in zip(lacking, raw, strict=True)}
            found |= read
            self._keep(read, changes)
        return {user: name for user, name in found.items() if name is not None}

    async def zones_of(self, users: Sequence[str]) -> Mapping[str, str]:
        """The time zones of those who have one of their own. StoreUnavailable."""
        names = await self.of(users)
        return {user: name.timezone for user, name in names.items() if name.timezone is not None}

    def _keep(self, read: Mapping[str, Name | None], changes: int) -> None:
        """Kept only if nothing changed since it was asked for: a later round may have emptied the cache already."""
        if changes == self.changes:
            if len(self._known) + len(read) > CACHED_MAX:
                self._known.clear()
            self._known.update(read)


def _parse(value: bytes) -> Name:
    """A profile as Redis caches it, `<version> <JSON>`."""
    return _decode(value.partition(b" ")[2])


def name_call(user: str, version: int, profile: Profile) -> Call:
    """The call that writes a user's name; a later version stays."""
    return evalsha(PUBLISH, [keys.PROFILES], [user, f"{version} ".encode() + _encode(profile)])
