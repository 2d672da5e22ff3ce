"""A read is done again where rules or rights change under it, and only then."""

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from app.access.keys import Keyring
from app.model.errors import Forbidden, NamespaceNotFound, Unauthorized
from app.model.namespace import Namespace, Rules
from app.read.authorizer import ATTEMPTS_MAX, ReadAuthorizer
from app.store.changes import Changed
from app.store.namespace_cache import RECENT_MAX, NamespaceCache

SCOPE: Any = {"type": "http", "headers": [], "client": ("10.0.0.1", 1)}
RACE, OTHER = Changed(namespaces=frozenset({"race"})), Changed(namespaces=frozenset({"other"}))


class World:
    """A Redis with one namespace."""

    def __init__(self) -> None:
        self.visibility: Any = "public"
        self.namespace_cache = NamespaceCache(self.call)
        self.authorizer = ReadAuthorizer(self.namespace_cache, Keyring(self.namespace_cache, None))

    async def call(self, call: Any) -> Any:
        if call[2] != "race":
            return None
        return b"1 " + msgspec.json.encode(Namespace(1, "race", 0, 1, Rules(visibility=self.visibility)))

    def attempts(self, during: Callable[[int], None], **more: Any) -> int:
        """How often a read is done while something happens during each attempt."""

        async def read() -> int:
            count = 0
            async for _ in self.authorizer.admissions(SCOPE, more.pop("name", "race"), **more):
                count += 1
                during(count)
            return count

        return asyncio.run(read())

    def surveys(self, during: Callable[[int], None]) -> int:
        """The same of a read of many namespaces, one of which is `race`."""

        async def read() -> int:
            count = 0
            async for survey in self.authorizer.surveys(SCOPE):
                survey.add([await self.namespace_cache.namespace("race")])
                count += 1
                during(count)
            return count

        return asyncio.run(read())


KINDS = ["attempts", "surveys"]


@pytest.mark.parametrize("kind", KINDS)
def test_without_a_change_a_read_is_done_once(kind: str) -> None:
    world = World()
    assert getattr(world, kind)(lambda _: None) == 1
    assert getattr(world, kind)(lambda _: world.namespace_cache.forget(OTHER)) == 1


@pytest.mark.parametrize("kind", KINDS)
def test_after_a_change_it_is_done_again(kind: str) -> None:
    world = World()
    assert getattr(world, kind)(lambda count: world.namespace_cache.forget(RACE) if count == 1 else None) == 2


@pytest.mark.parametrize("kind", KINDS)
def test_changes_without_end_do_not_keep_a_client_waiting(kind: str) -> None:
    world = World()
    assert getattr(world, kind)(lambda _: world.namespace_cache.forget(RACE)) == ATTEMPTS_MAX


def test_the_new_rules_decide_whether_it_is_done_again() -> None:
    world = World()

    def closed(_: int) -> None:
        world.visibility = "private"
        world.namespace_cache.forget(RACE)

    with pytest.raises(Unauthorized):
        world.attempts(closed)


@pytest.mark.parametrize("required", ["read", "write"])
def test_a_required_scope_needs_a_key_in_a_public_namespace_too(required: str) -> None:
    with pytest.raises((Unauthorized, Forbidden)):
        World().attempts(lambda _: None, required=required)


def test_an_unknown_namespace_is_hidden_from_strangers() -> None:
    with pytest.raises(Unauthorized):
        World().attempts(lambda _: None, name="nobody")
    with pytest.raises(NamespaceNotFound):
        asyncio.run(World().namespace_cache.namespace("nobody"))


@pytest.mark.parametrize(("others", "attempts"), [(RECENT_MAX, 1), (RECENT_MAX + 1, 2)])
def test_more_changes_than_are_remembered_may_be_anything(others: int, attempts: int) -> None:
    world = World()

    def many(count: int) -> None:
        for _ in range(others if count == 1 else 0):
            world.namespace_cache.forget(OTHER)

    assert world.surveys(many) == attempts
