"""Answers about boards: kept by the version that they were given at, and not given twice to whoever holds them."""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from starlette.types import Scope

from ..model.namespace import Namespace
from ..store.boards import is_archived, read_versions, version_of, versions_call
from ..store.caller import CALLER, is_stranger
from ..store.gather import Gatherer
from ..store.names import NAMELESS, Name, Names, NamesVersion
from ..store.redis import Call
from ..wire import encode, header, wants_msgpack
from .fresh import Kept, digest, kept, matches, tag_of, unchanged

#: Bytes of memory for answers that clients with a key asked for, and as much for those asked for without one.
BYTES_MAX = 16 * 1024 * 1024
#: Bytes of memory that an answer takes beside its body and its users: its head, its key, its place (measured).
_ANSWER_BYTES = 2_000
#: Bytes of memory of each user whose name an answer shows (measured, for an id of the longest).
_USER_BYTES = 240


class Question(NamedTuple):
    """What is asked of a board. parts: what makes its answer another one at the same version of the board and of the
    rules."""

    board: str
    parts: tuple[Any, ...]
    call: Call


class Lacking(NamedTuple):
    """A question without an answer here: what Redis replied to it, at which version, and the changes of names up to
    which those that are read from here on are known. wanted: the client's If-None-Match."""

    namespace: Namespace
    key: tuple[Any, ...]
    wanted: str
    reply: Any
    epoch: int
    version: int
    is_heavy: bool
    names_version: NamesVersion


@dataclass(slots=True)
class Answer:
    """A kept answer: the version it was given at, the users whose names it shows, and the changes of names up to which
    these are known to be as shown."""

    kept: Kept
    tag: str
    epoch: int
    version: int
    is_heavy: bool
    users: tuple[str, ...]
    names: str
    names_version: NamesVersion

    @property
    def bytes(self) -> int:
        """About how much memory it takes."""
        return _ANSWER_BYTES + len(self.kept.body) + _USER_BYTES * len(self.users)


class Shelf:
    """Answers in at most `bytes_max`; the one that was asked for least recently goes first. One for each question."""

    def __init__(self, bytes_max: int) -> None:
        self._bytes_max = bytes_max
        self._held: OrderedDict[tuple[Any, ...], Answer] = OrderedDict()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._held)

    def get(self, key: tuple[Any, ...]) -> Answer | None:
        """The answer to a question, whatever its version. O(1)."""
        found = self._held.get(key)
        if found is not None:
            self._held.move_to_end(key)
        return found

    def put(self, key: tuple[Any, ...], answer: Answer) -> None:
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


class Answers:
    """This process's answers. Those asked for without a key push out none of those asked for with one."""

    def __init__(self, gatherer: Gatherer, names: Names) -> None:
        self._gatherer = gatherer
        self._names = names
        self._shelves = Shelf(BYTES_MAX), Shelf(BYTES_MAX)

    async def look(self, scope: Scope, namespace: Namespace, question: Question) -> Kept | Lacking:
        """The answer at the version that the board has now; 304 where the client holds it, by the version alone if this
        process does, too. Lacking: it is to be made of the reply, and handed to `keep`."""
        key = (namespace.id, namespace.version, wants_msgpack(scope), question.board, question.parts)
        wanted = header(scope, b"if-none-match")
        if wanted and await self._is_unchanged(namespace, question.board, key, wanted):
            held = self._find(key)
            assert held is not None
            return unchanged(namespace, held.tag, held.is_heavy)
        reply = await self._gatherer.call(question.call)
        epoch, version = version_of(reply)
        is_heavy = is_archived(reply)
        held = self._find(key)
        is_same = held is not None and held.version == version and held.epoch == epoch and held.is_heavy == is_heavy
        if held is None or not is_same or not await self._shows_names_of_now(namespace, held):
            # Names read from here on hold these changes at least.
            names_version = await self._names.version_in(namespace)
            return Lacking(namespace, key, wanted, reply, epoch, version, is_heavy, names_version)
        return _for(wanted, namespace, held)

    def keep(self, scope: Scope, lacking: Lacking, body: Mapping[str, Any]) -> Kept:
        """Keeps what was lacking and answers it; 304 where the client holds it."""
        namespace, key = lacking.namespace, lacking.key
        names = _names_in(body)
        shown = _digest_of(names)
        tag = tag_of(digest(repr((key, shown)).encode()), lacking.epoch, lacking.version, lacking.is_heavy)
        data, media = encode(scope, body)
        held = Answer(
            kept(namespace, tag, lacking.is_heavy, data, media),
            tag,
            lacking.epoch,
            lacking.version,
            lacking.is_heavy,
            tuple(names),
            shown,
            lacking.names_version,
        )
        self._keep(key, held)
        return _for(lacking.wanted, namespace, held)

    async def _is_unchanged(self, namespace: Namespace, board: str, key: tuple[Any, ...], wanted: str) -> bool:
        """Whether the client holds the answer that this process holds, at the board's version. O(1): no row is read."""
        held = self._find(key)
        if held is None or not matches(wanted, held.tag):
            return False
        call = versions_call(namespace.partition, [(namespace.id, board)])
        epoch, (version,) = read_versions(await self._gatherer.call(call))
        if (held.epoch, held.version) != (epoch, version) or not await self._shows_names_of_now(namespace, held):
            return False
        return self._find(key) is held

    async def _shows_names_of_now(self, namespace: Namespace, held: Answer) -> bool:
        """Whether the names in an answer are still those of its users. They are read only where one of theirs may have
        changed."""
        now = self._names.known_version(namespace)
        if now is None:
            now = await self._names.version_in(namespace)
        if held.names_version != now:
            if self._names.has_changed(namespace, held.users, held.names_version):
                names = await self._names.shown(namespace, held.users)
                if _digest_of({user: names.get(user, NAMELESS) for user in held.users}) != held.names:
                    return False
            held.names_version = now
        return True

    def _find(self, key: tuple[Any, ...]) -> Answer | None:
        return self._shelves[0].get(key) or self._shelves[1].get(key)

    def _keep(self, key: tuple[Any, ...], held: Answer) -> None:
        """The newest answer takes the place of the one before, on whichever shelf that stood."""
        mine = is_stranger(CALLER.get())
        self._shelves[not mine].drop(key)
        self._shelves[mine].put(key, held)


def _for(wanted: str, namespace: Namespace, held: Answer) -> Kept:
    """An answer for a client that holds the tags `wanted`."""
    if wanted and matches(wanted, held.tag):
        return unchanged(namespace, held.tag, held.is_heavy)
    return held.kept


def _names_in(body: Mapping[str, Any]) -> dict[str, Name]:
    """The users whom a body shows, each by the name that it shows."""
    if "user_id" in body:
        return {body["user_id"]: Name(body["display_name"], body["avatar"])}
    return {entry.user_id: Name(entry.display_name, entry.avatar) for entry in body.get("entries", ())}


def _digest_of(names: Mapping[str, Name]) -> str:
    """A short name for what users are called; empty while none of them has a name."""
    told = [(user, name.display_name, name.avatar) for user, name in names.items() if name.display_name or name.avatar]
    return digest(repr(told).encode()) if told else ""
