"""Live boards of a category, on a store of its own making."""

import pytest

from app.live.protocol import Subscribe, decode
from app.model.errors import Problem
from app.model.views import Around, Top
from app.store.boards import READ_BOARD, READ_BOARD_VERSIONS
from tests.support.hub_store import DAY, Store, taken, within


def test_boards_of_one_window_change_each_by_itself() -> None:
    async def act(store: Store) -> None:
        store.space("cups", visibility="public", category_boards=True)
        store.boards = {"all": (3, ["a", "b"]), "all:red": (2, ["b"]), "all:blue": (1, ["a"])}
        plain = await store.watch("cups")
        red, blue = [await store.watch("cups", category=category) for category in ("red", "blue")]
        near = await store.watch("cups", category="red", view=Around("b", 1))
        await store.tick()
        frames = [taken(one) for one in (plain, red, blue, near)]
        assert [(frame["version"], frame["window"], len(frame["entries"])) for frame in frames] == [
            (3, "all", 2),
            (2, "all", 1),
            (1, "all", 1),
            (2, "all", 1),
        ]
        store.boards["all:red"] = (4, ["b", "c"])
        store.calls.clear()
        await store.tick()
        assert [frame and (frame["from"], frame["version"]) for frame in map(taken, (plain, red, blue, near))] == [
            None,
            (2, 4),
            None,
            (2, 4),
        ]
        assert {call[8] for call in store.calls if call[1] == READ_BOARD.sha} == {"all:red"}

    within(act)


def test_a_category_that_reads_like_a_window_is_a_category() -> None:
    async def act(store: Store) -> None:
        store.space("cups", visibility="public", category_boards=True)
        store.boards = {"1970-01-02": (3, ["a"]), "all:1970-01-02": (2, ["b"]), "1970-01-02:day": (1, ["c"])}
        watched = [
            await store.watch("cups", "1970-01-02"),
            await store.watch("cups", category="1970-01-02"),
            await store.watch("cups", "day", category="day"),
        ]
        await store.tick()
        frames = [taken(one) for one in watched]
        assert [frame["entries"][0].user_id for frame in frames] == ["a", "b", "c"]
        assert [frame["window"] for frame in frames] == ["1970-01-02", "all", "1970-01-02"]

    within(act)


def test_the_board_of_a_category_moves_to_the_next_window() -> None:
    async def act(store: Store) -> None:
        store.space("cups", visibility="public", category_boards=True)
        store.boards = {"1970-01-02:red": (2, ["a"]), "1970-01-03:red": (5, ["b"])}
        watching = await store.watch("cups", "day", category="red")
        await store.tick()
        assert taken(watching)["window"] == "1970-01-02"
        store.now += DAY
        await store.tick()
        frame = taken(watching)
        assert (frame["type"], frame["window"], frame["version"]) == ("snapshot", "1970-01-03", 5)

    within(act)


def test_where_no_boards_of_categories_are_kept_a_category_is_refused_as_by_a_read() -> None:
    async def act(store: Store) -> None:
        with pytest.raises(Problem) as problem:
            await store.watch("race", category="red")
        assert (problem.value.code, problem.value.field) == ("invalid", "$.category")
        assert not store.hub._boards

    within(act)


def test_boards_of_categories_that_are_kept_no_more_end_and_the_others_go_on() -> None:
    async def act(store: Store) -> None:
        store.space("cups", visibility="public", category_boards=True)
        plain, red = await store.watch("cups"), await store.watch("cups", category="red")
        await store.tick()
        assert (taken(plain)["type"], taken(red)["type"]) == ("snapshot", "snapshot")
        store.change("cups", category_boards=False)
        store.changes = 2
        await store.tick()
        assert (taken(plain), taken(red)) == (None, "invalid")

    within(act)


def test_the_last_watcher_of_a_category_takes_its_board_along() -> None:
    async def act(store: Store) -> None:
        store.space("cups", visibility="public", category_boards=True)
        plain, red = await store.watch("cups"), await store.watch("cups", category="red")
        store.hub.unsubscribe(red)
        await store.tick()
        [names] = [call[-1:] for call in store.calls if call[1] == READ_BOARD_VERSIONS.sha]
        assert names == ("all",)
        assert taken(plain)["type"] == "snapshot"

    within(act)


def test_a_subscription_names_its_category() -> None:
    message = decode('{"type":"subscribe","id":1,"namespace":"cups","category":"red","view":{"kind":"top","limit":3}}')
    assert message == Subscribe(id=1, namespace="cups", category="red", view=Top(3))
