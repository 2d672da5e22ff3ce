import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest

from app.model.board_ref import BoardRef
from app.model.errors import Invalid, Overloaded
from app.model.namespace import Namespace, Rules
from app.model.views import Page
from app.model.windows import ALL
from app.read import historical_boards as past_boards
from app.read.historical_boards import AT_ONCE_MAX, HistoricalBoards


class Slow:
    """A ledger that answers when it is let go, and a Redis that holds nothing."""

    def __init__(self) -> None:
        self.go = asyncio.Event()

    async def fetch(self, query: str, *args: Any) -> list[Any]:
        await self.go.wait()
        return [{"grants": 0, "grants_within": 0, "board_size": 0, "position": None, "last_seq": None}]

    async def fetch_one(self, query: str, *args: Any) -> None:
        return None

    async def call(self, call: Any) -> None:
        return None


def test_no_more_than_a_few_ask_about_the_past_at_once() -> None:
    async def run() -> None:
        slow = Slow()
        past = HistoricalBoards(slow, slow)  # type: ignore[arg-type]
        board = BoardRef(Namespace(1, "race", 0, 1, Rules()), ALL)
        ask = (board, Page(0, 2), datetime.now(UTC), "competition")
        requests = [asyncio.create_task(past.read(*ask)) for _ in range(AT_ONCE_MAX)]
        await asyncio.sleep(0)
        with pytest.raises(Overloaded):
            await past.read(*ask)
        slow.go.set()
        await asyncio.gather(*requests)
        assert (await past.read(*ask)).board_size == 0

    asyncio.run(run())


class Ledger:
    """A ledger of one board: how many grants it and its namespace have, and the users on it, all of one score."""

    def __init__(self, within: int, grants: int, users: int) -> None:
        self.size = {"grants": grants, "grants_within": within}
        self.users = users
        self.rows = 1  # of each user
        self.replayed: list[int] = []
        self.steps = 0

    async def fetch(self, query: str, *args: Any) -> list[Any]:
        if query == "count_live_grants":
            return [self.size]
        if query == "count_user_rows":
            return [{"number": number, "rows": min(self.rows, args[2])} for number in args[1]]
        if query == "get_score_events":
            self.replayed += args[1]
            self.steps += 1
            return []
        head = {"board_size": self.users, "last_seq": 9, "score": 5, "competition": 1, "dense": 1}
        return [head | {"name": f"u{i}", "number": i, "position": i + 1} for i in range(self.users)]

    async def fetch_one(self, query: str, *args: Any) -> None:
        return None

    async def call(self, call: Any) -> None:
        return None


def ask(ledger: Ledger, rules: Rules | None = None) -> Any:
    """A page of two of the board as it was."""
    past = HistoricalBoards(ledger, ledger)  # type: ignore[arg-type]
    space = Namespace(1, "race", 0, 1, rules or Rules())
    return asyncio.run(past.read(BoardRef(space, ALL), Page(0, 2), datetime.now(UTC), "competition"))


def test_a_board_of_too_many_grants_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of the namespace's other windows count a tenth: they are looked at, and no more."""
    monkeypatch.setattr(past_boards, "GRANTS_MAX", 10)
    for within, grants, is_taken in ((10, 9, True), (11, 0, False), (9, 19, True), (9, 20, False), (0, 119, False)):
        if is_taken:
            assert ask(Ledger(within, grants, 2)).board_size == 2
        else:
            with pytest.raises(Invalid) as refused:
                ask(Ledger(within, grants, 2))
            assert refused.value.field == "{window}"
            assert refused.value.detail == (
                f"a board of the past is made of 10 grants at most; all has {within} of {grants} in its namespace"
            )


def test_a_page_of_too_many_equals_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who came first is replayed out of their entries, for so many and no more; where nobody asks it, for nobody."""
    monkeypatch.setattr(past_boards, "TIES_MAX", 3)
    line = Rules(tie_break="earliest")
    few = Ledger(1, 1, 3)
    assert len(ask(few, line).rows) == 2
    assert few.replayed == [0, 1, 2]
    many = Ledger(1, 1, 4)
    with pytest.raises(Invalid) as refused:
        ask(many, line)
    assert refused.value.field == "?as_of"
    assert refused.value.detail == (
        "4 users share the scores of these entries, and who came first is found for at most 3: ask for fewer entries"
    )
    assert many.replayed == []
    assert ask(many).board_size == 4


def test_the_order_of_users_with_very_many_entries_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """One who has many elsewhere keeps nobody waiting: what is replayed is all that they ever got."""
    monkeypatch.setattr(past_boards, "EVENTS_MAX", 60)
    monkeypatch.setattr(past_boards, "EVENTS_A_STEP_MAX", 25)
    line = Rules(tie_break="earliest")
    ledger = Ledger(1, 1, 6)
    ledger.rows = 10
    assert len(ask(ledger, line).rows) == 2
    assert (ledger.replayed, ledger.steps) == ([0, 1, 2, 3, 4, 5], 3)
    ledger = Ledger(1, 1, 2)
    ledger.rows = 31
    with pytest.raises(Invalid) as refused:
        ask(ledger, line)
    assert (refused.value.field, ledger.replayed) == ("?as_of", [])
    assert refused.value.detail == (
        "the 2 users who share the scores of these entries have too many grants: who came first is found from at most "
        "60 grants and corrections of theirs; ask for fewer entries"
    )
