"""Cached answers about boards, by the version of the board. A client that has the answer gets 304."""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from starlette.types import Scope

from ..drivers.caller import CALLER, is_stranger
from ..drivers.redis import Call
from ..http.bodies import encode, header, wants_msgpack
from ..model.namespace import Namespace
from ..store.boards import is_archived, read_versions, version_of, versions_call
from ..store.profile_cache import NO_PROFILE, DisplayProfile, ProfileCache, ProfilesVersion
from ..store.read_batcher import ReadBatcher
from .conditional import RenderedAnswer, digest, matches, not_modified, render, tag_of

#: Bytes of memory for answers to requests with a key, and as many for answers to requests without one.
BYTES_MAX = 16 * 1024 * 1024
#: Bytes of memory that an answer takes besides its body and its users: its head and its key (measured).
_ANSWER_BYTES = 2_000
#: Bytes of memory of each user whose name an answer shows (measured, for an id of the longest).
_USER_BYTES = 240


class CachedQuestion(NamedTuple):
    """A question about a board. parts: what distinguishes its answer from others at the same versions of board and
    rules."""

    board: str
    parts: tuple[Any, ...]
    call: Call


class CacheMiss(NamedTuple):
    """A question whose answer is not cached: the reply of Redis, and the version that it has. if_none_match: the
    client's. profiles_version: names that are read from now on include all changes up to it."""

    namespace: Namespace
    key: tuple[Any, ...]
    if_none_match: str
    reply: Any
    epoch: int
    version: int
    is_heavy: bool
    profiles_version: ProfilesVersion


@dataclass(slots=True)
class CachedResponse:
    """An answer and the version of its board. users: whose names it shows; names: a digest of them, valid up to
    `profiles_version`."""

    rendered: RenderedAnswer
    tag: str
    epoch: int
    version: int
    is_heavy: bool
    users: tuple[str, ...]
    names: str
    profiles_version: ProfilesVersion

    @property
    def bytes(self) -> int:
        """About how much memory it takes."""
        return _ANSWER_BYTES + len(self.rendered.body) + _USER_BYTES * len(self.users)


class ResponseShelf:
    """Answers, one for each question, in at most `bytes_max`. The one that was used least recently is dropped first."""

    def __init__(self, bytes_max: int) -> None:
        self._bytes_max = bytes_max
        self._responses: OrderedDict[tuple[Any, ...], CachedResponse] = OrderedDict()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._responses)

    def get(self, key: tuple[Any, ...]) -> CachedResponse | None:
        """The answer to a question, whatever its version. O(1)."""
        response = self._responses.get(key)
        if response is not None:
            self._responses.move_to_end(key)
        return response

    def put(self, key: tuple[Any, ...], response: CachedResponse) -> None:
        """Keeps the newest answer to a question. O(1) and O(answers that it pushes out)."""
        self.drop(key)
        self._responses[key] = response
        self._bytes += response.bytes
        while self._bytes > self._bytes_max:
            _, oldest = self._responses.popitem(last=False)
            self._bytes -= oldest.bytes

    def drop(self, key: tuple[Any, ...]) -> None:
        """Forgets the answer to a question."""
        response = self._responses.pop(key, None)
        if response is not None:
            self._bytes -= response.bytes


class ResponseCache:
    """This process's answers. Those for requests without a key never push out those for requests with one."""

    def __init__(self, batcher: ReadBatcher, profiles: ProfileCache) -> None:
        self._batcher = batcher
        self._profiles = profiles
        self._shelves = ResponseShelf(BYTES_MAX), ResponseShelf(BYTES_MAX)

    async def look(self, scope: Scope, namespace: Namespace, question: CachedQuestion) -> RenderedAnswer | CacheMiss:
        """The answer at the board's current version; 304 where the client has it. If the client and this process have
        the same answer, Redis is asked for the version only. CacheMiss: make the answer from its reply and hand it to
        `keep`."""
        key = (namespace.id, namespace.version, wants_msgpack(scope), question.board, question.parts)
        if_none_match = header(scope, b"if-none-match")
        if if_none_match:
            unchanged = await self._unchanged(namespace, question.board, key, if_none_match)
            if unchanged is not None:
                return not_modified(namespace, unchanged.tag, unchanged.is_heavy)
        reply = await self._batcher.call(question.call)
        epoch, version = version_of(reply)
        is_heavy = is_archived(reply)
        cached = self._find(key)
        if (
            cached is None
            or cached.version != version
            or cached.epoch != epoch
            or cached.is_heavy != is_heavy
            or not await self._has_current_names(namespace, cached)
        ):
            # Names that are read from here on include these changes at least.
            profiles_version = await self._profiles.version_in(namespace)
            return CacheMiss(namespace, key, if_none_match, reply, epoch, version, is_heavy, profiles_version)
        return _respond(if_none_match, namespace, cached)

    def keep(self, scope: Scope, miss: CacheMiss, body: Mapping[str, Any]) -> RenderedAnswer:
        """Renders and caches the answer to a miss; 304 where the client has it."""
        namespace, key = miss.namespace, miss.key
        names = _names_in(body)
        names_digest = _digest_of(names)
        tag = tag_of(digest(repr((key, names_digest)).encode()), miss.epoch, miss.version, miss.is_heavy)
        data, media = encode(scope, body)
        response = CachedResponse(
            rendered=render(namespace, tag, miss.is_heavy, data, media),
            tag=tag,
            epoch=miss.epoch,
            version=miss.version,
            is_heavy=miss.is_heavy,
            users=tuple(names),
            names=names_digest,
            profiles_version=miss.profiles_version,
        )
        self._put(key, response)
        return _respond(miss.if_none_match, namespace, response)

    async def _unchanged(
        self, namespace: Namespace, board: str, key: tuple[Any, ...], if_none_match: str
    ) -> CachedResponse | None:
        """The cached answer, if the client has it and the board is still at its version. O(1): no row is read."""
        cached = self._find(key)
        if cached is None or not matches(if_none_match, cached.tag):
            return None
        call = versions_call(namespace.partition, [(namespace.id, board)])
        epoch, (version,) = read_versions(await self._batcher.call(call))
        if (cached.epoch, cached.version) != (epoch, version) or not await self._has_current_names(namespace, cached):
            return None
        return cached if self._find(key) is cached else None

    async def _has_current_names(self, namespace: Namespace, cached: CachedResponse) -> bool:
        """Whether the users in an answer still have the names that it shows. Names are read only where one of them may
        have changed."""
        version = self._profiles.known_version(namespace)
        if version is None:
            version = await self._profiles.version_in(namespace)
        if cached.profiles_version != version:
            if self._profiles.has_changed(namespace, cached.users, cached.profiles_version):
                names = await self._profiles.display_profiles(namespace, cached.users)
                if _digest_of({user: names.get(user, NO_PROFILE) for user in cached.users}) != cached.names:
                    return False
            cached.profiles_version = version
        return True

    def _find(self, key: tuple[Any, ...]) -> CachedResponse | None:
        return self._shelves[0].get(key) or self._shelves[1].get(key)

    def _put(self, key: tuple[Any, ...], response: CachedResponse) -> None:
        """Puts an answer on the caller's shelf and takes the older one from the other shelf."""
        shelf = is_stranger(CALLER.get())
        self._shelves[not shelf].drop(key)
        self._shelves[shelf].put(key, response)


def _respond(if_none_match: str, namespace: Namespace, response: CachedResponse) -> RenderedAnswer:
    """The answer; 304 for a client that has it."""
    if if_none_match and matches(if_none_match, response.tag):
        return not_modified(namespace, response.tag, response.is_heavy)
    return response.rendered


def _names_in(body: Mapping[str, Any]) -> dict[str, DisplayProfile]:
    """The names in a body, by user."""
    if "user_id" in body:
        return {body["user_id"]: DisplayProfile(body["display_name"], body["avatar"])}
    return {entry.user_id: DisplayProfile(entry.display_name, entry.avatar) for entry in body.get("entries", ())}


def _digest_of(names: Mapping[str, DisplayProfile]) -> str:
    """A digest of users' names; empty where no user has one."""
    shown = [(user, name.display_name, name.avatar) for user, name in names.items() if name.display_name or name.avatar]
    return digest(repr(shown).encode()) if shown else ""
