"""Views of one client beside those of others: what it may hold, and whose turn it is."""

import pytest

from app.live.hub import READS_A_ROUND_MAX
from app.live.subscriber import Viewer
from app.live.watched_boards import ADDRESS_VIEWS_MAX
from app.model.errors import Overloaded, RateLimited
from app.model.views import Around, Top
from tests.support.hub_store import TOKEN, Store, taken, within


def viewer(store: Store, address: str) -> Viewer:
    return Viewer(store.keyring, address)


def is_behind(store: Store) -> bool:
    return store.hub._is_behind


async def keyed(store: Store) -> Viewer:
    viewer = Viewer(store.keyring, "10.0.0.9")
    await viewer.enter(TOKEN)
    return viewer


def test_an_address_watches_so_many_views_and_leaves_room_for_others(monkeypatch: pytest.MonkeyPatch) -> None:
    async def act(store: Store) -> None:
        greedy = viewer(store, "10.0.0.1")
        for i in range(ADDRESS_VIEWS_MAX):
            await store.watch("race", view=Around(f"u{i}"), viewer=greedy)
        with pytest.raises(RateLimited):
            await store.watch("race", view=Around("one more"), viewer=viewer(store, "10.0.0.1"))
        again = await store.watch("race", view=Around("u0"), viewer=greedy)
        await store.watch("race", view=Around("one more"), viewer=viewer(store, "10.0.0.2"))
        await store.watch("race", view=Around("another"), viewer=await keyed(store))
        store.hub.unsubscribe(again)
        with pytest.raises(RateLimited):
            await store.watch("race", view=Around("one more"), viewer=greedy)

    within(act)


def test_what_goes_makes_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.live.watched_boards.ADDRESS_VIEWS_MAX", 2)

    async def act(store: Store) -> None:
        greedy = viewer(store, "10.0.0.1")
        items = [await store.watch("race", view=Top(n), viewer=greedy) for n in (1, 2)]
        store.hub.unsubscribe(items[0])
        await store.watch("race", view=Top(3), viewer=greedy)
        with pytest.raises(RateLimited):
            await store.watch("race", view=Top(4), viewer=greedy)

    within(act)


def test_views_without_a_key_leave_room_for_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.live.watched_boards.ANONYMOUS_VIEWS_MAX", 3)

    async def act(store: Store) -> None:
        with_key = await keyed(store)
        for i in range(3):
            await store.watch("race", view=Around(f"u{i}"), viewer=viewer(store, f"10.0.0.{i}"))
        with pytest.raises(Overloaded):
            await store.watch("race", view=Around("x"), viewer=viewer(store, "10.0.1.1"))
        # One view that everybody watches is one view; watched with a key, it is none of the anonymous.
        for i in range(5):
            await store.watch("race", view=Around("u0"), viewer=viewer(store, f"10.0.2.{i}"))
        shared = await store.watch("race", view=Around("u0"), viewer=with_key)
        await store.watch("race", view=Around("y"), viewer=viewer(store, "10.0.1.1"))
        store.hub.unsubscribe(shared)
        with pytest.raises(Overloaded):
            await store.watch("race", view=Around("z"), viewer=viewer(store, "10.0.1.1"))

    within(act)


def test_a_newcomer_is_served_in_the_next_round_beside_a_thousand_views_of_another() -> None:
    async def act(store: Store) -> None:
        greedy = viewer(store, "10.0.0.1")
        many = [await store.watch("race", view=Around(f"u{i}"), viewer=greedy) for i in range(900)]
        other = await store.watch("race", view=Around("late"), viewer=viewer(store, "10.0.0.2"))
        await store.tick()
        assert len(store.reads()) == READS_A_ROUND_MAX
        assert taken(other)["type"] == "snapshot"
        for _ in range(900 // READS_A_ROUND_MAX + 1):
            await store.tick()
        assert all(taken(one)["type"] == "snapshot" for one in many)

    within(act)


def test_what_changes_all_the_time_is_read_once_a_lap_and_nothing_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.live.hub.monotonic", lambda: 0.0)  # The lap ends by nothing but being done.

    async def act(store: Store) -> None:
        greedy = viewer(store, "10.0.0.1")
        for i in range(500):
            await store.watch("race", view=Around(f"u{i}"), viewer=greedy)
        other = await store.watch("race", view=Around("late"), viewer=viewer(store, "10.0.0.2"))
        while is_behind(store) or not store.calls:
            await store.tick()
        store.reads()
        taken(other)
        store.boards["all"] = (1, ["a"])
        await store.tick()
        assert taken(other)["version"] == 1
        read = store.reads()
        while is_behind(store):
            store.boards["all"] = (store.boards["all"][0] + 1, ["a"])
            await store.tick()
            read += store.reads()
        assert len(read) == len(set(read)) == 501

    within(act)


def test_a_view_that_everybody_watches_comes_first() -> None:
    async def act(store: Store) -> None:
        greedy = viewer(store, "10.0.0.1")
        for i in range(600):
            await store.watch("race", view=Around(f"u{i}"), viewer=greedy)
        crowd = [await store.watch("race", view=Top(10), viewer=viewer(store, f"10.0.1.{i}")) for i in range(20)]
        await store.tick()
        assert all(taken(one)["type"] == "snapshot" for one in crowd)

    within(act)
