"""Answers about all namespaces are by the rules and rights in force, and cost no more while others change theirs."""

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from starlette.requests import Request

from app.access.keys import Keyring
from app.model.errors import UserNotFound
from app.model.namespace import Namespace, Rules
from app.read import stats, user_ranks
from app.read.authorizer import ReadAuthorizer
from app.read.stats import StatsHandlers
from app.read.user_ranks import UserRankHandlers
from app.store.changes import Changed
from app.store.namespace_cache import NamespaceCache

NAME = "race"


class World:
    """A directory of one namespace, and what happens each time it is read."""

    def __init__(self, happens: Callable[["World"], None]) -> None:
        self.namespace_cache = NamespaceCache(None)  # type: ignore[arg-type]
        self.authorizer = ReadAuthorizer(self.namespace_cache, Keyring(self.namespace_cache, None))
        self.visibility: Any = "public"
        self.reads = 0
        self._happens = happens
        self.namespace_cache.all = self._all  # type: ignore[method-assign]

    def space(self) -> Namespace:
        """As it is now."""
        return Namespace(1, NAME, 0, 1, Rules(visibility=self.visibility))

    async def fetch(self, query: str, *args: Any) -> list[dict[str, Any]]:
        """The rows of Postgres."""
        rules = msgspec.json.encode(self.space().rules).decode()
        return [{"id": 1, "name": NAME, "partition": 0, "version": 1, "rules": rules, "deleted_at": None}]

    async def _all(self) -> list[Namespace]:
        return [self.space()]

    async def read(self, *args: Any) -> dict[str, Any]:
        """What a read of the namespace tells."""
        self.reads += 1
        self._happens(self)
        return {"score": 1}


def _request(path_params: dict[str, str]) -> Request:
    scope = {
        "type": "http",
        "headers": [],
        "query_string": b"",
        "path_params": path_params,
        "method": "GET",
        "path": "/",
    }
    return Request(scope)


def ask_standings(world: World, monkeypatch: pytest.MonkeyPatch) -> int:
    """The number of standings in the answer."""
    reply: list[Any] = []

    async def hidden(*args: Any) -> set[str]:
        return set()

    monkeypatch.setattr(user_ranks, "hidden_among", hidden)
    monkeypatch.setattr(user_ranks, "answer", lambda request, body: reply.append(body))
    batcher = SimpleNamespace(call=None)
    parts: dict[str, Any] = {"postgres": world, "batcher": batcher, "profiles": None}
    reader: Any = UserRankHandlers(authorizer=world.authorizer, clock=lambda: 0, **parts)
    reader.read = world.read
    try:
        asyncio.run(reader.everywhere(_request({"user": "ann"})))
    except UserNotFound:
        return 0
    return len(reply[0]["standings"])


def ask_stats(world: World, monkeypatch: pytest.MonkeyPatch) -> int:
    """The number of namespaces in the answer."""
    reply: list[Any] = []
    monkeypatch.setattr(stats, "stats_body", lambda *args: {"mean": 1.0, "namespace": NAME, "band": None})
    monkeypatch.setattr(stats, "answer_with_etag", lambda request, etag, body, is_heavy: reply.append(body))
    parts: dict[str, Any] = {"reader": world, "boards": None, "namespace_cache": world.namespace_cache}
    reader = StatsHandlers(authorizer=world.authorizer, clock=lambda: 0, **parts)
    asyncio.run(reader.everywhere(_request({})))
    return len(reply[0]["namespaces"])


ASKS = [ask_standings, ask_stats]


@pytest.mark.parametrize("ask", ASKS)
def test_changes_of_others_cost_no_read_more(ask: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def other(world: World) -> None:
        world.namespace_cache.notice(world.namespace_cache.changes + 1, Changed(namespaces=frozenset({"other"})))

    world = World(other)
    assert ask(world, monkeypatch) == 1
    assert world.reads == 1


@pytest.mark.parametrize("ask", ASKS)
def test_a_change_that_this_process_made_is_heeded_before_its_number_comes(
    ask: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who made the namespace private has their answer: nobody is shown it from then on."""

    def closed(world: World) -> None:
        if world.visibility == "public":
            world.visibility = "private"
            world.namespace_cache.forget(Changed(namespaces=frozenset({NAME})))

    world = World(closed)
    assert ask(world, monkeypatch) == 0


@pytest.mark.parametrize("ask", ASKS)
def test_a_change_elsewhere_is_heeded(ask: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def closed(world: World) -> None:
        if world.visibility == "public":
            world.visibility = "private"
            world.namespace_cache.notice(world.namespace_cache.changes + 1)

    world = World(closed)
    assert ask(world, monkeypatch) == 0
