"""Names on live boards: when the hub reads them, and how it sends a changed one."""

from typing import Any

import pytest

from tests.support.hub_store import Store, taken, within


def names_of(frame: Any) -> list[tuple[str, str | None]]:
    return [(entry.user_id, entry.display_name) for entry in frame.get("upsert", frame.get("entries"))]


def test_a_name_that_changes_is_sent_at_the_boards_current_version(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.live.hub.NAMES_S", 0)

    async def act(store: Store) -> None:
        store.boards["all"] = (7, ["a", "b"])
        watching = await store.watch("race")
        await store.tick()
        assert names_of(taken(watching)) == [("a", None), ("b", None)]
        store.profiles, store.profile_changes = {"b": "Bea"}, 1
        await store.tick()
        frame = taken(watching)
        assert (frame["type"], frame["from"], frame["version"], frame["remove"]) == ("delta", 7, 7, [])
        assert names_of(frame) == [("b", "Bea")]
        store.profiles, store.profile_changes = {"b": "Bea", "z": "Zoe"}, 2
        await store.tick()
        assert taken(watching) is None, "a name that is not shown here changes nothing here"
        store.calls.clear()
        await store.tick()
        assert store.reads() == []
        store.profiles, store.profile_changes = {}, 3
        await store.tick()
        assert names_of(taken(watching)) == [("b", None)]

    within(act)


def test_a_board_is_read_again_where_one_of_its_names_changed_and_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.live.hub.NAMES_S", 0)

    async def act(store: Store) -> None:
        store.boards["all"] = (7, ["a", "b"])
        watching = await store.watch("race")
        store.profile_changes, store.changed_users = 1, None
        await store.tick()
        taken(watching)
        store.calls.clear()
        for number in range(2, 52):
            store.profiles, store.profile_changes, store.changed_users = {"z": f"Zoe {number}"}, number, ("z",)
            await store.tick()
        assert (store.reads(), taken(watching)) == ([], None)
        assert not [call for call in store.calls if call[0] == "HMGET"]
        store.profiles, store.profile_changes, store.changed_users = {"b": "Bea"}, 53, ("z", "b")
        await store.tick()
        assert names_of(taken(watching)) == [("b", "Bea")]
        store.boards["all"] = (8, ["a", "b", "c"])
        await store.tick()
        taken(watching)
        store.profiles, store.profile_changes, store.changed_users = {"b": "Bea", "c": "Cid"}, 54, ("c",)
        await store.tick()
        assert names_of(taken(watching)) == [("c", "Cid")], "who came since counts, too"

    within(act)


def test_names_are_taken_up_no_more_than_twice_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = 100.0
    monkeypatch.setattr("app.live.hub.monotonic", lambda: seconds)

    async def act(store: Store) -> None:
        nonlocal seconds
        store.boards["all"] = (7, ["a"])
        watching = await store.watch("race")
        for turn in range(20):
            store.profiles, store.profile_changes = {"a": f"A{turn}"}, turn
            await store.tick()
            seconds += 0.1
        assert len(store.reads()) <= 6
        seconds += 0.5
        await store.tick()
        assert names_of(taken(watching)) == [("a", "A19")]

    within(act)


def test_who_comes_back_to_names_gets_them_anew() -> None:
    async def act(store: Store) -> None:
        store.boards["all"] = (7, ["a"])
        store.profiles, store.profile_changes = {"a": "Ann"}, 1
        watching = await store.watch("race", resume=(1, 7))
        await store.tick()
        frame = taken(watching)
        assert (frame["type"], names_of(frame)) == ("snapshot", [("a", "Ann")])
        store.profiles, store.profile_changes = {"other": "Zoe"}, 2
        store.boards["1970-W01"] = (3, ["b"])
        nameless = await store.watch("race", "week", resume=(1, 3, "1970-W01"))
        await store.tick()
        assert taken(nameless)["type"] == "uptodate"

    within(act)


def test_names_cost_one_call_and_none_where_nobody_has_one() -> None:
    async def act(store: Store) -> None:
        store.boards["all"] = (7, ["a", "b"])
        await store.watch("race")
        await store.tick()
        assert not [call for call in store.calls if call[0] == "HMGET"]
        store.profiles, store.profile_changes = {"a": "Ann"}, 1
        store.boards["all"] = (8, ["a", "b"])
        await store.tick()
        store.boards["all"] = (9, ["b", "a", "c"])
        await store.tick()
        assert [call[2:] for call in store.calls if call[0] == "HMGET"] == [("a", "b"), ("c",)]

    within(act)
