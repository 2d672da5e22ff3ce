"""Answers about boards: kept by the version that they were given at, and not given twice to whoever holds them."""

from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

from starlette.types import Scope

from ..model.namespace import Namespace
from ..store.boards import is_archived, read_versions, version_of, versions_call
from ..store.gather import Gatherer
from ..store.names import Names
from ..store.redis import Call
from ..wire import JSON, MSGPACK, encode, header, wants_msgpack
from .fresh import Kept, digest, kept, matches, tag_of, unchanged

_BYTES_MAX = 32 * 1024 * 1024


class Question(NamedTuple):
    """What is asked of a board. parts: what makes its answer another one at the same version of the board and of the
    rules; make: the body of a reply to the call."""

    board: str
    parts: tuple[Any, ...]
    call: Call
    make: Callable[[Any], Awaitable[dict[str, Any]]]


class Answers:
    """This process's answers, in at most 32 MB."""

    def __init__(self, gatherer: Gatherer, names: Names) -> None:
        self._gatherer = gatherer
        self._names = names
        self._held: dict[tuple[Any, ...], Kept] = {}
        self._bytes = 0

    async def give(self, scope: Scope, namespace: Namespace, question: Question) -> Kept:
        """The answer at the version that the board has now; 304 by the version alone where the client holds it."""
        packed = wants_msgpack(scope)
        key = (namespace.id, namespace.version, packed, question.board, question.parts)
        wanted = header(scope, b"if-none-match")
        if wanted:
            same = await self._unchanged(namespace, question.board, key, wanted)
            if same is not None:
                return same
        reply = await self._gatherer.call(question.call)
        # The reply names its version, so an equal question at an equal version has an equal answer; names read now are
        # those of so many changes at least.
        names = await self._names.version_in(namespace)
        at = (key, names, *reply[:3:2])
        held = self._held.get(at)
        if held is None:
            epoch, version = version_of(reply)
            body = encode(scope, await question.make(reply))[0]
            heavy = is_archived(reply)
            tag = _tag(key, names, epoch, version, heavy)
            held = kept(namespace, tag, heavy, body, MSGPACK if packed else JSON)
            self._keep(at, held)
        return held

    async def _unchanged(self, namespace: Namespace, board: str, key: tuple[Any, ...], wanted: str) -> Kept | None:
        """304 where the client holds the answer at the board's version. O(1): no row is read."""
        call = versions_call(namespace.partition, [(namespace.id, board)])
        epoch, (version,) = read_versions(await self._gatherer.call(call))
        names = await self._names.version_in(namespace)
        for is_heavy in (False, True):
            tag = _tag(key, names, epoch, version, is_heavy)
            if matches(wanted, tag):
                return unchanged(namespace, tag, is_heavy)
        return None

    def _keep(self, at: tuple[Any, ...], held: Kept) -> None:
        self._bytes += len(held.body)
        if self._bytes > _BYTES_MAX:
            self._held.clear()
            self._bytes = len(held.body)
        self._held[at] = held


def _tag(key: tuple[Any, ...], names: int, epoch: int, version: int, is_archived: bool) -> str:
    return tag_of(digest(repr((key, names)).encode()), epoch, version, is_archived)
