"""Every question to one namespace over HTTP, by chance, each against its ledger worked out row by row."""

import json
import re
from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from random import Random
from typing import Any

import httpx
import pytest

from tests.support.board_oracle import Oracle
from tests.support.board_questions import RANKINGS, Asker, rows
from tests.support.ledger_book import WEEKDAYS, Book
from tests.support.moments import MICRO, some_moment
from tests.support.time_counts import between, bucket, trends

# How the window of each period is named; weeks that begin on another day than Monday: by their first day.
NAMES = {
    "all": "all",
    "year": r"\d{4}",
    "quarter": r"\d{4}-Q\d",
    "month": r"\d{4}-\d\d",
    "week": r"\d{4}-W\d\d",
    "day": r"\d{4}-\d\d-\d\d",
    "hour": r"\d{4}-\d\d-\d\dT\d\d",
}


class Reader:
    """Asks one namespace anything, and knows by its book what to hear."""

    def __init__(self, api: httpx.Client, url: str, book: Book, users: list[str], chance: Random) -> None:
        self.api, self.url, self.book, self.chance = api, url, book, chance
        self.users = [*users, "nobody"]
        self.local, self.one = book.local, 10 ** book.rules["scale"]
        self.questions = 0

    def ask(self) -> None:
        """Any question: most of them to a board."""
        others: list[Callable[[], None]] = [
            *(self.ranks, self.standing, self.activity, self.activity, self.activities, self.trends, self.as_of)
        ]
        if self.chance.random() < 0.5:
            asker = Asker(self.api, self.url, *self.board())
            asker.one()
            self.questions += asker.questions
        else:
            self.questions += 1
            self.chance.choice(others)()

    def body_of(self, answer: httpx.Response) -> Any:
        assert answer.status_code == 200, answer.text
        return json.loads(answer.text, parse_float=Decimal)

    @property
    def known(self) -> set[str]:
        """Who ever got a grant here."""
        return {self.book.users[state.grant.user] for state in self.book.states if state.grant}

    def board(self) -> tuple[str, Oracle, Random, str | None]:
        window = self.chance.choice(["all", *self.book.windows])
        category = self.chance.choice((None, "red")) if self.book.rules["category_boards"] else None
        return window, self.book.oracle(window, category), self.chance, category

    def keeps(self, window: str) -> bool:
        """Whether the namespace has such a board, be it empty."""
        if window.startswith("season:"):
            return bool(self.book.rules["seasons"])
        if window[0] == "W" and date.fromisoformat(window[1:]).weekday() != WEEKDAYS.index(
            self.book.rules["week_starts"]
        ):
            return False
        names = NAMES | ({} if self.book.rules["week_starts"] == "monday" else {"week": r"W\d{4}-\d\d-\d\d"})
        return any(re.fullmatch(names[period], window) for period in self.book.rules["periods"])

    def ranks(self) -> None:
        windows = self.chance.sample(self.book.windows, min(3, len(self.book.windows)))
        users, ranking = self.chance.sample(self.users, 5), self.chance.choice(RANKINGS)
        body = {"users": users, "windows": windows, "ranking": ranking}
        reply = self.body_of(self.api.post(f"{self.url}/ranks", json=body))
        for board, window in zip(reply["boards"], windows, strict=True):
            expected = [row for row in self.book.oracle(window).rows(ranking) if row[2] in users]
            assert (board["window"], rows(board["entries"])) == (window, expected), board
            assert board["missing"] == [user for user in users if user not in {row[2] for row in expected}], board

    def standing(self) -> None:
        user, board = self.chance.choice(self.users), self.book.oracle()
        answer = self.api.get(f"{self.url}/users/{user}")
        if user not in self.known:
            assert answer.status_code == 404, answer.text
            return
        reply = self.body_of(answer)
        live = [grant for grant in self.book.live if self.book.users[grant.user] == user]
        colours = {colour for colour in ("red", "blue") if any(grant.category == colour for grant in live)}
        scores = {colour: self.book.score(g for g in live if g.category == colour) or 0 for colour in colours}
        assert reply["score"] == board.number(self.book.score(live) or 0), reply
        assert reply["grants"] == len(live), reply
        assert reply["categories"] == {colour: board.number(units) for colour, units in scores.items()}, reply
        assert reply["last_granted_at"] == (_text(max(g.granted for g in live)) if live else None), reply
        units = dict(board.scores).get(user)
        if units is None:
            assert reply["ranks"]["all"] is None, reply
            return
        row = next(row for row in board.rows() if row[2] == user)
        better = [abs(other - units) for _, other in board.scores if board.is_better(other, units)]
        gap = board.number(min(better)) if better else None
        expected = {"rank": row[1], "score": row[3], "percentile": board.percentile_of(units), "gap_to_next": gap}
        share = len(better) / len(board.scores)
        expected["band"] = next((band["name"] for band in self.book.rules["bands"] if share < band["up_to"]), None)
        assert reply["ranks"]["all"] == expected, reply

    def stretch(self, by: str) -> tuple[datetime, datetime]:
        """Mostly at a grant's own time, one microsecond beside it, or on the edge of its hour or day."""

        def one() -> datetime:
            if not self.book.live:
                return some_moment(self.chance)
            at: datetime = getattr(self.chance.choice(self.book.live), by)
            edges = (at, at + MICRO, at - MICRO, *(bucket(self.local, hour, at) for hour in (True, False)))
            return self.chance.choice((*edges, some_moment(self.chance)))

        since, until = sorted((one(), one()))
        return since, until

    def sums(self, since: datetime, until: datetime, by: str, user: str | None) -> dict[str, Any]:
        """How many grants, and how much."""
        number = next((number for number, name in self.book.users.items() if name == user), None)
        count, units = between(self.book.live, since, until, by, number)
        return {"count": count, "sum": Decimal(units) / self.one}

    def activity(self) -> None:
        by, user = self.chance.choice(("granted", "recorded")), self.chance.choice((None, *self.users[:-1]))
        since, until = self.stretch(by)
        query = {"since": since.isoformat(), "until": until.isoformat(), "by": by}
        answer = self.api.get(f"{self.url}/{f'users/{user}/' if user else ''}activity", params=query)
        if user and user not in self.known:
            assert answer.status_code == 404, answer.text
            return
        reply, expected = self.body_of(answer), self.sums(since, until, by, user)
        assert {name: reply[name] for name in expected} == expected, (query, reply)

    def activities(self) -> None:
        by, users = self.chance.choice(("granted", "recorded")), self.chance.sample(self.users, 6)
        since, until = self.stretch(by)
        body = {"users": users, "since": since.isoformat(), "until": until.isoformat(), "by": by}
        reply = self.body_of(self.api.post(f"{self.url}/activity", json=body))
        known = [user for user in users if user in self.known]
        assert reply["users"] == [{"user_id": user} | self.sums(since, until, by, user) for user in known], (
            body,
            reply,
        )
        assert reply["missing"] == [user for user in users if user not in known], (body, reply)

    def trends(self) -> None:
        hour = self.chance.random() < 0.5
        since, until = self.stretch("granted")
        query = {"bucket": "hour" if hour else "day", "since": since.isoformat(), "until": until.isoformat()}
        reply = self.body_of(self.api.get(f"{self.url}/trends", params=query | {"limit": 1000}))
        expected = [
            (at, *one) for at, one in sorted(trends(self.book.live, self.local, hour).items()) if since <= at < until
        ]
        for row, (at, count, units, users) in zip(reply, expected, strict=True):
            counted = {"at": _text(at), "grants": count, "sum": Decimal(units) / self.one, "users": users}
            assert {name: row[name] for name in counted} == counted, (query, row)
            assert row["mean"] == _near(units, count * self.one), (query, row)
            behind = [one for begins, one in sorted(self.book.sums[hour].items()) if begins <= at]
            score, holders = behind[-1] if behind else (0, 0)
            assert row["board_mean"] == _near(score, holders * self.one), (query, row)

    def as_of(self) -> None:
        """The board as it was behind any of its entries."""
        if not self.book.states:
            return
        at, ranking = self.chance.choice(self.book.states).at, self.chance.choice(RANKINGS)
        window = self.chance.choice(self.book.windows)
        query = {"as_of": at.isoformat(), "limit": "100"} | ({"ranking": ranking} if ranking else {})
        reply = self.body_of(self.api.get(f"{self.url}/boards/{window}", params=query))
        assert rows(reply["entries"]) == self.book.oracle(window, None, at).rows(ranking), reply


def _near(units: int, count: int) -> Any:
    """A mean as a double has it; None of none."""
    return pytest.approx(Decimal(units) / count, rel=Decimal("1e-15")) if count else None


def _text(moment: datetime) -> str:
    """As an answer writes it."""
    return moment.isoformat().replace("+00:00", "Z")
