"""The hub on a store of its own making: what is asked, when, and what becomes of what cannot be known."""

import asyncio
from typing import Any

import pytest

from app.live.hub import FIND_S_MAX
from app.live.subscriber import Viewer
from app.live.watched_boards import VIEWS_MAX
from app.model.errors import Overloaded, Problem
from app.model.namespace import Namespace, Rules
from app.model.views import Around, Top
from app.store import keys
from app.store.boards import READ_BOARD, READ_BOARD_VERSIONS
from tests.support.hub_store import DAY, TOKEN, Store, taken, within
from tests.support.virtual_time import VirtualTime

HOUR = 3_600_000_000


def test_a_full_slot_takes_the_newest_state_as_a_snapshot() -> None:
    async def act(store: Store) -> None:
        quick, slow = await store.watch("race"), await store.watch("race")
        for version in (0, 1, 2):
            store.boards["all"] = (version, ["a"] * min(version, 1))
            await store.tick()
            frame = taken(quick)
            assert frame["type"] == ("delta" if version else "snapshot")
        late = taken(slow)
        assert (late["type"], late["version"]) == ("snapshot", 2)
        store.boards["all"] = (3, ["a"])
        await store.tick()
        assert [taken(one)["from"] for one in (quick, slow)] == [2, 2]

    within(act)


def test_a_version_that_fell_back_is_shown_by_a_snapshot() -> None:
    async def act(store: Store) -> None:
        store.boards["all"] = (5, ["a", "b"])
        watching = await store.watch("race")
        await store.tick()
        taken(watching)
        store.boards["all"] = (4, ["a"])
        await store.tick()
        frame = taken(watching)
        assert (frame["type"], frame["version"]) == ("snapshot", 4)

    within(act)


def test_every_top_of_a_board_is_cut_out_of_one_read() -> None:
    async def act(store: Store) -> None:
        store.boards["all"] = (1, ["a", "b", "c"])
        tops = [await store.watch("race", view=Top(limit)) for limit in (1, 3, 2)]
        around = await store.watch("race", view=Around("b", 1))
        await store.tick()
        assert store.reads() == [("page", 0, 3), ("around", "b", 1)]
        assert [len(taken(one)["entries"]) for one in (*tops, around)] == [1, 3, 2, 3]
        await store.tick()
        assert store.reads() == []

    within(act)


def test_who_comes_while_a_board_is_read_is_served_by_a_later_read() -> None:
    async def act(store: Store) -> None:
        first = await store.watch("race")
        ticking = asyncio.ensure_future(store.tick())
        while not any(call[1] == READ_BOARD.sha for call in store.calls):
            await asyncio.sleep(0)
        second = await store.watch("race")
        await ticking
        assert (taken(first)["type"], taken(second)) == ("snapshot", None)
        await store.tick()
        assert (taken(first), taken(second)["type"]) == (None, "snapshot")

    within(act)


@pytest.mark.parametrize(
    ("period", "first", "later", "next_one"),
    [
        ("year", "1970", 365 * DAY, "1971"),
        ("quarter", "1970-Q1", 90 * DAY, "1970-Q2"),
        ("month", "1970-01", 31 * DAY, "1970-02"),
        ("week", "W1969-12-28", 3 * DAY, "W1970-01-04"),
        ("day", "1970-01-01", DAY, "1970-01-02"),
        ("hour", "1970-01-02T00", HOUR, "1970-01-02T01"),
    ],
)
def test_a_running_window_moves_on_by_a_snapshot(period: str, first: str, later: int, next_one: str) -> None:
    async def act(store: Store) -> None:
        periods = ("all", "year", "quarter", "month", "week", "day", "hour")
        store.space("late", visibility="public", periods=periods, day_starts="04:00", week_starts="sunday")
        watching = await store.watch("late", period)
        await store.tick()
        assert taken(watching)["window"] == first
        store.now += later
        await store.tick()
        frame = taken(watching)
        assert (frame["type"], frame["window"]) == ("snapshot", next_one)

    within(act)


def test_a_client_that_holds_the_state_is_up_to_date() -> None:
    async def act(store: Store) -> None:
        store.boards["all"] = (7, ["a"])
        current, older = await store.watch("race", resume=(1, 7)), await store.watch("race", resume=(1, 6))
        await store.tick()
        assert taken(current) == {"type": "uptodate", "window": "all", "version": 7}
        assert taken(older)["type"] == "snapshot"

    within(act)


def test_a_change_of_rules_is_sent_to_watchers() -> None:
    """Ranks go by other rules at the same version of the board."""

    async def act(store: Store) -> None:
        store.boards["all"] = (7, ["a", "b"])
        watching = await store.watch("race")
        await store.tick()
        first = taken(watching)
        assert [entry.rank for entry in first["entries"]] == [1, 2]
        store.shift, store.changes = 5, 2
        store.change("race", ranking="ordinal")
        await store.tick()
        await store.tick()
        frame = taken(watching)
        assert (frame["type"], frame["from"], frame["version"]) == ("delta", 7, 7)
        assert [entry.rank for entry in frame["upsert"]] == [6, 7]

    within(act)


@pytest.mark.parametrize(
    ("from_seq", "expected"), [(6, "uptodate"), (7, "snapshot"), (8, "snapshot"), (None, "snapshot")]
)
def test_a_state_that_other_rules_may_have_made_is_not_up_to_date(from_seq: int | None, expected: str) -> None:
    """On a server that never saw those: it has nothing but the place in the log from which its rules hold."""

    async def act(store: Store) -> None:
        store.boards["all"] = (7, ["a"])
        store.change("race", from_seq=from_seq)
        watching = await store.watch("race", resume=(1, 7))
        await store.tick()
        assert taken(watching)["type"] == expected

    within(act)


def test_a_resume_of_yesterdays_board_gets_todays() -> None:
    async def act(store: Store) -> None:
        store.boards = {"1970-01-02": (7, ["a"]), "1970-01-03": (7, ["b"])}
        store.now += DAY
        resumes = [(1, 7, "1970-01-02"), (1, 7), (1, 7, "1970-01-03")]
        items = [await store.watch("race", "day", resume=resume) for resume in resumes]
        fixed = await store.watch("race", "1970-01-02", resume=(1, 7))
        await store.tick()
        frames = [taken(one) for one in (*items, fixed)]
        assert [frame["type"] for frame in frames] == ["snapshot", "snapshot", "uptodate", "uptodate"]
        assert [frame["window"] for frame in frames] == ["1970-01-03"] * 3 + ["1970-01-02"]

    within(act)


def test_a_clock_that_jumps_ahead_and_back_takes_watchers_back() -> None:
    async def act(store: Store) -> None:
        store.boards = {"1970-01-02": (7, ["a"]), "2010-01-02": (0, [])}
        watching = await store.watch("race", "day")
        windows = []
        for now in (DAY, 14611 * DAY, DAY):
            store.now = now
            await store.tick()
            frame = taken(watching)
            windows.append((frame["type"], frame["window"]))
        newcomer = await store.watch("race", "day")
        await store.tick()
        assert windows == [("snapshot", "1970-01-02"), ("snapshot", "2010-01-02"), ("snapshot", "1970-01-02")]
        assert taken(newcomer)["window"] == "1970-01-02"

    within(act)


def test_a_failed_check_ends_nothing_and_is_repeated() -> None:
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


def test_newcomers_get_an_error_while_a_store_is_away_and_the_others_keep_their_state() -> None:
    async def act(store: Store) -> None:
        old = await store.watch("race")
        await store.tick()
        taken(old)
        new = await store.watch("race")
        for lost in (READ_BOARD_VERSIONS.sha, READ_BOARD.sha):
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
            "app.live.watched_board.from_micros", lambda micros: (_ for _ in ()).throw(AssertionError("a defect"))
        )
        await store.tick()
        assert (taken(broken), taken(well)["type"]) == ("internal", "snapshot")

    within(act)


def test_a_frame_that_cannot_be_sent_ends_its_own_subscription() -> None:
    class Outlet:
        """Of clients to whom nothing of one board can be encoded."""

        def deliver(self, subscriber: Any) -> None:
            if subscriber is bad and subscriber.fault is None:
                raise OverflowError("too large an integer")

        def revoke(self) -> None: ...

    bad: Any = None

    async def act(store: Store) -> None:
        nonlocal bad
        store.space("other", visibility="public")
        bad, good = await store.watch("race"), await store.watch("other")
        bad.viewer.outlet = good.viewer.outlet = Outlet()
        store.boards["all"] = (1, ["a"])
        await store.tick()
        assert (taken(bad), taken(good)["type"]) == ("internal", "snapshot")

    within(act)


def test_views_are_bounded_and_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.live.watched_boards.VIEWS_MAX", 2)
    assert VIEWS_MAX == 10_000

    async def act(store: Store) -> None:
        first, _ = await store.watch("race", view=Top(1)), await store.watch("race", view=Top(2))
        again = await store.watch("race", view=Top(1))
        with pytest.raises(Overloaded):
            await store.watch("race", view=Top(3))
        for one in (first, again):
            store.hub.unsubscribe(one)
        await store.watch("race", view=Top(3))

    within(act)


def test_a_subscription_whose_turn_does_not_come_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """The look-up of the one before it hangs: both are refused, and their turns are others'.

    By a clock that stands still while tasks run: both begin at one moment, so their times are over at one moment.
    """
    monkeypatch.setattr("app.live.hub.CALLS_MAX", 1)
    time = VirtualTime(monkeypatch)

    async def act(store: Store) -> None:
        calls, find = [], store.namespace_cache.namespace

        async def hang(name: str) -> Namespace:
            calls.append(name)
            await asyncio.Event().wait()
            raise AssertionError

        store.namespace_cache.namespace = hang  # type: ignore[method-assign]
        results = await asyncio.gather(store.watch("race"), store.watch("race"), return_exceptions=True)
        assert [type(problem) for problem in results] == [Overloaded, Overloaded]
        assert time.passed_s == pytest.approx(FIND_S_MAX)
        assert calls == ["race"], "the second one waited for its turn"
        store.namespace_cache.namespace = find  # type: ignore[method-assign]
        watching = await store.watch("race")
        await store.tick()
        assert taken(watching)["type"] == "snapshot"

    within(act, time.run)


def test_a_change_while_a_board_is_read_is_heeded_before_it_is_shown() -> None:
    async def act(store: Store) -> None:
        watching = await store.watch("race")
        await store.tick()
        taken(watching)
        store.boards["all"] = (1, ["a"])
        ticking = asyncio.ensure_future(store.tick())
        while not any(call[1] == READ_BOARD_VERSIONS.sha for call in store.calls[-1:]):
            await asyncio.sleep(0)
        store.spaces["race"] = Namespace(1, "race", 0, 2, Rules())
        store.changes = 2
        await ticking
        assert taken(watching) == "unauthorized"

    within(act)


def test_a_problem_is_what_subscribing_raises() -> None:
    async def act(store: Store) -> None:
        store.space("closed")
        for name, ask, code in (
            ("nowhere", "all", "unauthorized"),
            ("race", "fortnight", "board_not_found"),
            ("closed", "all", "unauthorized"),
        ):
            with pytest.raises(Problem) as problem:
                await store.watch(name, ask)
            assert problem.value.code == code

    within(act)
