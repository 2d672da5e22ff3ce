"""Answers about boards: kept by the version that they were given at, and not given twice to whoever holds them."""

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

#: Bytes of memory for answers that clients with a key asked for, and as much for those asked for without one.
BYTES_MAX = 16 * 1024 * 1024
#: Bytes of memory that an answer takes beside its body and its users: its head, its key, its place (measured).
_ANSWER_BYTES = 2_000
#: Bytes of memory of each user whose name an answer shows (measured, for an id of the longest).
_USER_BYTES = 240


class CachedQuery(NamedTuple):
    """What is asked of a board. parts: what makes its answer another one at the same version of the board and of the
    rules."""

    board: str
    parts: tuple[Any, ...]
    call: Call


class CacheMiss(NamedTuple):
    """A question without an answer here: what Redis replied to it, at which version, and the changes of names up to
    which those that are read from here on are known. wanted: the client's If-None-Match."""

    namespace: Namespace
    key: tuple[Any, ...]
    wanted: str
    reply: Any
    epoch: int
    version: int
    is_heavy: bool
    names_version: ProfilesVersion


@dataclass(slots=True)
class CachedResponse:
    """A kept answer: the version it was given at, the users whose names it shows, and the changes of names up to which
    these are known to be as shown."""

    kept: RenderedAnswer
    tag: str
    epoch: int
    version: int
    is_heavy: bool
    users: tuple[str, ...]
    names: str
    names_version: ProfilesVersion

    @property
    def bytes(self) -> int:
        """About how much memory it takes."""
        return _ANSWER_BYTES + len(self.kept.body) + _USER_BYTES * len(self.users)


class ResponseShelf:
    """Answers in at most `bytes_max`; the one that was asked for least recently goes first. One for each question."""

    def __init__(self, bytes_max: int) -> None:
        self._bytes_max = bytes_max
        self._held: OrderedDict[tuple[Any, ...], CachedResponse] = OrderedDict()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._held)

    def get(self, key: tuple[Any, ...]) -> CachedResponse | None:
        """The answer to a question, whatever its version. O(1)."""
        found = self._held.get(key)
        if found is not None:
            self._held.move_to_end(key)
        return found

    def put(self, key: tuple[Any, ...], answer: CachedResponse) -> None:
        """Keeps the newest answer to a question. O(1), and of what has to go for it."""
        self.drop(key)
        self._held[key] = answer
        self._bytes += answer.bytes
        while self._bytes > self._bytes_max:
            _, gone = self._held.popitem(last=False)
            self._bytes -= gone.bytes

    def drop(self, key: tuple[Any, ...]) -> None:
        """Forgets the answer to a question."""
        gone = self._held.pop(key, None)
        if gone is not None:
            self._bytes -= gone.bytes


class ResponseCache:
    """This process's answers. Those asked for without a key push out none of those asked for with one."""

    def __init__(self, batcher: ReadBatcher, names: ProfileCache) -> None:
        self._batcher = batcher
        self._names = names
        self._shelves = ResponseShelf(BYTES_MAX), ResponseShelf(BYTES_MAX)

    async def look(self, scope: Scope, namespace: Namespace, question: CachedQuery) -> RenderedAnswer | CacheMiss:
        """The answer at the version that the board has now; 304 where the client holds it, by the version alone if this
        process does, too. Lacking: it is to be made of the reply, and handed to `keep`."""
        key = (namespace.id, namespace.version, wants_msgpack(scope), question.board, question.parts)
        wanted = header(scope, b"if-none-match")
        if wanted and await self._is_unchanged(namespace, question.board, key, wanted):
            held = self._find(key)
            assert held is not None
            return not_modified(namespace, held.tag, held.is_heavy)
        reply = await self._batcher.call(question.call)
        epoch, version = version_of(reply)
        is_heavy = is_archived(reply)
        held = self._find(key)
        is_same = held is not None and held.version == version and held.epoch == epoch and held.is_heavy == is_heavy
        if held is None or not is_same or not await self._shows_names_of_now(namespace, held):
            # Names read from here on hold these changes at least.
            names_version = await self._names.version_in(namespace)
            return CacheMiss(namespace, key, wanted, reply, epoch, version, is_heavy, names_version)
        return _respond(wanted, namespace, held)

    def keep(self, scope: Scope, lacking: CacheMiss, body: Mapping[str, Any]) -> RenderedAnswer:
        """Keeps what was lacking and answers it; 304 where the client holds it."""
        namespace, key = lacking.namespace, lacking.key
        names = _names_in(body)
        shown = _digest_of(names)
        tag = tag_of(digest(repr((key, shown)).encode()), lacking.epoch, lacking.version, lacking.is_heavy)
        data, media = encode(scope, body)
        held = CachedResponse(
            render(namespace, tag, lacking.is_heavy, data, media),
            tag,
            lacking.epoch,
            lacking.version,
            lacking.is_heavy,
            tuple(names),
            shown,
            lacking.names_version,
        )
        self._keep(key, held)
        return _respond(lacking.wanted, namespace, held)

    async def _is_unchanged(self, namespace: Namespace, board: str, key: tuple[Any, ...], wanted: str) -> bool:
        """Whether the client holds the answer that this process holds, at the board's version. O(1): no row is read."""
        held = self._find(key)
        if held is None or not matches(wanted, held.tag):
            return False
        call = versions_call(namespace.partition, [(namespace.id, board)])
        epoch, (version,) = read_versions(await self._batcher.call(call))
        if (held.epoch, held.version) != (epoch, version) or not await self._shows_names_of_now(namespace, held):
            return False
        return self._find(key) is held

    async def _shows_names_of_now(self, namespace: Namespace, held: CachedResponse) -> bool:
        """Whether the names in an answer are still those of its users. They are read only where one of theirs may have
        changed."""
        now = self._names.known_version(namespace)
        if now is None:
            now = await self._names.version_in(namespace)
        if held.names_version != now:
            if self._names.has_changed(namespace, held.users, held.names_version):
                names = await self._names.shown(namespace, held.users)
                if _digest_of({user: names.get(user, NO_PROFILE) for user in held.users}) != held.names:
                    return False
            held.names_version = now
        return True

    def _find(self, key: tuple[Any, ...]) -> CachedResponse | None:
        return self._shelves[0].get(key) or self._shelves[1].get(key)

    def _keep(self, key: tuple[Any, ...], held: CachedResponse) -> None:
        """The newest answer takes the place of the one before, on whichever shelf that stood."""
        mine = is_stranger(CALLER.get())
        self._shelves[not mine].drop(key)
        self._shelves[mine].put(key, held)


def _respond(wanted: str, namespace: Namespace, held: CachedResponse) -> RenderedAnswer:
    """An answer for a client that holds the tags `wanted`."""
    if wanted and matches(wanted, held.tag):
        return not_modified(namespace, held.tag, held.is_heavy)
    return held.kept


def _names_in(body: Mapping[str, Any]) -> dict[str, DisplayProfile]:
    """The users whom a body shows, each by the name that it shows."""
    if "user_id" in body:
        return {body["user_id"]: DisplayProfile(body["display_name"], body["avatar"])}
    return {entry.user_id: DisplayProfile(entry.display_name, entry.avatar) for entry in body.get("entries", ())}


def _digest_of(names: Mapping[str, DisplayProfile]) -> str:
    """A short name for what users are called; empty while none of them has a name."""
    told = [(user, name.display_name, name.avatar) for user, name in names.items() if name.display_name or name.avatar]
    return digest(repr(told).encode()) if told else ""
