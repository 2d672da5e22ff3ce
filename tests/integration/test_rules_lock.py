"""A change of rules that breaks off behind its fence: the next write opens the namespace, and no change is harmed."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import msgspec
import psycopg
import pytest

from app.access.keys import Keyring, Principal
from app.admin.namespace_handlers import NamespaceHandlers
from app.model.errors import RuleLocked
from app.model.namespace import Namespace, Rules, partition_of
from app.services import Services, build_services
from app.settings import Settings
from app.store import keys
from app.store.rules_lock import RulesLock, release_stale

PARTITIONS = 16


class Fenced:
    """A namespace, and hands that raise its fence as a change does."""

    def __init__(self, stack: Any, api: httpx.Client, name: str, direct: Any, db: Any) -> None:
        self.stack, self.api, self.name, self.direct, self.db = stack, api, name, direct, db
        self.url = f"/v1/namespaces/{name}"
        self.rules_key = keys.rules(partition_of(name, None, PARTITIONS))
        (self.id,) = db.execute("SELECT id FROM namespaces WHERE name = %s", (name,)).fetchone()

    def shut(self) -> int:
        """A change that dies right behind its fence."""
        (version,) = self.db.execute("SELECT nextval('rules_version')").fetchone()
        self.direct.hset(self.rules_key, self.id, version)
        return int(version)

    def versions(self) -> tuple[int, int]:
        """Postgres' and the partition's."""
        (row,) = self.db.execute("SELECT version FROM namespaces WHERE id = %s", (self.id,)).fetchone()
        return row, int(self.direct.hget(self.rules_key, self.id))

    def grant(self, grant_id: str, **fields: Any) -> httpx.Response:
        body = {"grant_id": grant_id, "user_id": "otter", "amount": 5} | fields
        return self.api.post(f"{self.url}/grants", json=body)


@pytest.fixture
def fenced(live_server: Any, api: httpx.Client, space: str) -> Iterator[Fenced]:
    with (
        live_server.store() as direct,
        psycopg.connect(live_server.postgres.url, autocommit=True) as db,
    ):
        yield Fenced(live_server, api, space, direct, db)


@pytest.mark.parametrize(
    "write",
    [
        lambda space: space.grant("g1").status_code == 201,
        lambda space: space.api.post(f"{space.url}/grants", json=[grant("g1"), grant("g2")]).json()["applied"] == 2,
        lambda space: (
            space.api.post("/v1/grants", json=[{"namespace": space.name, **grant("g1")}]).json()["applied"] == 1
        ),
        lambda space: (
            space.api.post("/v1/grants?atomic=true", json=[{"namespace": space.name, **grant("g1")}]).status_code == 200
        ),
        lambda space: space.api.patch(f"{space.url}/grants/g0", json={"amount": 1}).status_code == 200,
        lambda space: space.api.delete(f"{space.url}/grants/g0").status_code == 200,
    ],
    ids=["one", "batch", "across", "atomic", "edit", "void"],
)
def test_the_next_write_opens_a_namespace_that_was_left_shut(fenced: Fenced, write: Callable[[Fenced], bool]) -> None:
    assert fenced.grant("g0").status_code == 201
    raised = fenced.shut()
    assert write(fenced)
    version, in_force = fenced.versions()
    assert version == in_force > raised
    assert fenced.grant("g9").status_code == 201


def grant(grant_id: str) -> dict[str, Any]:
    return {"grant_id": grant_id, "user_id": "otter", "amount": 5}


def test_rules_that_reached_postgres_alone_are_those_that_come_into_force(fenced: Fenced) -> None:
    fenced.shut()
    fenced.db.execute(
        """UPDATE namespaces SET version = nextval('rules_version'), rules = rules || '{"scale": 2}' WHERE id = %s""",
        (fenced.id,),
    )
    assert fenced.grant("g1", amount=1).status_code == 201
    assert fenced.grant("g2", amount=0.25).json()["score"] == 1.25
    assert fenced.api.get(fenced.url).json()["scale"] == 2


def test_migrate_opens_it_too(fenced: Fenced) -> None:
    fenced.shut()
    assert fenced.stack.run("migrate").returncode == 0
    version, in_force = fenced.versions()
    assert version == in_force


def test_what_is_open_stays_as_it_is(fenced: Fenced) -> None:
    before = fenced.versions()

    async def release(services: Services) -> None:
        services.publisher.publish = pytest.fail  # type: ignore[method-assign, assignment]
        await RulesLock(services.postgres, services.publisher).release_stale(fenced.name)

    with_services(fenced.stack, release)
    assert fenced.versions() == before


def test_rules_that_were_published_later_are_not_replaced_by_an_older_postgres(fenced: Fenced) -> None:
    text, raised = fenced.direct.hget(keys.DIRECTORY, fenced.name), fenced.shut()
    later = b"%d %b" % (raised, text.partition(b" ")[2])
    fenced.direct.hset(keys.DIRECTORY, fenced.name, later)
    (before, _) = fenced.versions()

    async def release(services: Services) -> None:
        await RulesLock(services.postgres, services.publisher).release_stale(fenced.name)

    with_services(fenced.stack, release)
    assert fenced.versions() == (before, raised)
    assert fenced.direct.hget(keys.DIRECTORY, fenced.name) == later


def with_services(stack: Any, work: Callable[[Services], Any]) -> Any:
    """Some work with a server's own parts, in a loop of their own."""

    async def run() -> Any:
        services = build_services(Settings(redis_url=stack.redis.url, postgres_url=stack.postgres.url), PARTITIONS)
        loop = asyncio.create_task(services.batcher.run())
        try:
            return await work(services)
        finally:
            loop.cancel()
            await asyncio.gather(loop, return_exceptions=True)
            await services.close()

    return asyncio.run(run())


def test_a_change_that_is_overtaken_sees_the_grant_that_slipped_in(fenced: Fenced) -> None:
    calls: list[Any] = []

    class Slow(NamespaceHandlers):
        """A change so slow that its fence is taken for a broken one, once it has seen that there are no grants."""

        async def _holds_grants(self, namespace: Namespace) -> bool:
            holds = await super()._holds_grants(namespace)
            calls.append(holds)
            if len(calls) == 1:
                writer = threading.Thread(target=lambda: calls.append(fenced.grant("g1").status_code))
                writer.start()
                while writer.is_alive():
                    await asyncio.sleep(0.01)
            return holds

    async def change(services: Services) -> None:
        slow = Slow(
            postgres=services.postgres,
            batcher=services.batcher,
            publisher=services.publisher,
            namespace_cache=services.namespace_cache,
            keyring=Keyring(services.namespace_cache, None),
            partitions=PARTITIONS,
            clock=lambda: 0,
            key_namespaces_max=None,
            gate=None,  # type: ignore[arg-type]
        )
        rules = Rules(accept_past=None, scale=2)
        while await slow._put(fenced.name, rules, Principal("test", ())) is None:
            pass

    with pytest.raises(RuleLocked):
        with_services(fenced.stack, change)
    assert calls == [False, 201, True]
    assert fenced.api.get(fenced.url).json()["scale"] == 0
    assert fenced.grant("g2").json()["score"] == 10


def test_a_lift_that_is_overtaken_by_the_change_does_nothing(fenced: Fenced) -> None:
    async def late(services: Services) -> None:
        row = await services.postgres.fetch_one("get_namespace", fenced.name)
        assert row is not None
        rules = msgspec.json.decode(row["rules"], type=Rules)
        namespace = Namespace(row["id"], fenced.name, row["partition"], row["version"], rules)
        fenced.shut()
        assert fenced.api.put(fenced.url, json={"accept_past": None, "scale": 2}).status_code == 200
        await release_stale(services.postgres, services.publisher, namespace)

    with_services(fenced.stack, late)
    assert fenced.api.get(fenced.url).json()["scale"] == 2
    assert fenced.grant("g1", amount=0.25).json()["score"] == 0.25
