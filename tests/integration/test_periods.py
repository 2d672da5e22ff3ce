"""Years, quarters and hours; weeks that begin on any day; days that begin at any time: everywhere days are used."""

from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import httpx
import pytest

from app.model.local_days import LocalDays
from tests.support.checked_deployment import verify
from tests.support.sealed_namespace import Space as SealedSpace
from tests.support.waits import until

EVERY = ["all", "year", "quarter", "month", "week", "day", "hour"]
NIGHTS = {"week_starts": "sunday", "day_starts": "04:00", "timezone": "Europe/Berlin"}
_numbers = count()


class Space:
    """A fresh namespace with every period, whose days begin at four in Berlin."""

    def __init__(self, api: httpx.Client, **rules: Any) -> None:
        self.api, self.name = api, f"periods-{next(_numbers)}"
        self.url = f"/v1/namespaces/{self.name}"
        body = {"periods": EVERY, "accept_past": None, **NIGHTS, **rules}
        assert api.put(self.url, json=body).status_code == 201
        self._grants = count()

    def grant(self, at: str, user: str = "ann", amount: int = 1, **fields: Any) -> str:
        grant_id = f"g{next(self._grants)}"
        body = {"grant_id": grant_id, "user_id": user, "amount": amount, "granted_at": at, **fields}
        answer = self.api.post(f"{self.url}/grants", json=body)
        assert answer.status_code == 201, answer.text
        return grant_id

    def board(self, window: str, **query: str) -> dict[str, Any]:
        answer = self.api.get(f"{self.url}/boards/{window}", params=query)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def scores(self, window: str, **query: str) -> dict[str, int]:
        return {entry["user_id"]: entry["score"] for entry in self.board(window, **query)["entries"]}


@pytest.fixture
def space(api: httpx.Client) -> Space:
    return Space(api)


def test_a_grant_stands_on_a_board_of_each_period(space: Space) -> None:
    space.grant("2021-01-03T02:59:59Z")  # 3:59:59 on a Sunday in Berlin: still Saturday, still the week before
    space.grant("2021-01-03T03:00:00Z", amount=10)
    assert space.scores("all") == {"ann": 11}
    results = {
        window: space.scores(window)
        for window in ("2021", "2021-Q1", "2021-01", "W2020-12-27", "W2021-01-03", "2021-01-02", "2021-01-03")
    }
    assert results == {
        **{window: {"ann": 11} for window in ("2021", "2021-Q1", "2021-01")},
        **{window: {"ann": 1} for window in ("W2020-12-27", "2021-01-02")},
        **{window: {"ann": 10} for window in ("W2021-01-03", "2021-01-03")},
    }
    assert (space.scores("2021-01-03T03"), space.scores("2021-01-03T04")) == ({"ann": 1}, {"ann": 10})


def test_a_year_begins_with_its_first_day(space: Space) -> None:
    space.grant("2026-01-01T02:00:00Z")
    assert (space.scores("2025"), space.scores("2025-Q4"), space.scores("2026")) == ({"ann": 1}, {"ann": 1}, {})
    year = space.board("2025")
    assert (year["starts"], year["ends"]) == ("2025-01-01T03:00:00Z", "2026-01-01T03:00:00Z")


@pytest.mark.parametrize(
    ("window", "starts", "ends"),
    [
        ("2025-03-29", "2025-03-29T03:00:00Z", "2025-03-30T02:00:00Z"),  # 23 hours
        ("2025-10-25", "2025-10-25T02:00:00Z", "2025-10-26T03:00:00Z"),  # 25 hours
        ("2025-10-26T02", "2025-10-26T00:00:00Z", "2025-10-26T02:00:00Z"),  # shown twice
        ("2025-03-30T02", "2025-03-30T01:00:00Z", "2025-03-30T01:00:00Z"),  # left out
        ("W2025-10-19", "2025-10-19T02:00:00Z", "2025-10-26T03:00:00Z"),
    ],
)
def test_windows_on_days_on_which_clocks_change(space: Space, window: str, starts: str, ends: str) -> None:
    board = space.board(window)
    assert (board["starts"], board["ends"]) == (starts, ends)


def test_grants_of_both_showings_of_an_hour_count_together(space: Space) -> None:
    space.grant("2025-10-26T00:30:00Z", amount=1)
    space.grant("2025-10-26T01:30:00Z", amount=2)
    assert space.scores("2025-10-26T02") == {"ann": 3}
    assert space.scores("2025-10-25") == {"ann": 3}


@pytest.mark.parametrize("window", ["2021-W01", "2021-01-03T24", "2021-Q5", "W2021-01-04"])
def test_a_window_that_is_none_is_no_board(space: Space, window: str) -> None:
    answer = space.api.get(f"{space.url}/boards/{window}")
    assert (answer.status_code, answer.json()["code"]) == (404, "board_not_found")


@pytest.mark.parametrize("period", EVERY[1:])
def test_the_current_window_goes_by_the_name_of_its_period(space: Space, period: str) -> None:
    now = datetime.now(UTC)
    answer = space.api.post(f"{space.url}/grants", json={"grant_id": "now", "user_id": "ann", "amount": 5})
    assert answer.status_code == 201
    board = space.board(period)
    if datetime.fromisoformat(board["starts"]) <= now:  # else the next window has begun in between
        assert [entry["score"] for entry in board["entries"]] == [5]
    assert space.board(board["window"])["window"] == board["window"]
    assert datetime.fromisoformat(board["ends"]) > now


@pytest.mark.parametrize(
    ("rules", "field"),
    [({"week_starts": "monday"}, "week_starts"), ({"day_starts": "05:00"}, "day_starts")],
)
def test_beginnings_stay_once_there_are_grants(space: Space, rules: dict[str, str], field: str) -> None:
    body = {"periods": EVERY, "accept_past": None, **NIGHTS}
    assert space.api.put(space.url, json=body | rules).status_code == 200
    assert space.api.put(space.url, json=body).status_code == 200
    space.grant("2021-01-03T02:59:59Z")
    answer = space.api.put(space.url, json=body | rules)
    assert (answer.status_code, answer.json()["code"], answer.json()["field"]) == (422, "rule_locked", f"$.{field}")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("day_starts", value) for value in ("4:00", "24:00", "04:60", "04:00:00", "", 4)),
        *(("week_starts", value) for value in ("Sunday", "sun", 0, None)),
        ("periods", ["all", "fortnight"]),
    ],
)
def test_beginnings_that_are_none(api: httpx.Client, field: str, value: Any) -> None:
    answer = api.put(f"/v1/namespaces/refused-{next(_numbers)}", json={field: value})
    assert answer.status_code == 422
    assert answer.json()["field"].startswith(f"$.{field}")


def test_windows_are_bounded_in_all(api: httpx.Client) -> None:
    moments = {"starts": "2026-01-01T00:00:00Z", "ends": "2026-02-01T00:00:00Z"}
    seasons = [{"name": f"s{i}", **moments} for i in range(98)]
    url = f"/v1/namespaces/many-{next(_numbers)}"
    answer = api.put(url, json={"periods": EVERY, "seasons": seasons})
    assert (answer.status_code, answer.json()["field"]) == (422, "$.seasons")
    assert answer.json()["detail"] == "at most 97 seasons beside 7 periods"
    assert api.put(url, json={"periods": EVERY, "seasons": seasons[:97]}).status_code == 201


def test_a_correction_moves_a_grant_between_windows(space: Space) -> None:
    grant_id = space.grant("2025-10-26T02:30:00Z", amount=7)  # 3:30, the day before
    answer = space.api.patch(f"{space.url}/grants/{grant_id}", json={"granted_at": "2025-10-26T03:00:00Z"})
    assert answer.status_code == 200
    assert (space.scores("2025-10-25"), space.scores("2025-10-26")) == ({}, {"ann": 7})
    assert (space.scores("2025-10-26T03"), space.scores("2025-10-26T04")) == ({}, {"ann": 7})
    assert (space.scores("W2025-10-19"), space.scores("W2025-10-26")) == ({}, {"ann": 7})
    assert space.api.delete(f"{space.url}/grants/{grant_id}").status_code == 200
    assert [space.scores(window) for window in ("2025", "2025-Q4", "2025-10-26T04")] == [{}, {}, {}]


def test_streaks_go_by_days_that_begin_later(api: httpx.Client) -> None:
    space = Space(api, streaks=True)
    space.grant("2025-10-25T01:00:00Z")  # 3:00 in Berlin: the 24th
    space.grant("2025-10-26T02:59:00Z")  # the 25th, an hour longer
    space.grant("2025-10-26T03:00:00Z")  # the 26th
    streak = api.get(f"{space.url}/users/ann").json()["streak"]
    assert (streak["best"], streak["last_day"]) == (3, "2025-10-26")
    # A user's own zone comes first; days begin at four there, too.
    traveller = f"traveller-{space.name}"
    assert api.put(f"/v1/users/{traveller}", json={"timezone": "Asia/Tokyo"}).status_code == 200
    space.grant("2025-10-25T18:59:00Z", user=traveller)  # 3:59 on the 26th in Tokyo
    space.grant("2025-10-25T19:00:00Z", user=traveller)
    streak = api.get(f"{space.url}/users/{traveller}").json()["streak"]
    assert (streak["best"], streak["last_day"]) == (2, "2025-10-26")


def test_todays_streak_is_that_of_the_day_under_way(api: httpx.Client) -> None:
    now = datetime.now(UTC)
    starts = (now + timedelta(hours=2)).strftime("%H:00")  # the day of the clock has not begun yet
    space = Space(api, streaks=True, day_starts=starts, timezone="UTC")
    hours, _ = map(int, starts.split(":"))
    today = LocalDays("UTC", timedelta(hours=hours)).day_at(int(now.timestamp() * 1e6))
    space.grant(now.isoformat())
    streak = api.get(f"{space.url}/users/ann").json()["streak"]
    assert streak == {"current": 1, "best": 1, "last_day": today.isoformat()}


def test_a_category_may_be_named_like_a_window(api: httpx.Client) -> None:
    space = Space(api, category_boards=True)
    names = ("2025-10-26", "2025-10-26T04", "2025", "W2025-10-26", "all", "day", "season:x", "2025-Q4")
    for amount, name in enumerate(names, 1):
        space.grant("2025-10-26T03:30:00Z", amount=amount, category=name)
    for amount, name in enumerate(names, 1):
        for window in ("all", "2025", "2025-Q4", "W2025-10-26", "2025-10-26", "2025-10-26T04"):
            assert space.scores(window, category=name) == {"ann": amount}, (window, name)
            assert space.scores(window) == {"ann": sum(range(1, len(names) + 1))}
    assert space.scores("2025-10-25", category="2025-10-26") == {}


def test_hours_quarters_and_years_are_sealed_and_read_in_their_archives(live_server: Any, api: httpx.Client) -> None:
    space = SealedSpace(live_server, api, f"sealed-{next(_numbers)}", periods=EVERY, category_boards=True, **NIGHTS)
    old = datetime(2021, 1, 3, 3, tzinfo=UTC)  # 4:00 in Berlin, a Sunday
    space.grant("ann", 3, old, category="2021-01-03")
    space.grant("bob", 5, old - timedelta(seconds=1))
    windows = ("2021", "2021-Q1", "2021-01", "W2021-01-03", "2021-01-03", "2021-01-03T04", "2021-01-03T03")
    before = {window: space.scores(window) for window in windows}
    space.seal(*windows, "W2020-12-27", "2021-01-02")
    assert {window: space.scores(window) for window in windows} == before
    assert before["2021-01-03T04"] == {"ann": 3}
    assert space.scores("2021-01-03T04", "category=2021-01-03") == {"ann": 3}
    answer = space.grant("ann", 4, old, "?backfill=true")
    assert answer.status_code == 201
    until(lambda: space.scores("2021-01-03T04") == {"ann": 7}, "the archive does not follow")
    assert space.scores("2021-01-03T03") == {"bob": 5}


def test_verify_counts_by_days_that_begin_later(own_stack: Any) -> None:
    with own_stack.client() as api:
        space = Space(api, streaks=True, category_boards=True)
        for i, moment in enumerate(("2025-03-30T00:59:00Z", "2025-10-26T02:59:00Z", "2025-10-26T03:00:00Z")):
            space.grant(moment, user=f"u{i}", amount=i + 1, category="red")
        until(lambda: api.get(f"{space.url}/trends", params={"bucket": "day"}).headers["Lag-Seq"] == "0", "not counted")
        trends = api.get(f"{space.url}/trends", params={"bucket": "day"}).json()
        assert [(bucket["at"], bucket["sum"]) for bucket in trends] == [
            ("2025-03-29T03:00:00Z", 1),
            ("2025-10-25T02:00:00Z", 2),
            ("2025-10-26T03:00:00Z", 3),
        ]
    assert verify(own_stack) == (0, [])
