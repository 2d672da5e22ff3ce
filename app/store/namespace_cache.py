"""Which namespaces and API keys there are: truth in Postgres, cached in Redis and in every process."""

from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import asyncpg
import msgspec

from ..drivers.redis import Call, evalsha
from ..drivers.scripts import load
from ..model.errors import NamespaceNotFound
from ..model.namespace import Namespace, Rules
from ..model.text import NAMESPACE_NAME
from . import fields, keys
from .changes import EVERYTHING, NOTHING, Changed, key_changed, namespace_changed

SET_IF_NEWER = load("set_if_newer")
#: Namespaces, and API keys, that a process keeps.
CACHED_MAX = 50_000
#: Names that a process keeps of which there is no namespace.
UNKNOWN_MAX = 10_000

T = TypeVar("T")
CallRedis = Callable[[Call], Awaitable[object]]

_decode = msgspec.json.Decoder(Namespace).decode
_decode_rules = msgspec.json.Decoder(Rules).decode
_encode = msgspec.json.Encoder().encode


class KeyRecord(msgspec.Struct, frozen=True):
    """An API key as it is stored: never its secret. Scopes are `<scope>:<namespace pattern>`."""

    id: str
    hash: str
    scopes: tuple[str, ...]


_decode_key = msgspec.json.Decoder(KeyRecord).decode


class ChangeWatch:
    """What changed while something was read."""

    def __init__(self) -> None:
        self.changed = NOTHING

    def note(self, changed: Changed) -> None:
        """Takes a change up."""
        self.changed = self.changed.joined(changed)

    def concerns(self, key_id: str, namespaces: Iterable[Namespace]) -> bool:
        """Whether a key or one of some namespaces may have changed."""
        return self.changed.has_key(key_id) or any(self.changed.has_namespace(space.name) for space in namespaces)


class NamespaceCache:
    """This process's view. `changes` is the number its caches stand at; what changes is dropped from them.

    call: reads Redis. on_change: called with what was dropped.
    """

    def __init__(self, call: CallRedis) -> None:
        self.call = call
        self.changes = -1
        self._namespaces: dict[str, Namespace] = {}
        self._unknown: dict[str, None] = {}
        self._keys: dict[str, KeyRecord | None] = {}
        # What is asked for right now, by name or id: an answer is kept unless that changed meanwhile.
        self._asked: dict[str, object] = {}
        self._asked_keys: dict[str, object] = {}
        self.on_change: list[Callable[[Changed], None]] = []

    def notice(self, changes: int, changed: Changed = EVERYTHING) -> None:
        """Drops what has changed since the caches were filled."""
        if changes != self.changes:
            self.changes = changes
            self.forget(changed)

    def forget(self, changed: Changed = EVERYTHING) -> None:
        """Drops what has changed from the caches. O(what changed)."""
        if changed.is_all:
            for cache in (self._namespaces, self._unknown, self._keys, self._asked, self._asked_keys):
                cache.clear()
        for name in changed.namespaces:
            self._namespaces.pop(name, None)
            self._unknown.pop(name, None)
            self._asked.pop(name, None)
        for key_id in changed.keys:
            self._keys.pop(key_id, None)
            self._asked_keys.pop(key_id, None)
        for listener in self.on_change:
            listener(changed)

    @contextmanager
    def watching(self) -> Iterator["ChangeWatch"]:
        """What this process learns to have changed in the meantime, also what it changed itself. O(1) a change."""
        watch = ChangeWatch()
        self.on_change.append(watch.note)
        try:
            yield watch
        finally:
            self.on_change.remove(watch.note)

    async def refresh(self) -> None:
        """Makes sure that the caches hold nothing that had changed by now. Many who ask at once share one call.
        StoreUnavailable."""
        await self.call(("HGET", keys.DEPLOYMENT, fields.CHANGES))

    def cached(self, name: str) -> Namespace | None:
        """A namespace where it is known already; no wait."""
        return self._namespaces.get(name)

    async def namespace(self, name: str) -> Namespace:
        """A namespace by name. NamespaceNotFound, StoreUnavailable.

        A name that is known to be nobody's costs no call of its own, only that nothing has changed by now.
        """
        if name in self._unknown:
            await self.refresh()
        held = self._namespaces.get(name)
        if held is not None:
            return held
        if name in self._unknown or not NAMESPACE_NAME.fullmatch(name):
            raise NamespaceNotFound(f"there is no namespace {name!r}")
        token = self._asked.setdefault(name, object())
        try:
            raw = await self.call(("HGET", keys.DIRECTORY, name))
            is_current = self._asked.get(name) is token
        finally:
            if self._asked.get(name) is token:
                del self._asked[name]
        found = parse_published(raw) if isinstance(raw, bytes) else None
        if found is None:
            if is_current:
                _keep(self._unknown, name, None, UNKNOWN_MAX)
            raise NamespaceNotFound(f"there is no namespace {name!r}")
        if is_current:
            _keep(self._namespaces, name, found, CACHED_MAX)
        return found

    async def all(self) -> list[Namespace]:
        """Every namespace, by name."""
        raw = await self.call(("HGETALL", keys.DIRECTORY))
        assert isinstance(raw, list)
        found = (parse_published(value) for value in raw[1::2])
        return sorted((namespace for namespace in found if namespace is not None), key=lambda held: held.name)

    async def key(self, key_id: str) -> KeyRecord | None:
        """An API key that is not revoked, by id."""
        if key_id in self._keys:
            return self._keys[key_id]
        token = self._asked_keys.setdefault(key_id, object())
        try:
            raw = await self.call(("HGET", keys.API_KEYS, key_id))
            is_current = self._asked_keys.get(key_id) is token
        finally:
            if self._asked_keys.get(key_id) is token:
                del self._asked_keys[key_id]
        found = _decode_key(raw) if isinstance(raw, bytes) else None
        if is_current:
            _keep(self._keys, key_id, found, CACHED_MAX)
        return found


def _keep(cache: dict[str, T], name: str, found: T, most: int) -> None:
    """Keeps what was found; beyond the bound the one that was found first goes."""
    if len(cache) >= most:
        del cache[next(iter(cache))]
    cache[name] = found


def parse_published(value: bytes) -> Namespace | None:
    """A namespace as Redis caches it, `<version> <JSON>`; None for a deleted one."""
    _, _, text = value.partition(b" ")
    return None if text == b"null" else _decode(text)


def namespace_from_row(row: asyncpg.Record) -> Namespace:
    """A namespace from its row."""
    # Not every query reads the last one: nobody plans a grant by the namespaces that those are about.
    return Namespace(
        row["id"],
        row["name"],
        row["partition"],
        row["version"],
        _decode_rules(row["rules"]),
        accept_future_max=row.get("accept_future_max", 0),
    )


def publish_calls(namespace: Namespace) -> list[Call]:
    """The calls that make a namespace known to every process; a later version stays."""
    text = f"{namespace.version} ".encode() + _encode(namespace)
    return [
        evalsha(SET_IF_NEWER, [keys.DIRECTORY], [namespace.name, text]),
        version_call(namespace.partition, namespace.id, namespace.version),
        namespace_changed(namespace.name),
    ]


def version_call(partition: int, namespace_id: int, version: int) -> Call:
    """The call from which on a partition takes plans by this version of a namespace's rules alone."""
    return evalsha(SET_IF_NEWER, [keys.rules(partition)], [str(namespace_id), str(version)])


def retract_calls(name: str, namespace_id: int, partition: int, version: int) -> list[Call]:
    """The calls that make a deleted namespace unknown: plans made for it are refused."""
    return [
        evalsha(SET_IF_NEWER, [keys.DIRECTORY], [name, f"{version} null"]),
        version_call(partition, namespace_id, version),
        namespace_changed(name),
    ]


def publish_key_calls(record: KeyRecord) -> list[Call]:
    """The calls that make an API key known."""
    return [("HSET", keys.API_KEYS, record.id, _encode(record)), key_changed(record.id)]


def retract_key_calls(key_id: str) -> list[Call]:
    """The calls that make an API key unknown."""
    return [("HDEL", keys.API_KEYS, key_id), key_changed(key_id)]
