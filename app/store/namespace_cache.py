"""The namespaces and API keys: stored in Postgres, cached in Redis and in every process."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from functools import reduce
from itertools import islice
from time import monotonic
from typing import TypeVar

import asyncpg
import msgspec

from ..drivers.redis import Call, evalsha
from ..drivers.scripts import load
from ..model.errors import no_namespace
from ..model.namespace import Namespace, Rules
from ..model.text import NAMESPACE_NAME
from . import keys
from .changes import EVERYTHING, NOTHING, Changed, latest_change_call

SET_IF_NEWER, PUBLISH_KEY = load("set_if_newer"), load("publish_key")
#: Namespaces, and API keys, that a process caches.
CACHED_MAX = 50_000
#: Names without a namespace that a process caches.
UNKNOWN_MAX = 10_000

#: Changes that a process remembers, to know what changed during a read; after more of them a read is repeated.
RECENT_MAX = 512

#: Seconds within which requests that were refused share one look for changes: they cost Redis ten small reads a second.
REFRESH_EVERY_S = 0.1

# The versions of an API key in Redis: it is made, and it may be revoked. Which secret it has stands in its record: so
# the release before, which knows these two versions alone, revokes it for good, too.
_MADE, _REVOKED = 1, 2

T = TypeVar("T")
CallRedis = Callable[[Call], Awaitable[object]]

_decode = msgspec.json.Decoder(Namespace).decode
_decode_rules = msgspec.json.Decoder(Rules).decode
_encode = msgspec.json.Encoder().encode


class KeyRecord(msgspec.Struct, frozen=True):
    """An API key as stored, without its secret. Scopes are `<scope>:<namespace pattern>`. secret_version: how often it
    got a new secret. previous_hash: of the secret before, which is good up to previous_until (microseconds), too; None:
    it is not. lua/publish_key.lua reads the text: in it, nothing that a client wrote comes before secret_version."""

    id: str
    hash: str
    scopes: tuple[str, ...]
    secret_version: int = 0
    previous_hash: str | None = None
    previous_until: int = 0
    name: str | None = None


_decode_key = msgspec.json.Decoder(KeyRecord).decode


class NamespaceCache:
    """The namespaces and keys that this process has cached. Changed ones are dropped.

    call: reads Redis. clock: of the process, in seconds. changes: the counter in Redis up to which the caches are
    current. step: rises with each change that this process learns of or makes.
    """

    def __init__(self, call: CallRedis, clock: Callable[[], float] = monotonic) -> None:
        self.call = call
        self._clock = clock
        self._refresh: asyncio.Future[None] | None = None
        self._refreshed_s = 0.0
        self.changes = -1
        self.step = 0
        self._recent: deque[Changed] = deque(maxlen=RECENT_MAX)
        self._namespaces: dict[str, Namespace] = {}
        self._unknown: dict[str, None] = {}
        self._keys: dict[str, KeyRecord | None] = {}
        # Reads under way, by name or id: an answer is cached unless a change drops its token meanwhile.
        self._reads: dict[str, object] = {}
        self._key_reads: dict[str, object] = {}
        self._listeners: list[Callable[[Changed], None]] = []

    def subscribe(self, listener: Callable[[Changed], None]) -> None:
        """Calls a listener with each change, once the caches have dropped it. Listeners must not depend on each other's
        order."""
        self._listeners.append(listener)

    def notice(self, changes: int, changed: Changed = EVERYTHING) -> None:
        """Drops what has changed, if the counter of changes has moved."""
        if changes != self.changes:
            self.changes = changes
            self.forget(changed)

    def forget(self, changed: Changed = EVERYTHING) -> None:
        """Drops what has changed. O(what changed)."""
        if changed.is_all:
            for cache in (self._namespaces, self._unknown, self._keys, self._reads, self._key_reads):
                cache.clear()
        for name in changed.namespaces:
            self._namespaces.pop(name, None)
            self._unknown.pop(name, None)
            self._reads.pop(name, None)
        for key_id in changed.keys:
            self._keys.pop(key_id, None)
            self._key_reads.pop(key_id, None)
        self.step += 1
        self._recent.append(changed)
        for listener in self._listeners:
            listener(changed)

    def changed_since(self, step: int) -> Changed:
        """What has changed since a step; everything after more than RECENT_MAX changes. O(changes since)."""
        count = self.step - step
        if count > len(self._recent):
            return EVERYTHING
        return reduce(Changed.joined, islice(reversed(self._recent), count), NOTHING)

    async def refresh(self) -> None:
        """Waits until the caches have every change that was made before. Many callers share one call to Redis.
        StoreUnavailable."""
        await self.call(latest_change_call(0))

    async def refresh_lately(self) -> None:
        """As `refresh`, but for changes of the last REFRESH_EVERY_S."""
        now_s = self._clock()
        if self._refresh is None or now_s - self._refreshed_s >= REFRESH_EVERY_S:
            self._refresh, self._refreshed_s = asyncio.ensure_future(self.refresh()), now_s
        await asyncio.shield(self._refresh)

    def cached(self, name: str) -> Namespace | None:
        """A namespace, if it is cached. Does not wait."""
        return self._namespaces.get(name)

    def is_open(self, name: str) -> bool:
        """Whether a name is known to be that of a namespace whose boards everybody may read. Does not wait."""
        namespace = self._namespaces.get(name)
        return namespace is not None and namespace.is_public and namespace.rules.mode != "shadow"

    async def namespace(self, name: str) -> Namespace:
        """A namespace by name. NamespaceNotFound, StoreUnavailable.

        A name that is known to have no namespace costs no look-up, only the check for changes.
        """
        if name in self._unknown:
            await self.refresh()
        cached = self._namespaces.get(name)
        if cached is not None:
            return cached
        if name in self._unknown or not NAMESPACE_NAME.fullmatch(name):
            raise no_namespace(name)
        token = self._reads.setdefault(name, object())
        try:
            raw = await self.call(published_call(name))
            is_current = self._reads.get(name) is token
        finally:
            if self._reads.get(name) is token:
                del self._reads[name]
        namespace = parse_published(raw) if isinstance(raw, bytes) else None
        if namespace is None:
            if is_current:
                _put(self._unknown, name, None, UNKNOWN_MAX)
            raise no_namespace(name)
        if is_current:
            _put(self._namespaces, name, namespace, CACHED_MAX)
        return namespace

    async def all(self) -> list[Namespace]:
        """Every namespace, by name. StoreUnavailable."""
        raw = await self.call(("HGETALL", keys.DIRECTORY))
        assert isinstance(raw, list)
        namespaces = (parse_published(value) for value in raw[1::2])
        return sorted((namespace for namespace in namespaces if namespace is not None), key=lambda one: one.name)

    async def key(self, key_id: str) -> KeyRecord | None:
        """An API key by id; None if it does not exist or is revoked. StoreUnavailable."""
        if key_id in self._keys:
            return self._keys[key_id]
        token = self._key_reads.setdefault(key_id, object())
        try:
            raw = await self.call(key_call(key_id))
            is_current = self._key_reads.get(key_id) is token
        finally:
            if self._key_reads.get(key_id) is token:
                del self._key_reads[key_id]
        record = parse_key(raw) if isinstance(raw, bytes) else None
        if is_current:
            _put(self._keys, key_id, record, CACHED_MAX)
        return record


def _put(cache: dict[str, T], name: str, value: T, max_size: int) -> None:
    """Caches a value; at the bound it drops the oldest one."""
    if len(cache) >= max_size:
        del cache[next(iter(cache))]
    cache[name] = value


def published_call(name: str) -> Call:
    """The call that reads a published namespace; None if none was ever published by this name."""
    return ("HGET", keys.DIRECTORY, name)


def parse_published(value: bytes) -> Namespace | None:
    """A namespace as Redis caches it, `<version> <JSON>`; None for a deleted one."""
    _, _, text = value.partition(b" ")
    return None if text == b"null" else _decode(text)


def published_version(value: bytes) -> int:
    """The version in a published namespace's text; a deletion has one, too."""
    return int(value.partition(b" ")[0])


def namespace_from_row(row: asyncpg.Record) -> Namespace:
    """A namespace from its row."""
    # Not every query reads the last column: namespaces without it are not used to plan grants.
    return Namespace(
        row["id"],
        row["name"],
        row["partition"],
        row["version"],
        _decode_rules(row["rules"]),
        accept_future_max=row.get("accept_future_max", 0),
    )


def namespace_text(namespace: Namespace) -> bytes:
    """A namespace as Redis caches it, `<version> <JSON>`."""
    return b"%d %b" % (namespace.version, _encode(namespace))


def publish_calls(namespace: Namespace) -> list[Call]:
    """The calls that publish a namespace, before it is announced; a later version stays."""
    return [
        evalsha(SET_IF_NEWER, [keys.DIRECTORY], [namespace.name, namespace_text(namespace)]),
        version_call(namespace.partition, namespace_id=namespace.id, version=namespace.version),
    ]


def version_call(partition: int, *, namespace_id: int, version: int) -> Call:
    """The call after which a partition accepts only plans by this version of a namespace's rules."""
    return evalsha(SET_IF_NEWER, [keys.rules(partition)], [str(namespace_id), str(version)])


def rules_version_call(partition: int, namespace_id: int) -> Call:
    """The call that reads the version of a namespace's rules whose plans a partition accepts; None: no version."""
    return ("HGET", keys.rules(partition), str(namespace_id))


def retract_calls(name: str, *, namespace_id: int, partition: int, version: int) -> list[Call]:
    """The calls that retract a deleted namespace, before that is announced; its plans are then refused."""
    return [
        evalsha(SET_IF_NEWER, [keys.DIRECTORY], [name, f"{version} null"]),
        version_call(partition, namespace_id=namespace_id, version=version),
    ]


def key_call(key_id: str) -> Call:
    """The call that reads an API key, `<version> <JSON>`. O(1)."""
    return ("HGET", keys.API_KEYS, key_id)


def key_from_row(row: asyncpg.Record) -> KeyRecord:
    """An API key from its row, revoked or not."""
    return KeyRecord(
        row["id"],
        row["hash"],
        tuple(row["scopes"]),
        row["secret_version"],
        row["previous_hash"],
        row["previous_until_micros"],
        row["name"],
    )


def key_text(record: KeyRecord) -> bytes:
    """An API key as Redis caches it."""
    return b"%d %b" % (_MADE, _encode(record))


def is_key_published(value: bytes | None, record: KeyRecord, *, is_revoked: bool) -> bool:
    """Whether Redis, which has `value` of an API key, has been told of this record, or of a later one."""
    known = None if value is None else parse_key(value)
    if value is None or is_revoked:
        return value is not None and known is None
    return known is None or known.secret_version >= record.secret_version


def parse_key(value: bytes) -> KeyRecord | None:
    """An API key as Redis caches it, `<version> <JSON>`; None for a revoked one."""
    _, _, text = value.partition(b" ")
    return None if text == b"null" else _decode_key(text)


def publish_key_call(record: KeyRecord) -> Call:
    """The call that publishes an API key, before it is announced, unless it was revoked or has a later secret."""
    return evalsha(PUBLISH_KEY, [keys.API_KEYS], [record.id, key_text(record)])


def retract_key_call(key_id: str) -> Call:
    """The call that makes an API key unknown for good, before that is announced: publishing it late changes
    nothing."""
    return evalsha(SET_IF_NEWER, [keys.API_KEYS], [key_id, f"{_REVOKED} null"])
