"""The same test bodies on fakeredis, Valkey and Debian's Redis: fakes drift."""

import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import redis
from msgspec import Raw

from app.drivers.scripts import Script
from app.embedded import ValkeyProcess, free_port
from app.model.entry import PlannedEntry
from app.model.grant import Grant, plan
from app.model.micros import from_micros
from app.model.namespace import Namespace, Rules
from app.store import apply, keys
from app.store.apply import Outcome, PartitionHead, StorageLimits
from app.store.partitions import INIT_PARTITION
from tests.support.compiled_scripts import fake_redis

NOW = 1_700_000_000_000_000
P = 3

# `make test-fast` takes the first alone.
BACKENDS = os.environ.get("LUA_STORES", "fakeredis valkey redis").split()


class Partition:
    """One partition on one store, driven by the very calls that the server makes."""

    def __init__(self, store: Any) -> None:
        self.store = store
        self.space = Namespace(7, "race", P, 1, Rules())
        self.head = PartitionHead(1, "1", 0, (0, 0, b""))
        store.hset(keys.rules(P), "7", "1")
        self.eval(INIT_PARTITION, [keys.meta(P)], [1, "here", 0])

    def eval(self, script: Script, names: list[str], args: list[Any]) -> Any:
        return self.send(script, [len(names), *names, *args])

    def send(self, script: Script, words: Sequence[Any]) -> Any:
        """Runs a script by its name, as the server does: its text, some 30 kB, is sent once a store."""
        try:
            return self.store.evalsha(script.sha, *words)
        except redis.exceptions.NoScriptError:
            return self.store.eval(script.source, *words)

    def entry(self, grant_id: str, user: str = "otter", amount: int = 5, at: int = NOW, **fields: Any) -> PlannedEntry:
        grant = Grant(
            grant_id,
            user,
            Raw(str(amount).encode()),
            granted_at=Raw(f'"{from_micros(at).isoformat()}"'.encode()),
            **fields,
        )
        return plan(grant, self.space, NOW)

    def call(
        self, *entries: PlannedEntry, resend_after: int = -1, atomic: bool = False, **bounds: int
    ) -> list[Outcome]:
        packed = list(apply.pack(P, entries, self.head, resend_after, atomic, StorageLimits(**bounds)))
        return apply.read(self.send(apply.APPLY, packed[2:]))

    def codes(self, *entries: PlannedEntry, **options: Any) -> list[str]:
        return [outcome.code for outcome in self.call(*entries, **options)]

    def dump(self) -> dict[bytes, Any]:
        """Everything the store holds: equal before and after means that nothing was written."""
        read = {
            b"hash": lambda key: self.store.hgetall(key),
            b"zset": lambda key: self.store.zrange(key, 0, -1, withscores=True),
            b"stream": lambda key: self.store.xrange(key),
            b"string": lambda key: self.store.get(key),
            b"list": lambda key: self.store.lrange(key, 0, -1),
        }
        return {key: read[self.store.type(key)](key) for key in sorted(self.store.keys("*"))}


@pytest.fixture(scope="session", params=BACKENDS)
def store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    if request.param == "fakeredis":
        with fake_redis() as client:
            yield client
        return
    binary = shutil.which("redis-server") if request.param == "redis" else None
    if request.param == "redis" and binary is None:
        pytest.skip("Debian's redis-server is not installed")
    server = ValkeyProcess(tmp_path_factory.mktemp(request.param), free_port(), binary=Path(binary) if binary else None)
    server.start()
    try:
        with redis.Redis.from_url(server.url) as client:
            yield client
    finally:
        server.stop()


@pytest.fixture
def partition(store: Any) -> Partition:
    store.flushall()
    return Partition(store)
