"""A namespace as the rows of its ledger tell it: every board worked out anew, grant by grant."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from functools import cache, cached_property
from typing import Any
from zoneinfo import ZoneInfo

import psycopg

from app.model.local_days import LocalDays
from tests.support.board_oracle import Oracle
from tests.support.time_counts import Live, boards, states

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
QUARTER = timedelta(minutes=15)


@cache
def names_at(local: LocalDays, week_starts: str, moment: datetime) -> dict[str, str]:
    """The window of each period, by what clocks have shown at most in the three hours before."""
    zone = ZoneInfo(local.zone)
    clock = max((moment - back * QUARTER).astimezone(zone).replace(tzinfo=None) for back in range(13))
    day = (clock - local.day_offset).date()
    year, week, _ = day.isocalendar()
    first = day - timedelta(days=(day.weekday() - WEEKDAYS.index(week_starts)) % 7)
    return {
        "all": "all",
        "year": f"{day:%Y}",
        "quarter": f"{day:%Y}-Q{(day.month + 2) // 3}",
        "month": f"{day:%Y-%m}",
        "week": f"{year:04}-W{week:02}" if week_starts == "monday" else f"W{first}",
        "day": f"{day:%Y-%m-%d}",
        "hour": f"{clock:%Y-%m-%dT%H}",
    }


class Book:
    """Everything that a namespace of these rules must say. SQL reads rows; nothing is added up there."""

    def __init__(self, db: psycopg.Connection[Any], name: str) -> None:
        row = db.execute("SELECT id, rules FROM namespaces WHERE name = %s", (name,)).fetchone()
        assert row is not None
        self.key, self.rules = int(row[0]), dict[str, Any](row[1])
        self.states = list(states(db, self.key))
        self.users = dict(db.execute("SELECT number, name FROM users").fetchall())
        self.hidden = {number for (number,) in db.execute("SELECT user_number FROM hidden_users").fetchall()}
        hours, minutes = map(int, self.rules["day_starts"].split(":"))
        self.local = LocalDays(self.rules["timezone"], timedelta(hours=hours, minutes=minutes))
        self.sums = {hour: boards(db, self.key, self.local, hour) for hour in (False, True)}
        self.oracle = cache(self._oracle)

    @cached_property
    def live(self) -> list[Live]:
        """The grants that count."""
        last = {grant_id: grant for _, grant_id, grant in self.states}
        return [grant for grant in last.values() if grant]

    @cached_property
    def windows(self) -> list[str]:
        """Every window that a grant lies in, or lay in, and all of the time."""
        return sorted({name for state in self.states if state.grant for name in self.windows_of(state.grant)} | {"all"})

    def windows_of(self, grant: Live) -> set[str]:
        """By the clock of the namespace's zone; of an opening balance `all` alone."""
        if grant.opening:
            return {"all"}
        named = names_at(self.local, self.rules["week_starts"], grant.granted)
        seasons = {
            f"season:{season['name']}"
            for season in self.rules["seasons"]
            if datetime.fromisoformat(season["starts"]) <= grant.granted < datetime.fromisoformat(season["ends"])
        }
        return {named[period] for period in self.rules["periods"]} | seasons

    def score(self, grants: Iterable[Live]) -> int | None:
        """What some grants of one user come to, in scaled units; None of none."""
        grants_there = list(grants)
        if not grants_there:
            return None
        if self.rules["aggregation"] == "sum":
            return sum(grant.amount for grant in grants_there)
        if self.rules["aggregation"] == "latest":
            return max(grants_there, key=lambda grant: (grant.granted, grant.seq)).amount
        return (min if self.rules["order"] == "asc" else max)(grant.amount for grant in grants_there)

    def _oracle(self, window: str = "all", category: str | None = None, as_of: datetime | None = None) -> Oracle:
        """A board, by the entries up to a moment."""
        on_it: dict[str, Live] = {}
        scores: dict[int, int] = {}  # in the order in which they were reached
        for at, grant_id, grant in self.states:
            if as_of is not None and at > as_of:
                break
            before = on_it.pop(grant_id, None)
            if grant and window in self.windows_of(grant) and category in (None, grant.category):
                on_it[grant_id] = grant
            for user in {one.user for one in (before, on_it.get(grant_id)) if one}:
                score = self.score(one for one in on_it.values() if one.user == user)
                if score != scores.get(user):
                    scores.pop(user, None)
                    scores |= {} if score is None else {user: score}
        shown = [(self.users[user], units) for user, units in scores.items() if user not in self.hidden]
        if self.rules["tie_break"] == "granted_at":
            numbers = {name: number for number, name in self.users.items()}
            shown.sort(key=lambda one: one[0].encode(), reverse=True)
            shown.sort(key=lambda one: self._complete(g for g in on_it.values() if g.user == numbers[one[0]]))
            return Oracle(self.rules, shown)
        return Oracle(self.rules, shown)

    def _complete(self, grants: Iterable[Live]) -> tuple[datetime, int]:
        """When a score was complete, in granted time, and by which grant."""
        grants_there = list(grants)
        if self.rules["aggregation"] == "best":
            return min((grant.granted, grant.seq) for grant in grants_there if grant.amount == self.score(grants_there))
        moments = [(g.granted, g.seq) for g in grants_there if g.amount != 0 or self.rules["aggregation"] == "latest"]
        return max(moments, default=(datetime.min.replace(tzinfo=UTC), 0))
