"""A look at watched boards costs what changed: those at rest are passed by."""

from typing import Any

import msgspec
import pytest

from app.live.watched_board import WatchedBoard
from app.model.views import Around
from app.store import keys
from app.store.boards import READ_BOARD_VERSIONS
from tests.support.hub_store import DAY, Store, taken, within

CATEGORIES = [f"c{number}" for number in range(50)]


@pytest.fixture
def close_looks(monkeypatch: pytest.MonkeyPatch) -> list[str | None]:
    """The categories of the boards that were looked at closely."""
    categories: list[str | None] = []
    plain = WatchedBoard.readings

    def readings(self: WatchedBoard, *args: Any) -> Any:
        categories.append(self.category)
        return plain(self, *args)

    monkeypatch.setattr(WatchedBoard, "readings", readings)
    return categories


async def at_rest(store: Store, looks: list[str | None], window: str = "all") -> dict[str, Any]:
    """A watcher of each category's board, each with its first state."""
    store.space("race", visibility="public", category_boards=True)
    store.changes += 1
    watchers = {one: await store.watch("race", window, category=one) for one in CATEGORIES}
    await store.tick()
    await store.tick()
    assert [taken(one)["type"] for one in watchers.values()] == ["snapshot"] * len(CATEGORIES)
    looks.clear()
    return watchers


def test_boards_at_rest_are_passed_by(close_looks: list[str | None]) -> None:
    async def act(store: Store) -> None:
        watchers = await at_rest(store, close_looks)
        await store.tick()
        assert close_looks == []
        store.boards["all:c7"] = (5, ["a"])
        await store.tick()
        await store.tick()
        await store.tick()
        assert close_looks == ["c7", "c7"], "when it changed, and when all had that"
        assert {name for name, one in watchers.items() if taken(one)} == {"c7"}

    within(act)


def test_who_comes_to_a_board_at_rest_is_served(close_looks: list[str | None]) -> None:
    async def act(store: Store) -> None:
        await at_rest(store, close_looks)
        same = await store.watch("race", category="c3")
        other = await store.watch("race", category="c4", view=Around("a", 1))
        await store.tick()
        assert (taken(same)["type"], taken(other)["type"]) == ("snapshot", "snapshot")
        assert set(close_looks) == {"c3", "c4"}

    within(act)


def test_a_board_at_rest_that_comes_to_its_next_day_is_read(close_looks: list[str | None]) -> None:
    async def act(store: Store) -> None:
        watchers = await at_rest(store, close_looks, "day")
        store.now += DAY
        await store.tick()
        assert {taken(one)["window"] for one in watchers.values()} == {"1970-01-03"}
        await store.tick()
        close_looks.clear()
        await store.tick()
        assert close_looks == []

    within(act)


def test_boards_whose_namespace_moved_are_asked_for_in_their_new_partition(close_looks: list[str | None]) -> None:
    async def act(store: Store) -> None:
        watchers = await at_rest(store, close_looks)
        store.change("race")
        store.spaces["race"] = msgspec.structs.replace(store.spaces["race"], partition=5)
        store.boards["all:c9"] = (9, ["a"])
        store.changes += 1
        for _ in range(3):
            await store.tick()
        assert taken(watchers["c9"])["version"] == 9
        store.calls.clear()
        await store.tick()
        (call,) = (call for call in store.calls if call[1] == READ_BOARD_VERSIONS.sha)
        assert keys.namespace(5, store.spaces["race"].id) in call
        store.boards["all:c8"] = (10, ["a"])
        await store.tick()
        assert taken(watchers["c8"])["version"] == 10

    within(act)
