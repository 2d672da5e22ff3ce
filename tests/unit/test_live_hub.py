"""The hub on a store of its own making: what is asked, when, and what becomes of what cannot be known."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import msgspec
import pytest

from app.access.keys import Keyring, hash_key
from app.live.hub import VIEWS_MAX, Hub
from app.live.subscriber import Subscriber, Viewer
from app.live.views import Around, Top, View
from app.model.errors import Overloaded, Problem, StoreUnavailable
from app.model.namespace import Namespace, Rules
from app.store import keys
from app.store.archive import BoardReader
from app.store.boards import BOARD, VERSIONS
from app.store.directory import Directory, KeyRecord
from app.store.names import Names

TOKEN = "lb_k_0123456789abcdef"
DAY = 86_400_000_000


class Store:
    """Answers the hub's calls and counts them; also the gatherer, and the clock."""

    def __init__(self) -> None:
        self.now = DAY
        self.changes = 1
        self.profiles: dict[str, str] = {}
        self.profile_changes = 0
        self.away: set[bytes | str] = set()
        self.spaces: dict[str, Namespace] = {}
        self.keys = {"k": KeyRecord("k", hash_key(TOKEN), ("read:*",))}
        self.boards: dict[str, tuple[int, list[str]]] = {}
        self.asked: list[Any] = []
        self.directory = Directory()
        self.directory.call = self.call
        self.keyring = Keyring(self.directory, None)
        self.names = Names()
        self.names.call = self.call
        self.hub = Hub(self, BoardReader(self, None), self.directory, self.names, lambda: self.now)  # type: ignore[arg-type]

    async def call(self, call: Any) -> Any:
        await asyncio.sleep(0)
        self.asked.append(call)
        if call[1] in self.away:
            raise StoreUnavailable("away")
        self.directory.notice(self.changes)
        self.names.notice(self.profile_changes)
        if call[:2] == ("HMGET", keys.PROFILES):
            found = map(self.profiles.get, call[2:])
            return [None if name is None else b'1 {"display_name":"%s"}' % name.encode() for name in found]
        if call[:2] == ("HGET", keys.DIRECTORY):
            held = self.spaces.get(call[2])
            return None if held is None else b"1 " + msgspec.json.encode(held)
        if call[:2] == ("HGET", keys.API_KEYS):
            return msgspec.json.encode(self.keys[call[2]]) if call[2] in self.keys else None
        if call[1] == VERSIONS.sha:
            names = [arg for arg in call[3 + call[2] :] if isinstance(arg, str)]
            return [b"1", *(b"%d" % self.boards.get(name, (0, []))[0] for name in names)]
        assert call[1] == BOARD.sha
        version, users = self.boards.get(call[8], (0, []))
        rows = [cell for i, user in enumerate(users) for cell in (i + 1, user.encode(), b"1", i)]
        return [b"1", b"9", b"%d" % version, len(users), None, None, *rows]

    def space(self, name: str, **rules: Any) -> Namespace:
        self.spaces[name] = Namespace(len(self.spaces) + 1, name, 0, self.changes, Rules(**rules))
        return self.spaces[name]

    def reads(self) -> list[Any]:
        """The views read since asked last."""
        found = [call[12:] for call in self.asked if call[1] == BOARD.sha]
        self.asked.clear()
        return found

    async def watch(self, name: str, asked: str = "all", view: View = Top(), **more: Any) -> Subscriber:  # noqa: B008
        subscriber = Subscriber(1, more.get("viewer") or Viewer(self.keyring), more.get("resume", (None, None)))
        self.hub.viewers.add(subscriber.viewer)
        await self.hub.subscribe(subscriber, name, asked, view)
        return subscriber

    async def tick(self) -> None:
        await self.hub._tick()


def taken(subscriber: Subscriber) -> Any:
    """What is in the slot, or the fault's code; the slot is free then."""
    if subscriber.fault is not None:
        return subscriber.fault.code
    frame, subscriber.slot = subscriber.slot, None
    return None if frame is None else frame.body


def within(act: Callable[[Store], Coroutine[Any, Any, None]]) -> None:
    async def run() -> None:
        store = Store()
        store.space("race", visibility="public")
        await act(store)

    asyncio.run(run())


def test_a_full_slot_takes_the_newest_state_as_a_snapshot() -> None:
    async def act(store: Store) -> None:
        quick, slow = await store.watch("race"), await store.watch("race")
        for version in (0, 1, 2):
            store.boards["all"] = (version, ["a"] * min(version, 1))
            await store.tick()
            told = taken(quick)
            assert told["type"] == ("delta" if version else "snapshot")
        late = taken(slow)
        assert (late["type"], late["version"]) == ("snapshot", 2)
        store.boards["all"] = (3, ["a"])
        await store.tick()
        assert [taken(held)["from"] for held in (quick, slow)] == [2, 2]

    within(act)


def test_a_version_that_fell_back_is_shown_by_a_snapshot() -> None:
    async def act(store: Store) -> None:
        store.boards["all"] = (5, ["a", "b"])
        watching = await store.watch("race")
        await store.tick()
        taken(watching)
        store.boards["all"] = (4, ["a"])
        await store.tick()
        told = taken(watching)
        assert (told["type"], told["version"]) == ("snapshot", 4)

    within(act)


def test_every_top_of_a_board_is_cut_out_of_one_read() -> None:
    async def act(store: Store) -> None:
        store.boards["all"] = (1, ["a", "b", "c"])
        tops = [await store.watch("race", view=Top(limit)) for limit in (1, 3, 2)]
        around = await store.watch("race", view=Around("b", 1))
        await store.tick()
        assert store.reads() == [("page", 0, 3), ("around", "b", 1)]
        assert [len(taken(held)["entries"]) for held in (*tops, around)] == [1, 3, 2, 3]
        await store.tick()
        assert store.reads() == []

    within(act)


def test_who_comes_while_a_board_is_read_is_served_by_a_later_read() -> None:
    async def act(store: Store) -> None:
        first = await store.watch("race")
        ticking = asyncio.ensure_future(store.tick())
        while not any(call[1] == BOARD.sha for call in store.asked):
            await asyncio.sleep(0)
        second = await store.watch("race")
        await ticking
        assert (taken(first)["type"], taken(second)) == ("snapshot", None)
        await store.tick()
        assert (taken(first), taken(second)["type"]) == (None, "snapshot")

    within(act)


def test_a_day_moves_on_by_a_snapshot() -> None:
    async def act(store: Store) -> None:
        watching = await store.watch("race", "day")
        await store.tick()
        assert taken(watching)["window"] == "1970-01-02"
        store.now += DAY
        await store.tick()
        told = taken(watching)
        assert (told["type"], told["window"]) == ("snapshot", "1970-01-03")

    within(act)


def test_a_client_that_holds_the_state_is_up_to_date() -> None:
    async def act(store: Store) -> None:
        store.boards["all"] = (7, ["a"])
        held, older = await store.watch("race", resume=(1, 7)), await store.watch("race", resume=(1, 6))
        await store.tick()
        assert taken(held) == {"type": "uptodate", "version": 7}
        assert taken(older)["type"] == "snapshot"

    within(act)


def test_what_cannot_be_known_ends_nothing_and_is_asked_again() -> None:
    async def act(store: Store) -> None:
        viewer = Viewer(store.keyring)
        await viewer.enter(TOKEN)
        store.space("closed")
        watching = await store.watch("closed", viewer=viewer)
        await store.tick()
        taken(watching)
        store.changes, store.boards["all"] = 2, (1, ["a"])
        store.away = {keys.API_KEYS}
        await store.tick()
        assert taken(watching) is None, "nothing is shown on a right that cannot be known"
        store.away = set()
        await store.tick()
        assert taken(watching)["type"] == "delta"
        del store.keys["k"]
        store.changes, store.boards["all"] = 3, (2, ["a", "b"])
        await store.tick()
        assert (viewer.revoked, taken(watching)) == (True, "unauthorized")

    within(act)


def test_newcomers_are_told_when_a_store_is_away_and_the_others_keep_what_they_hold() -> None:
    async def act(store: Store) -> None:
        old = await store.watch("race")
        await store.tick()
        taken(old)
        new = await store.watch("race")
        for lost in (VERSIONS.sha, BOARD.sha):
            store.away = {lost}
            await store.tick()
            assert (taken(old), taken(new)) == (None, "store_unavailable")
            new = await store.watch("race")
        store.away = set()
        await store.tick()
        assert taken(new)["type"] == "snapshot"

    within(act)


def test_a_board_that_fails_ends_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    async def act(store: Store) -> None:
        broken, well = await store.watch("race", "day"), await store.watch("race")
        store.boards["1970-01-02"] = (1, ["a"])
        monkeypatch.setattr(
            "app.live.board.from_micros", lambda micros: (_ for _ in ()).throw(AssertionError("a defect"))
        )
        await store.tick()
        assert (taken(broken), taken(well)["type"]) == ("internal", "snapshot")

    within(act)


def test_views_are_bounded_and_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.live.hub.VIEWS_MAX", 2)
    assert VIEWS_MAX == 10_000

    async def act(store: Store) -> None:
        first, _ = await store.watch("race", view=Top(1)), await store.watch("race", view=Top(2))
        again = await store.watch("race", view=Top(1))
        with pytest.raises(Overloaded):
            await store.watch("race", view=Top(3))
        for held in (first, again):
            store.hub.unsubscribe(held)
        await store.watch("race", view=Top(3))

    within(act)


def test_a_change_while_a_board_is_read_is_heeded_before_it_is_shown() -> None:
    async def act(store: Store) -> None:
        watching = await store.watch("race")
        await store.tick()
        taken(watching)
        store.boards["all"] = (1, ["a"])
        ticking = asyncio.ensure_future(store.tick())
        while not any(call[1] == VERSIONS.sha for call in store.asked[-1:]):
            await asyncio.sleep(0)
        store.spaces["race"] = Namespace(1, "race", 0, 2, Rules())
        store.changes = 2
        await ticking
        assert taken(watching) == "unauthorized"

    within(act)


def test_a_problem_is_what_subscribing_raises() -> None:
    async def act(store: Store) -> None:
        store.space("closed")
        for name, asked, code in (
            ("nowhere", "all", "namespace_not_found"),
            ("race", "fortnight", "board_not_found"),
            ("closed", "all", "unauthorized"),
        ):
            with pytest.raises(Problem) as problem:
                await store.watch(name, asked)
            assert problem.value.code == code

    within(act)


def names_of(frame: Any) -> list[tuple[str, str | None]]:
    return [(entry.user_id, entry.display_name) for entry in frame.get("upsert", frame.get("entries"))]


def test_a_name_that_changes_is_told_at_the_version_that_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.live.hub.NAMES_S", 0)

    async def act(store: Store) -> None:
        store.boards["all"] = (7, ["a", "b"])
        watching = await store.watch("race")
        await store.tick()
        assert names_of(taken(watching)) == [("a", None), ("b", None)]
        store.profiles, store.profile_changes = {"b": "Bea"}, 1
        await store.tick()
        told = taken(watching)
        assert (told["type"], told["from"], told["version"], told["remove"]) == ("delta", 7, 7, [])
        assert names_of(told) == [("b", "Bea")]
        store.profiles, store.profile_changes = {"b": "Bea", "z": "Zoe"}, 2
        await store.tick()
        assert taken(watching) is None, "a name that is not shown here changes nothing here"
        store.asked.clear()
        await store.tick()
        assert store.reads() == []
        store.profiles, store.profile_changes = {}, 3
        await store.tick()
        assert names_of(taken(watching)) == [("b", None)]

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
        held = await store.watch("race", resume=(1, 7))
        await store.tick()
        told = taken(held)
        assert (told["type"], names_of(told)) == ("snapshot", [("a", "Ann")])
        store.profiles, store.profile_changes = {"other": "Zoe"}, 2
        nameless = await store.watch("race", "week", resume=(1, 0))
        await store.tick()
        assert taken(nameless)["type"] == "uptodate"

    within(act)


def test_names_cost_one_call_and_none_where_nobody_has_one() -> None:
    async def act(store: Store) -> None:
        store.boards["all"] = (7, ["a", "b"])
        await store.watch("race")
        await store.tick()
        assert not [call for call in store.asked if call[0] == "HMGET"]
        store.profiles, store.profile_changes = {"a": "Ann"}, 1
        store.boards["all"] = (8, ["a", "b"])
        await store.tick()
        store.boards["all"] = (9, ["b", "a", "c"])
        await store.tick()
        assert [call[2:] for call in store.asked if call[0] == "HMGET"] == [("a", "b"), ("c",)]

    within(act)
