"""Which Redis is turned down, by name, before it takes a grant."""

import asyncio
from collections.abc import Iterator

import pytest
import redis

from app.drivers.redis import RedisConnection, RedisRefused
from app.embedded import ValkeyProcess, free_port
from app.store import keys, partitions
from app.store.partitions import check_store

pytestmark = pytest.mark.own_valkey


@pytest.fixture(scope="module")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ValkeyProcess]:
    server = ValkeyProcess(tmp_path_factory.mktemp("valkey"), free_port())
    server.start()
    try:
        yield server
    finally:
        server.stop()


def check(valkey: ValkeyProcess, durability: str = "always", user: str = "") -> None:
    async def run() -> None:
        link = RedisConnection(valkey.url.replace("://", f"://{user}@" if user else "://"), [])
        try:
            await check_store(link, durability)
        finally:
            await link.close()

    asyncio.run(run())


@pytest.mark.parametrize(
    ("name", "value", "accepted"),
    [
        ("maxmemory-policy", "allkeys-lru", ()),
        ("appendonly", "no", ("none",)),
        ("appendfsync", "everysec", ("everysec", "none")),
        ("appendfsync", "no", ("none",)),
    ],
)
def test_a_store_that_may_lose_scores_is_refused_by_name(
    valkey: ValkeyProcess, name: str, value: str, accepted: tuple[str, ...]
) -> None:
    check(valkey)
    with redis.Redis.from_url(valkey.url) as direct:
        before = direct.config_get(name)[name]
        direct.config_set(name, value)
        try:
            for durability in ("always", "everysec", "none"):
                if durability in accepted:
                    check(valkey, durability)
                else:
                    with pytest.raises(RedisRefused, match=f"{name} {value}"):
                        check(valkey, durability)
        finally:
            direct.config_set(name, before)


def test_all_that_is_wrong_with_a_store_is_named_at_once(valkey: ValkeyProcess) -> None:
    wrong = {"maxmemory-policy": "allkeys-lru", "appendonly": "no", "appendfsync": "no"}
    with redis.Redis.from_url(valkey.url) as direct:
        before = {name: direct.config_get(name)[name] for name in wrong}
        for name, value in wrong.items():
            direct.config_set(name, value)
        try:
            with pytest.raises(RedisRefused) as refused:
                check(valkey)
        finally:
            for name, value in before.items():
                direct.config_set(name, value)
    assert all(f"Redis has {name} {value}" in str(refused.value) for name, value in wrong.items())


def test_eviction_is_found_if_config_is_denied(valkey: ValkeyProcess) -> None:
    with redis.Redis.from_url(valkey.url) as direct:
        direct.execute_command("ACL", "SETUSER", "modest", "on", ">pass", "~*", "+@all", "-config")
        check(valkey, user="modest:pass")
        direct.config_set("maxmemory-policy", "volatile-ttl")
        try:
            with pytest.raises(RedisRefused, match="maxmemory-policy volatile-ttl"):
                check(valkey, user="modest:pass")
        finally:
            direct.config_set("maxmemory-policy", "noeviction")


def test_a_redis_that_is_too_old_is_refused(valkey: ValkeyProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(partitions, "VERSION_MIN", (99, 0))
    with pytest.raises(RedisRefused, match=r"too old: at least 99\.0"):
        check(valkey)


def test_a_redis_that_another_release_laid_out_is_refused(valkey: ValkeyProcess) -> None:
    with redis.Redis.from_url(valkey.url) as direct:
        direct.hset(keys.DEPLOYMENT, mapping={"id": "x", "partitions": 16, "format": partitions.FORMAT})
        check(valkey)
        direct.hset(keys.DEPLOYMENT, "format", 1)
        try:
            with pytest.raises(RedisRefused, match=f"holds format 1, this release needs format {partitions.FORMAT}"):
                check(valkey)
        finally:
            direct.delete(keys.DEPLOYMENT)
