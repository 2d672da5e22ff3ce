"""Rank events of one webhook: what waits is what the board says now."""

import asyncio
import json
from typing import Any, cast

import pytest

from app.model.errors import Recovering
from app.model.webhook import RANK_TYPES, WatchedTop, WebhookSettings
from app.store.boards import BoardPage, BoardRow
from app.webhooks import rank_stream, watched_namespaces
from app.webhooks.rank_stream import RankServices, RankStream
from app.webhooks.stream import Head
from app.webhooks.watched_namespaces import WatchedNamespaces

NUMBERS = {"ann": 1, "bob": 2, "cleo": 3}
DAY_MICROS = 86_400_000_000


class Stores:
    """Postgres and the boards. users: of the board's top, the best first; hidden: by number; is_away: of Redis."""

    def __init__(self) -> None:
        self.users: list[str] = []
        self.hidden: set[int] = set()
        self.unknown: set[str] = set()
        self.is_away = False
        self.namespace_id = 7
        self.epoch = 1
        self.version = 0
        self.reads = 0
        self.ends = {0: (1, 0)}
        self.now = 0
        self.states: list[dict[str, Any]] = []

    async def fetch(self, query: str, *args: Any) -> list[dict[str, Any]]:
        match query:
            case "get_watched_namespaces":
                return [{"id": self.namespace_id, "name": "race", "partition": 0, "version": 1, "rules": "{}"}]
            case "get_user_numbers":
                return [{"name": name, "number": NUMBERS[name]} for name in args[0] if name not in self.unknown]
            case "get_webhook_user":
                names = {number: name for name, number in NUMBERS.items()}
                return [{"name": names[args[0]], "is_hidden": args[0] in self.hidden}]
        return []

    async def read(self, *_: Any) -> BoardPage:
        self.reads += 1
        if self.is_away:
            raise Recovering("not served")
        rows = [BoardRow(i + 1, user, 100 - i, i) for i, user in enumerate(self.users)]
        return BoardPage(self.epoch, 5, self.version, len(rows), rows)

    def show(self, *users: str) -> None:
        self.users, self.version = list(users), self.version + 1
        self.ends[0] = self.epoch, self.version


@pytest.fixture
def stores(monkeypatch: pytest.MonkeyPatch) -> Stores:
    monkeypatch.setattr(rank_stream, "LOOK_BOARD_S", 0)
    return Stores()


def stream_of(
    stores: Stores, window: str = "all", types: tuple[Any, ...] = RANK_TYPES, top: str | None = None
) -> RankStream:
    settings = WebhookSettings(url="", namespaces="race", types=types, board=WatchedTop(window))
    fetch: Any = stores.fetch
    services = RankServices(lambda: cast(Any, stores), WatchedNamespaces(fetch), stores.ends, lambda: stores.now)
    return RankStream(fetch, 9, settings, services, top)


async def settle_all(stream: RankStream, stores: Stores) -> list[tuple[str, int]]:
    """Takes all that waits."""
    seen = []
    while (head := await stream.head()) is not None:
        seen.append((head.type, head.place["user"]))
        stores.states.append(json.loads(stream.state_behind(head, is_dropped=False).top or "null"))
        stream.pass_head(head, is_dropped=False)
    return seen


def test_what_was_taken_is_kept_by_numbers_of_users(stores: Stores) -> None:
    async def run() -> None:
        stream = stream_of(stores)
        stores.show("ann", "bob")
        assert await settle_all(stream, stores) == [("entered", 1), ("entered", 2)]
        stores.show("bob", "ann")
        assert await settle_all(stream, stores) == [("rank_changed", 2), ("rank_changed", 1)]
        assert stores.states[-1]["ranks"] == {"1": 2, "2": 1}

    asyncio.run(run())


@pytest.mark.parametrize("is_restarted", [False, True])
@pytest.mark.parametrize("epoch", [1, 2], ids=["older", "newer"])
def test_a_namespace_made_anew_is_told_under_higher_versions(
    stores: Stores, monkeypatch: pytest.MonkeyPatch, epoch: int, *, is_restarted: bool
) -> None:
    """Its board is empty at version 0, perhaps in another partition: who keeps the highest has it right."""
    monkeypatch.setattr(watched_namespaces, "RULES_S", 0)
    highest: dict[int, tuple[tuple[int, int], str]] = {}
    ids = set()

    async def run() -> None:
        stores.epoch = 2
        stores.version = 40
        stores.show("ann", "bob")
        stream = stream_of(stores)

        async def take_all() -> None:
            while (head := await stream.head()) is not None:
                version = head.place["epoch"], head.place["version"]
                before, _ = highest.get(head.place["user"], ((0, 0), ""))
                assert version > before
                assert head.message_id not in ids
                ids.add(head.message_id)
                highest[head.place["user"]] = version, head.type
                stores.states.append(json.loads(stream.state_behind(head, is_dropped=False).top or ""))
                stream.pass_head(head, is_dropped=False)

        await take_all()
        for _ in range(2):
            stores.namespace_id, stores.epoch, stores.version = stores.namespace_id + 1, epoch, -1
            stores.show()
            if is_restarted:
                stream = stream_of(stores, top=json.dumps(stores.states[-1]))
            await take_all()
            assert {kind for _, kind in highest.values()} == {"left"}
            stores.version = 40
            stores.show("bob", "ann")
            await take_all()
            assert {kind for _, kind in highest.values()} == {"entered"}
            stores.version = 60
            stores.show("ann", "bob")
            await take_all()
            assert {kind for _, kind in highest.values()} == {"rank_changed"}
        stores.epoch, stores.version = 3, 0
        stores.show("bob", "ann")
        await take_all()
        assert (stores.states[-1]["epoch"], stores.states[-1]["version"]) == (3, 1), (
            "the board's own, once it is higher"
        )

    asyncio.run(run())


def test_a_message_that_failed_keeps_its_id_behind_a_start(stores: Stores) -> None:
    async def run() -> None:
        stream = stream_of(stores)
        stores.show("ann", "bob")
        head = await stream.head()
        assert head is not None
        top = stream.state_behind(head, is_dropped=False).top
        stream.pass_head(head, is_dropped=False)
        second, again = await stream.head(), await stream_of(stores, top=top).head()
        assert second is not None
        assert again is not None
        assert (second.message_id, second.place["user"]) == (again.message_id, 2)

    asyncio.run(run())


def test_a_board_that_is_not_served_has_no_changes(stores: Stores) -> None:
    """A Redis that lost everything would else have everybody leave."""

    async def run() -> None:
        stream = stream_of(stores)
        stores.show("ann")
        await settle_all(stream, stores)
        stores.is_away = True
        assert await stream.head() is None
        stores.is_away = False
        assert await stream.head() is None

    asyncio.run(run())


def test_a_board_is_read_again_only_where_the_ledger_has_news(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> None:
        stream = stream_of(stores)
        stores.show("ann")
        await settle_all(stream, stores)
        reads = stores.reads
        for _ in range(5):
            assert await stream.head() is None
        assert stores.reads == reads
        # What moved the board without an entry is seen after a while, too.
        stores.users, stores.version = ["bob"], stores.version + 1
        monkeypatch.setattr(rank_stream, "LOOK_IDLE_BOARD_S", 0)
        assert await settle_all(stream, stores) == [("left", 1), ("entered", 2)]

    asyncio.run(run())


def test_users_whom_postgres_does_not_know_yet_are_waited_for(stores: Stores) -> None:
    async def run() -> None:
        stream = stream_of(stores)
        stores.show("ann", "bob")
        stores.unknown = {"bob"}
        assert await stream.head() is None
        stores.unknown = set()
        assert await settle_all(stream, stores) == [("entered", 1), ("entered", 2)]

    asyncio.run(run())


def test_what_is_still_true_keeps_its_id_and_what_is_not_goes(stores: Stores) -> None:
    async def run() -> None:
        stream = stream_of(stores)
        stores.show("ann")
        first = await stream.head()
        stores.show("ann", "bob")
        assert first is not None
        assert await stream.head() == first
        stores.show("bob", "ann")
        changed = await stream.head()
        assert changed is not None
        assert (changed.place["user"], changed.place["version"]) == (2, 3)
        assert changed.message_id != first.message_id

    asyncio.run(run())


def test_a_new_window_begins_with_nobody(stores: Stores) -> None:
    async def run() -> None:
        stream = stream_of(stores, "day")
        stores.show("ann", "bob")
        await settle_all(stream, stores)
        stores.now += DAY_MICROS
        stores.show("bob")
        head = await stream.head()
        assert isinstance(head, Head)
        assert (head.type, head.place["window"], head.place["previous_rank"]) == ("entered", "1970-01-02", None)
        assert await settle_all(stream, stores) == [("entered", 2)]

    asyncio.run(run())


def test_types_that_are_not_asked_for_are_not_told(stores: Stores) -> None:
    async def run() -> None:
        stream = stream_of(stores, types=("entered",))
        stores.show("ann")
        await settle_all(stream, stores)
        stores.show("bob", "ann")
        assert await settle_all(stream, stores) == [("entered", 2)]
        stores.show("bob")
        assert await settle_all(stream, stores) == []
        stores.show("bob", "ann")
        assert await settle_all(stream, stores) == [("entered", 1)]

    asyncio.run(run())


def test_nothing_goes_out_of_a_hidden_user(stores: Stores) -> None:
    async def run() -> None:
        stream = stream_of(stores)
        stores.show("ann")
        head = await stream.head()
        assert head is not None
        message = await stream.render(head)
        assert message is not None
        assert json.loads(message.body)["data"]["user_id"] == "ann"
        stores.hidden = {1}
        assert await stream.render(head) is None
        stream.pass_head(head, is_dropped=True)
        stores.show("bob")
        assert await settle_all(stream, stores) == [("entered", 2)], "who was not told of does not leave"

    asyncio.run(run())


def test_a_user_who_hides_has_left(stores: Stores) -> None:
    """Whoever shows the top takes them off."""

    async def run() -> None:
        stream = stream_of(stores)
        stores.show("ann")
        await settle_all(stream, stores)
        stores.hidden = {1}
        stores.show()
        head = await stream.head()
        assert head is not None
        message = await stream.render(head)
        assert message is not None
        assert (message.type, json.loads(message.body)["data"]["user_id"]) == ("left", "ann")

    asyncio.run(run())
