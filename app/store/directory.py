"""Which namespaces and API keys there are: truth in Postgres, cached in Redis and in every process."""

from collections.abc import Awaitable, Callable

import asyncpg
import msgspec

from ..model.errors import NamespaceNotFound
from ..model.namespace import Namespace, Rules
from . import keys
from .changes import NAMESPACES_CHANGED
from .redis import Call, evalsha
from .scripts import load

PUBLISH = load("publish")
CACHED_MAX = 50_000

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


class Directory:
    """This process's view. `changes` is the number its caches stand at; a new one empties them."""

    def __init__(self) -> None:
        self.call: CallRedis
        self.changes = -1
        self._namespaces: dict[str, Namespace] = {}
        self._keys: dict[str, KeyRecord | None] = {}
        self.on_change: list[Callable[[], None]] = []

    def notice(self, changes: int) -> None:
        """Empties the caches where something has changed since they were filled."""
        if changes != self.changes:
            self.changes = changes
            self.forget()

    def forget(self) -> None:
        """Empties the caches."""
        self._namespaces.clear()
        self._keys.clear()
        for listener in self.on_change:
            listener()

    async def refresh(self) -> None:
        """Makes sure that the caches hold nothing that had changed by now. StoreUnavailable."""
        await self.call(("HGET", keys.DEPLOYMENT, "changes"))

    def cached(self, name: str) -> Namespace | None:
        """A namespace where it is known already; no wait."""
        return self._namespaces.get(name)

    async def namespace(self, name: str) -> Namespace:
        """A namespace by name. NamespaceNotFound, StoreUnavailable."""
        held = self._namespaces.get(name)
        if held is not None:
            return held
        changes = self.changes
        raw = await self.call(("HGET", keys.DIRECTORY, name))
        found = parse_published(raw) if isinstance(raw, bytes) else None
        if found is None:
            raise NamespaceNotFound(f"there is no namespace {name!r}")
        if len(self._namespaces) >= CACHED_MAX:
            self._namespaces.clear()
        # Kept only if nothing changed since it was asked for: the next round may have emptied the caches already.
        if changes == self.changes:
            self._namespaces[name] = found
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
        changes = self.changes
        raw = await self.call(("HGET", keys.API_KEYS, key_id))
        found = _decode_key(raw) if isinstance(raw, bytes) else None
        if len(self._keys) >= CACHED_MAX:
            self._keys.clear()
        if changes == self.changes:
            self._keys[key_id] = found
        return found


def parse_published(value: bytes) -> Namespace | None:
    """A namespace as Redis caches it, `<version> <JSON>`; None for a deleted one."""
    _, _, text = value.partition(b" ")
    return None if text == b"null" else _decode(text)


def namespace_of(row: asyncpg.Record) -> Namespace:
    """A namespace from its row."""
    return Namespace(row["id"], row["name"], row["partition"], row["version"], _decode_rules(row["rules"]))


def publish_calls(namespace: Namespace) -> list[Call]:
    """The calls that make a namespace known to every process; a later version stays."""
    text = f"{namespace.version} ".encode() + _encode(namespace)
    return [
        evalsha(PUBLISH, [keys.DIRECTORY], [namespace.name, text]),
        version_call(namespace.partition, namespace.id, namespace.version),
        NAMESPACES_CHANGED,
    ]


def version_call(partition: int, namespace_id: int, version: int) -> Call:
    """The call from which on a partition takes plans by this version of a namespace's rules alone."""
    return evalsha(PUBLISH, [keys.rules(partition)], [str(namespace_id), str(version)])


def retract_calls(name: str, namespace_id: int, partition: int, version: int) -> list[Call]:
    """The calls that make a deleted namespace unknown: plans made for it are refused."""
    return [
        evalsha(PUBLISH, [keys.DIRECTORY], [name, f"{version} null"]),
        version_call(partition, namespace_id, version),
        NAMESPACES_CHANGED,
    ]


def publish_key_calls(record: KeyRecord) -> list[Call]:
    """The calls that make an API key known."""
    return [("HSET", keys.API_KEYS, record.id, _encode(record)), NAMESPACES_CHANGED]


def retract_key_calls(key_id: str) -> list[Call]:
    """The calls that make an API key unknown."""
    return [("HDEL", keys.API_KEYS, key_id), NAMESPACES_CHANGED]
