"""A namespace as a plain dictionary has it: no increments, everything from the grants, each time anew."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

UTC_ZONE = ZoneInfo("UTC")
ZONES = {"bob": ZoneInfo("Pacific/Auckland"), "cleo": ZoneInfo("America/Los_Angeles")}
SEASONS = {
    "leap": (datetime(2020, 2, 29, tzinfo=UTC), datetime(2024, 12, 30, tzinfo=UTC)),
    "long": (datetime(1999, 12, 31, 23, tzinfo=UTC), datetime(2040, 1, 1, tzinfo=UTC)),
}


@dataclass(frozen=True)
class Fact:
    """A grant as it is now. `order`: its place in the log. `zone`: the user's, when its moment was given."""

    grant_id: str
    user: str
    amount: int
    at: datetime
    category: str | None
    source: str | None
    order: int
    voided: bool = False
    revision: int = 1
    zone: ZoneInfo = UTC_ZONE
    opening: bool = False

    @property
    def day(self) -> date:
        """For which it counts in a streak."""
        return self.at.astimezone(self.zone).date()

    @property
    def windows(self) -> set[str]:
        """In UTC."""
        if self.opening:
            return {"all"}
        year, week, _ = self.at.isocalendar()
        windows = {"all", f"{self.at:%Y-%m}", f"{year:04}-W{week:02}", f"{self.at:%Y-%m-%d}"}
        return windows | {f"season:{name}" for name, (starts, ends) in SEASONS.items() if starts <= self.at < ends}

    @property
    def boards(self) -> set[tuple[str, str | None]]:
        """Window and category: every window's board, and its category's."""
        return {(window, category) for window in self.windows for category in {None, self.category}}


class Book:
    """What a namespace of one aggregation and order holds."""

    def __init__(self, aggregation: str, order: str, tie_break: str) -> None:
        self.facts: dict[str, Fact] = {}
        self.changed: dict[tuple[str, str | None, str], int] = {}
        self.hidden: set[str] = set()
        self.zones = dict(ZONES)
        self._clock = 0
        self.aggregation, self.tie_break = aggregation, tie_break
        self.ascending = order == "asc"

    def add(self, fact: Fact) -> None:
        """A grant counts."""
        self._put(fact, fact.boards)

    def change(self, grant_id: str, **fields: object) -> bool:
        """A correction; whether it changed anything."""
        fact = self.facts[grant_id]
        new = replace(fact, **fields)  # type: ignore[arg-type]
        if new == fact:
            return False
        self._put(replace(new, revision=fact.revision + 1), fact.boards | new.boards)
        return True

    def _put(self, fact: Fact, boards: set[tuple[str, str | None]]) -> None:
        """Notes when each score last changed."""
        self._clock += 1
        before = {board: self.scores(*board).get(fact.user) for board in boards}
        self.facts[fact.grant_id] = fact
        for board in boards:
            if self.scores(*board).get(fact.user) != before[board]:
                self.changed[*board, fact.user] = self._clock

    def zone(self, user: str) -> ZoneInfo:
        """In which the user's days begin by now."""
        return self.zones.get(user, UTC_ZONE)

    def live(self, user: str | None = None) -> list[Fact]:
        """Grants that count."""
        return [f for f in self.facts.values() if not f.voided and user in (None, f.user)]

    def score(self, facts: Iterable[Fact]) -> int | None:
        """What some grants of one user come to."""
        live_facts = list(facts)
        if not live_facts:
            return None
        if self.aggregation == "sum":
            return sum(f.amount for f in live_facts)
        if self.aggregation == "latest":
            return max(live_facts, key=lambda f: (f.at, f.order)).amount
        return (min if self.ascending else max)(f.amount for f in live_facts)

    def times(self, window: str, category: str | None = None) -> dict[str, datetime]:
        """User → when the grant was given that counts there, of everybody."""
        items = [f for f in self.live() if window in f.windows and category in (None, f.category)]
        return {f.user: f.at for f in sorted(items, key=lambda f: (f.at, f.order))}

    def label_times(self, user: str) -> dict[str, datetime]:
        """Category and source (`c:…`, `s:…`) → when the grant was given that counts there."""
        live_facts = sorted(self.live(user), key=lambda f: (f.at, f.order))
        of_categories = {f"c:{f.category}": f.at for f in live_facts if f.category is not None}
        return of_categories | {f"s:{f.source}": f.at for f in live_facts if f.source is not None}

    def counted(self, facts: list[Fact]) -> list[Fact]:
        """Those that make the score: all of a sum, the best with its equals, the latest."""
        if self.aggregation == "sum" or not facts:
            return facts
        if self.aggregation == "latest":
            return [max(facts, key=lambda f: (f.at, f.order))]
        return [f for f in facts if f.amount == self.score(facts)]

    def board(self, window: str, category: str | None = None) -> dict[str, int]:
        """User → score, of those who are on it."""
        return self.seen(self.scores(window, category))

    def seen(self, scores: dict[str, int]) -> dict[str, int]:
        """Without those who are hidden."""
        return {user: score for user, score in scores.items() if user not in self.hidden}

    def scores(self, window: str, category: str | None = None) -> dict[str, int]:
        """User → score, of everybody."""
        return self._by_user(lambda f: window in f.windows and category in (None, f.category))

    def _by_user(self, holds: Callable[[Fact], bool]) -> dict[str, int]:
        facts_by_user = {}
        for user in {f.user for f in self.live()}:
            score = self.score(f for f in self.live(user) if holds(f))
            if score is not None:
                facts_by_user[user] = score
        return facts_by_user

    def ranks(self, board: dict[str, int], ranking: str, listed: list[str]) -> dict[str, int]:
        """Ranks: competition 1-2-2-4, dense 1-2-2-3, ordinal as `listed`."""
        if ranking == "ordinal":
            return {user: place for place, user in enumerate(listed, 1)}
        sign = -1 if self.ascending else 1
        scores = list(set(board.values()) if ranking == "dense" else board.values())
        return {user: 1 + sum(sign * other > sign * score for other in scores) for user, score in board.items()}

    def listing(self, window: str, category: str | None = None) -> list[str]:
        """The users of a board, the better score first, among equals by the tie-break; of everybody, hidden or not."""
        sign = -1 if self.ascending else 1
        board = self.scores(window, category)
        users = sorted(board, key=str.encode, reverse=True)
        if self.tie_break == "earliest":
            return sorted(users, key=lambda user: (-sign * board[user], self.changed[window, category, user]))
        if self.tie_break == "granted_at":
            return sorted(users, key=lambda user: (-sign * board[user], self._complete(user, window, category)))
        return sorted(users, key=lambda user: -sign * board[user])

    def _complete(self, user: str, window: str, category: str | None) -> tuple[datetime, int]:
        """When a score was complete, in granted time, and by which grant."""
        items = [f for f in self.live(user) if window in f.windows and category in (None, f.category)]
        if self.aggregation == "best":
            return min((f.at, f.order) for f in items if f.amount == self.score(items))
        moments = [(f.at, f.order) for f in items if f.amount != 0 or self.aggregation == "latest"]
        return max(moments, default=(datetime.min.replace(tzinfo=UTC), 0))

    def windows(self) -> set[str]:
        """Every window that a grant lies in, live or not."""
        return {window for f in self.facts.values() for window in f.windows} | {"all"}

    def boards(self) -> set[tuple[str, str | None]]:
        """Every board that a grant ever moved."""
        return {board for f in self.facts.values() for board in f.boards} | {key[:2] for key in self.changed}

    def standing(self, user: str) -> dict[str, object]:
        """What GET …/users/{user} tells."""
        live, zone = self.live(user), self.zone(user)
        categories = {f.category for f in live} - {None}
        sources = {f.source for f in live} - {None}
        return {
            "score": self.score(live) or 0,
            "grants": len(live),
            "categories": {c: self.score(f for f in live if f.category == c) for c in categories},
            "sources": {s: self.score(f for f in live if f.source == s) for s in sources},
            "last_granted_at": max((f.at for f in live), default=None),
            "streak": self.streak({f.day for f in live if not f.opening}, datetime.now(zone).date()),
        }

    def streak(self, days: set[date], today: date) -> dict[str, object]:
        """By walking back from each day."""

        def run(day: date) -> int:
            return 1 + run(day - timedelta(days=1)) if day in days else 0

        past = {day for day in days if day <= today}
        current = run(today) or run(today - timedelta(days=1))
        last = max(past, default=None)
        return {"current": current, "best": max(map(run, past), default=0), "last_day": last and last.isoformat()}


def moment(text: str | None) -> datetime | None:
    """An RFC 3339 time."""
    return None if text is None else datetime.fromisoformat(text).astimezone(UTC)


def has_ended(window: str, by: datetime) -> bool:
    """Whether a window, in UTC, is over."""
    if window.startswith("season:"):
        return SEASONS[window[7:]][1] <= by
    if "W" in window:
        ends = datetime.combine(date.fromisocalendar(int(window[:4]), int(window[6:]), 1), datetime.min.time(), UTC)
        return ends + timedelta(days=7) <= by
    if len(window) == 7:
        first = datetime.fromisoformat(window + "-01").replace(tzinfo=UTC)
        return (first + timedelta(days=32)).replace(day=1) <= by
    return window != "all" and datetime.fromisoformat(window).replace(tzinfo=UTC) + timedelta(days=1) <= by
