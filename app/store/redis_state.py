"""The deployment's state as Redis holds it: what was published, read back where Postgres lost it. All nodes of Redis
must answer. Reads are in pieces; what was published meanwhile may be missed."""

from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

import msgspec

from ..drivers.redis import RedisLink, ask, ask_all
from ..model.namespace import Namespace
from ..model.profile import Profile
from . import fields, keys
from .namespace_cache import KeyRecord, parse_key, parse_published
from .namespace_fields import hash_fields
from .profile_cache import CHANGES_FIELD, erased_call

#: Profiles that one piece has: some ms of either store.
PROFILES_A_PIECE_MAX = 500

_decode_profile = msgspec.json.Decoder(Profile).decode


class PublishedName(NamedTuple):
    """What Redis knows of a namespace's name. version: of the rules, or of the deletion; namespace: None, deleted."""

    version: int
    namespace: Namespace | None


class PublishedState(NamedTuple):
    """What is wished for a user, as partitions have it. state: a value of `model.visibility.STATES`."""

    version: int
    state: str


class PublishedProfile(NamedTuple):
    """A user's profile in a namespace, or in the deployment (0)."""

    user: str
    version: int
    profile: Profile


class HighestVersions(NamedTuple):
    """The highest versions that Redis has seen. cleared: of a user's state that is gone from its partition; changes,
    profiles: numbers of announcements; erased: of a profile that was deleted."""

    rules: int
    namespace_id: int
    cleared: int
    changes: int
    profiles: int
    erased: int


async def read_names(link: RedisLink) -> dict[str, PublishedName]:
    """Each namespace that was ever published, by name. RedisRefused; O(namespaces)."""
    return {
        name: PublishedName(int(text.partition(" ")[0]), parse_published(text.encode()))
        async for name, text in hash_fields(link, keys.DIRECTORY)
    }


async def read_keys(link: RedisLink) -> dict[str, KeyRecord | None]:
    """Each API key that was ever published, by id; None: it is revoked. RedisRefused; O(API keys)."""
    return {key_id: parse_key(text.encode()) async for key_id, text in hash_fields(link, keys.API_KEYS)}


async def read_states(
    link: RedisLink, partitions: Iterable[int], namespaces: Collection[Namespace]
) -> dict[tuple[int, str], PublishedState]:
    """What is wished for users, by namespace (0: everywhere) and user: the latest that any partition has. RedisRefused;
    O(such users × partitions)."""
    states: dict[tuple[int, str], PublishedState] = {}
    hashes = [(0, keys.hidden(p)) for p in partitions]
    hashes += [(namespace.id, keys.hidden_in(namespace.partition, namespace.id)) for namespace in namespaces]
    for namespace_id, key in hashes:
        async for user, text in hash_fields(link, key):
            version, _, state = text.partition(" ")
            at, published = (namespace_id, user), PublishedState(int(version), state)
            states[at] = max(states.get(at, published), published)
    return states


async def read_profiles(link: RedisLink, namespace: Namespace | None) -> AsyncIterator[list[PublishedProfile]]:
    """The profiles of a namespace, or of the deployment, in pieces; one may come twice. RedisRefused; O(profiles)."""
    key = keys.PROFILES if namespace is None else keys.profiles_in(namespace.partition, namespace.id)
    piece: list[PublishedProfile] = []
    async for user, text in hash_fields(link, key):
        if user.startswith(CHANGES_FIELD):
            continue
        version, _, body = text.partition(" ")
        piece.append(PublishedProfile(user, int(version), _decode_profile(body)))
        if len(piece) == PROFILES_A_PIECE_MAX:
            yield piece
            piece = []
    if piece:
        yield piece


async def read_users_with_profile(link: RedisLink, namespace: Namespace | None, users: Sequence[str]) -> set[str]:
    """Those of some users who have a profile there. RedisRefused; O(users)."""
    key = keys.PROFILES if namespace is None else keys.profiles_in(namespace.partition, namespace.id)
    replies = await ask(link, ("HMGET", key, *users)) if users else []
    return {user for user, reply in zip(users, replies, strict=True) if reply is not None}


async def read_users_with_balances(link: RedisLink, places: Sequence[tuple[str, int, int]]) -> set[str]:
    """Those users who have balances in a namespace; places: user, partition and namespace. RedisRefused; O(places)."""
    calls = [("EXISTS", keys.balances(p, namespace_id) + user) for user, p, namespace_id in places]
    replies = await ask_all(link, calls) if calls else []
    return {user for (user, _, _), reply in zip(places, replies, strict=True) if reply}


async def read_highest_versions(
    link: RedisLink, partitions: Sequence[int], names: Mapping[str, PublishedName]
) -> HighestVersions:
    """What sequences of Postgres must be beyond. RedisRefused; O(namespaces)."""
    metas = await ask_all(
        link,
        [("HMGET", keys.meta(p), fields.CLEARED_VERSION, fields.CHANGES, fields.PROFILES) for p in partitions],
    )
    cleared, changes, profiles = (max(int(meta[i] or 0) for meta in metas) for i in range(3))
    rules = [0, *(name.version for name in names.values())]
    ids = [0, *(name.namespace.id for name in names.values() if name.namespace is not None)]
    for p in partitions:
        async for namespace_id, version in hash_fields(link, keys.rules(p)):
            rules.append(int(version))
            ids.append(int(namespace_id))
    erased = int(await ask(link, erased_call()) or 0)
    return HighestVersions(max(rules), max(ids), cleared, changes, profiles, erased)


async def read_places(link: RedisLink, partitions: Iterable[int]) -> dict[int, tuple[int, int]]:
    """The version of the rules of each namespace that was ever published, and its partition, by id. RedisRefused;
    O(namespaces)."""
    places: dict[int, tuple[int, int]] = {}
    for p in partitions:
        async for namespace_id, version in hash_fields(link, keys.rules(p)):
            number = int(namespace_id)
            places[number] = max(places.get(number, (0, p)), (int(version), p))
    return places


async def read_rules_versions(link: RedisLink, namespaces: Sequence[Namespace]) -> list[int]:
    """The version up to which each namespace's partition refuses plans by its rules; 0: by none. RedisRefused."""
    calls = [("HGET", keys.rules(namespace.partition), str(namespace.id)) for namespace in namespaces]
    return [int(reply or 0) for reply in await ask_all(link, calls)] if calls else []


async def read_namespaces_with_profiles(link: RedisLink) -> set[int]:
    """The ids of namespaces with profiles of their own. RedisRefused."""
    return {int(number) for number in await ask(link, ("HKEYS", keys.NAMESPACES_WITH_PROFILES))}
