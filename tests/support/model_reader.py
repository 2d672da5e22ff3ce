"""What is read of one namespace over HTTP, and of its ledger by SQL, against the book that says what it should hold."""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from math import isclose
from statistics import pstdev
from typing import Any, ClassVar

import httpx
import psycopg
from hypothesis.stateful import RuleBasedStateMachine, invariant

from app.model.micros import to_micros
from app.store import keys
from tests.support.plain_model import Book, moment

#: Between two looks at what comes by itself: each look costs the system as much as a grant.
POLL_S = 0.05


class Reader(RuleBasedStateMachine):
    """Compares after every step what changed, and at the end everything. `touched`: boards that are to be compared."""

    stack: ClassVar[Any]
    api: httpx.Client
    book: Book
    name: str
    url: str
    ranking: str
    closed: set[str]
    touched: set[tuple[str, str | None]]
    past: list[tuple[datetime, str, str | None, dict[str, int], list[str]]]

    def _board(self, window: str, category: str | None) -> list[dict[str, Any]]:
        """A board's entries: what lies behind a seal follows with the ledger."""
        params = {"limit": 1000} | ({} if category is None else {"category": category})

        def read() -> list[dict[str, Any]]:
            body = self.api.get(f"{self.url}/boards/{window}", params=params).json()
            assert body["total"] == len(body["entries"]), body
            return list(body["entries"])

        if window in self.closed:
            expected = self.book.board(window, category)
            self._until(
                lambda: {e["user_id"]: e["score"] for e in read()} == expected, f"{window} {category}: {expected}"
            )
        return read()

    @invariant()
    def boards_agree(self) -> None:
        for board in self.touched:
            window, category = board
            expected, entries = self.book.board(*board), self._board(*board)
            listed = [e["user_id"] for e in entries]
            assert {e["user_id"]: e["score"] for e in entries} == expected, board
            line = self.book.listing(*board)
            assert listed == [user for user in line if user in expected], board
            assert {e["user_id"]: e["rank"] for e in entries} == self.book.ranks(expected, self.ranking, listed), board
            assert [e["position"] for e in entries] == list(range(1, len(expected) + 1)), board
            self._statistics_agree(window, category, list(expected.values()))
            self.past.append((datetime.now(UTC), window, category, self.book.scores(*board), line))
        self.touched = {("all", None)}

    def _statistics_agree(self, window: str, category: str | None, scores: list[int]) -> None:
        params = {} if category is None else {"category": category}
        body = self.api.get(f"{self.url}/boards/{window}/stats", params=params).json()
        assert body["count"] == len(scores), (window, category)
        if scores:
            figures = [body[name] for name in ("sum", "mean", "min", "max")]
            assert figures == [sum(scores), sum(scores) / len(scores), min(scores), max(scores)], (window, category)
            assert isclose(body["stddev"], pstdev(scores), abs_tol=1e-12), (window, category)
            middle = sorted(scores)[len(scores) // 2]
            part = self.api.get(f"{self.url}/boards/{window}/stats", params=params | {"max_score": middle}).json()
            assert part["sum"] == sum(score for score in scores if score <= middle), (window, category)

    def the_past_agrees(self) -> None:
        for at, window, category, scores, line in self.past:
            board = self.book.seen(scores)
            params: dict[str, Any] = {"as_of": at.isoformat(), "limit": 1000} | (
                {} if category is None else {"category": category}
            )
            body = self.api.get(f"{self.url}/boards/{window}", params=params).json()
            listed = [e["user_id"] for e in body["entries"]]
            assert {e["user_id"]: e["score"] for e in body["entries"]} == board, (at, window)
            if self.book.tie_break == "granted_at":
                assert listed == [user for user in line if user in board], (at, window)
            ranks = self.book.ranks(board, self.ranking, listed)
            assert {e["user_id"]: e["rank"] for e in body["entries"]} == ranks
            assert body["lag_seq"] == 0
            now = self.api.get(f"{self.url}/boards/{window}", params={"compare_to": at.isoformat(), "limit": 1000})
            if category is None and self.ranking != "ordinal":
                for e in now.json()["entries"]:
                    then = ranks.get(e["user_id"])
                    assert e["rank_change"] == (None if then is None else then - e["rank"])

    @invariant()
    def balances_agree(self) -> None:
        for user in {f.user for f in self.book.facts.values()}:
            body = self.api.get(f"{self.url}/users/{user.replace('/', '%2F')}").json()
            body["last_granted_at"] = moment(body["last_granted_at"])
            expected = self.book.standing(user)
            assert {field: body[field] for field in expected} == expected, user

    def _times_agree(self) -> None:
        """The times that decide where the latest counts, of labels and open boards, also of those who are hidden."""
        is_latest = self.book.aggregation == "latest"
        ((number, p),) = self._sql("SELECT id, partition FROM namespaces WHERE name = %s")
        with self.stack.store(decode_responses=True) as direct:
            for window, category in self.book.boards():
                times = direct.hgetall(
                    keys.grant_times(p, number, window if category is None else f"{window}:{category}")
                )
                expected = self.book.times(window, category) if is_latest and window not in self.closed else {}
                assert times == {user: str(to_micros(at)) for user, at in expected.items()}, (window, category)
            for user in {f.user for f in self.book.facts.values()}:
                fields = direct.hgetall(keys.balances(p, number) + user).items()
                expected = self.book.label_times(user) if is_latest else {}
                times = {name[1:]: value for name, value in fields if name[:1] == "g"}
                assert times == {label: str(to_micros(at)) for label, at in expected.items()}, user

    def explanations_agree(self) -> None:
        for user in {f.user for f in self.book.facts.values()}:
            for window in self.book.windows():
                url = f"{self.url}/users/{user.replace('/', '%2F')}/explain?window={window}"
                # It follows the ledger's counts by time, which come a little later; lag_seq says so.
                self._until(lambda url=url: self.api.get(url).json()["lag_seq"] == 0, f"{url} lags")  # type: ignore[misc]
                body = self.api.get(url).json()
                facts = [f for f in self.book.live(user) if window in f.windows]
                assert (body["score"], body["lag_seq"]) == (self.book.score(facts), 0)
                counted = {g["grant_id"]: g["amount"] for g in body["grants"]}
                assert counted == {f.grant_id: f.amount for f in self.book.counted(facts)}

    def _ledger_agrees(self) -> None:
        self._wait_flushed()
        with psycopg.connect(self.stack.postgres.url) as db:
            row = db.execute("SELECT id FROM namespaces WHERE name = %s", (self.name,)).fetchone()
            assert row is not None
            sums: dict[str, int] = dict(
                db.execute(
                    """SELECT u.name, sum(score_delta)::bigint FROM ledger JOIN users u ON u.number = user_number
                       WHERE namespace_id = %s GROUP BY u.name""",
                    row,
                ).fetchall()
            )
            standings = db.execute(
                """SELECT u.name, s.score, s.grants FROM standings s JOIN users u ON u.number = s.user_number
                   WHERE namespace_id = %s""",
                row,
            ).fetchall()
            last = db.execute(
                """SELECT DISTINCT ON (grant_id) grant_id, revision, amount, voided, granted_at FROM ledger
                   WHERE namespace_id = %s AND kind IN ('grant', 'correction') ORDER BY grant_id, revision DESC""",
                row,
            ).fetchall()
        users = {f.user for f in self.book.facts.values()}
        assert sums == {user: self.book.score(self.book.live(user)) or 0 for user in users}
        assert sorted(standings) == sorted((user, sums[user], len(self.book.live(user))) for user in users)
        assert sorted(last) == sorted(
            (f.grant_id, f.revision, f.amount, f.voided, f.at) for f in self.book.facts.values()
        )

    def _wait_flushed(self) -> None:
        self._until(lambda: self.api.get("/readyz").json()["lag_seq"] == 0, "the ledger does not catch up")

    def _sql(self, text: str) -> list[Any]:
        with psycopg.connect(self.stack.postgres.url) as db:
            return db.execute(text, (self.name,)).fetchall()

    def _until(self, ask: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + 20
        while not ask():
            assert time.monotonic() < deadline, what
            time.sleep(POLL_S)
