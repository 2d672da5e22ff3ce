"""Grants, retries, conflicts, late and future grants, quarantine under changing rules, every correction, users hidden
and shown and moving to other zones, in any order, against a plain model.

Runs on the real parts over HTTP. After each step the boards, ranks, balances and receipts agree; at the end so does SQL
over the ledger alone. Remove the seen check or the claim of a revision from the script and it fails within a minute.
"""

import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any, ClassVar
from zoneinfo import ZoneInfo

import httpx
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.support.model_driver import Driver, as_logged, segment
from tests.support.plain_model import SEASONS, UTC_ZONE, ZONES, Book, Fact, has_ended

USERS = ["ann", "bob", "cleo", "d/é"]
TODAY = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0)
TIMES = [TODAY, TODAY - timedelta(days=1), TODAY - timedelta(days=8), datetime(2020, 2, 29, 23, 59, 59, 999999, UTC)]
TIMES += [datetime(2024, 12, 30, tzinfo=UTC), datetime(1999, 12, 31, 23, 0, tzinfo=UTC), TODAY + timedelta(days=300)]
amounts = st.sampled_from([-3, 0, 1, 2, 5])  # few, so that users tie
labels = st.sampled_from([None, "red", "blue"])
times = st.sampled_from(TIMES)
MOVES = [None, "Pacific/Kiritimati", "Pacific/Pago_Pago"]
rankings = st.sampled_from(["competition", "dense", "ordinal"])
causes = st.sampled_from(["hidden", "opted out", "hidden here", "opted out here"])
_names = count()
SEALS_MAX = 2  # an example
# `make test-full` asks for more of both.
EXAMPLES, STEPS = int(os.environ.get("MACHINE_EXAMPLES", "12")), int(os.environ.get("MACHINE_STEPS", "20"))


class Machine(Driver):
    """One namespace with rules of its own, and the book that says what it should hold."""

    compared: ClassVar[int] = 0  # examples that agreed to their end

    @initialize(
        aggregation=st.sampled_from(["sum", "best", "latest"]),
        order=st.sampled_from(["desc", "asc"]),
        ranking=rankings,
        tie_break=st.sampled_from(["none", "earliest", "granted_at"]),
    )
    def open(self, aggregation: str, order: str, ranking: str, tie_break: str) -> None:
        self.api: httpx.Client = self.stack.client()
        for user in USERS:
            zone = ZONES.get(user)
            answer = self.api.put(f"/v1/users/{segment(user)}", json={"timezone": zone and zone.key})
            assert answer.status_code == 200
        self.name = f"machine-{next(_names)}"
        self.url = f"/v1/namespaces/{self.name}"
        rules: dict[str, Any] = {"aggregation": aggregation, "order": order, "ranking": ranking, "tie_break": tie_break}
        rules |= {"accept_past": None, "accept_future": None, "category_boards": True, "streaks": True}
        rules["bounded_sums"] = True
        rules["seasons"] = [
            {"name": name, "starts": starts.isoformat(), "ends": ends.isoformat()}
            for name, (starts, ends) in SEASONS.items()
        ]
        assert self.api.put(self.url, json=rules).status_code == 201
        self.ranking = ranking
        self.book = Book(aggregation, order, tie_break)
        self.sent: dict[str, dict[str, Any]] = {}
        self.past = []
        self.touched: set[tuple[str, str | None]] = {("all", None)}
        self.given = rules
        self.grants = self.seals = 0
        self.closed: set[str] = set()
        self.moved: set[str] = set()  # windows that ever had a board
        self.causes: set[tuple[str, str]] = set()
        self.quarantined: dict[str, tuple[dict[str, Any], Fact]] = {}

    @rule(
        members=st.lists(st.tuples(st.sampled_from(USERS), amounts, times, labels, labels), min_size=1, max_size=6),
        backfill=st.booleans(),
    )
    def grant(self, members: Any, backfill: bool) -> None:
        self.give(members, backfill)

    @rule(members=st.lists(st.tuples(st.sampled_from(USERS), amounts, times, labels, labels), min_size=1, max_size=3))
    def open_with(self, members: Any) -> None:
        """Opening balances."""
        self.give(members, False, opening=True)

    @precondition(lambda self: self.sent)
    @rule(data=st.data(), batch=st.booleans())
    def retry(self, data: Any, batch: bool) -> None:
        body = self.sent[data.draw(st.sampled_from(sorted(self.sent)))]
        twice = self.post([body, body]) if batch else self.post([body])
        assert {answer["status"] for answer in twice} == {"duplicate"}

    @precondition(lambda self: self.sent)
    @rule(data=st.data())
    def conflict(self, data: Any) -> None:
        body = self.sent[data.draw(st.sampled_from(sorted(self.sent)))]
        answer = self.api.post(f"{self.url}/grants", json=body | {"amount": body["amount"] + 1})
        assert (answer.status_code, answer.json()["code"]) == (409, "grant_conflict")

    @precondition(lambda self: self.sent)
    @rule(data=st.data(), amount=st.none() | amounts, at=st.none() | times, category=labels, move=st.booleans())
    def edit(self, data: Any, amount: int | None, at: datetime | None, category: str | None, move: bool) -> None:
        grant_id = data.draw(st.sampled_from(sorted(self.sent)))
        body: dict[str, Any] = {}
        fields: dict[str, Any] = {}
        if amount is not None:
            body["amount"] = fields["amount"] = amount
        if at is not None:
            body["granted_at"], fields["at"] = at.isoformat(), at
        if move:
            body["category"] = fields["category"] = category
        answer = self.api.patch(f"{self.url}/grants/{grant_id}", json=body)
        if body:
            self.correct(grant_id, answer, fields)
        else:
            assert (answer.status_code, answer.json()["code"]) == (422, "invalid")

    @precondition(lambda self: self.sent)
    @rule(data=st.data(), voided=st.booleans())
    def void_or_restore(self, data: Any, voided: bool) -> None:
        grant_id = data.draw(st.sampled_from(sorted(self.sent)))
        url = f"{self.url}/grants/{grant_id}"
        self.correct(grant_id, self.api.delete(url) if voided else self.api.post(f"{url}/restore"), {"voided": voided})

    @precondition(lambda self: self.sent)
    @rule(data=st.data(), ops=st.lists(st.sampled_from(["void", "restore", -3, 1, 5]), min_size=2, max_size=6))
    def many(self, data: Any, ops: list[Any]) -> None:
        asks: list[dict[str, Any]] = []
        for op in ops:
            ask: dict[str, Any] = {"grant_id": data.draw(st.sampled_from(sorted(self.sent)))}
            ask |= {"op": op} if isinstance(op, str) else {"op": "edit", "amount": op}
            if ask["op"] == "edit" and data.draw(st.booleans()):
                ask |= {"granted_at": data.draw(times).isoformat(), "category": data.draw(labels)}
            asks.append(ask)
        answer = self.api.post(f"{self.url}/corrections", json=asks)
        assert answer.status_code == 200, answer.text
        unchanged = []
        for ask, text in as_logged(zip(asks, answer.json()["results"], strict=True)):
            fields: dict[str, Any] = {name: ask[name] for name in ("amount", "category") if name in ask}
            if "granted_at" in ask:
                fields["at"] = datetime.fromisoformat(ask["granted_at"])
            if ask["op"] != "edit":
                fields = {"voided": ask["op"] == "void"}
            if text["status"] == "duplicate":
                unchanged.append(text)
            self.note_correction(ask["grant_id"], text, fields, text["status"] == "applied")
        # What was so already tells the score as it is now.
        for text in unchanged:
            assert text["score"] == self.book.score(self.book.live(text["user_id"]))

    @precondition(lambda self: self.sent)
    @rule(data=st.data())
    def stale(self, data: Any) -> None:
        grant_id = data.draw(st.sampled_from(sorted(self.sent)))
        revision = self.book.facts[grant_id].revision
        answer = self.api.patch(f"{self.url}/grants/{grant_id}", json={"amount": 99, "revision": revision + 1})
        assert (answer.status_code, answer.json()["code"]) == (409, "revision_conflict")

    @rule(user=st.sampled_from(USERS), zone=st.sampled_from(MOVES), at=times)
    def move(self, user: str, zone: str | None, at: datetime) -> None:
        """The user's days begin elsewhere from now on: the very next grant goes by it."""
        self.give([(user, 0, at, None, None)], True)
        opted_out = (user, "opted out") in self.causes
        answer = self.api.put(f"/v1/users/{segment(user)}", json={"timezone": zone, "opt_out": opted_out})
        assert answer.status_code == 200
        self.book.zones[user] = UTC_ZONE if zone is None else ZoneInfo(zone)
        self.give([(user, 0, at + timedelta(days=2), None, None)], True)

    @rule(user=st.sampled_from(USERS), at=st.sampled_from(TIMES[:2]), category=labels)
    def quarantine(self, user: str, at: datetime, category: str | None) -> None:
        """Rules change for one grant, which is set apart: it counts nowhere, and locks what gives numbers a meaning.

        It lies in windows that are not sealed here: one that holds nothing else may be sealed or not.
        """
        rules = self.given | {"amount_max": 4, "suspicious": "quarantine"}
        assert self.api.put(self.url, json=rules).status_code == 200
        self.grants += 1
        grant_id = f"g{self.grants}"
        body = {"grant_id": grant_id, "user_id": user, "amount": 5, "granted_at": at.isoformat(), "category": category}
        fact = Fact(grant_id, user, 5, at, category, None, self.grants, zone=self.book.zone(user))
        (receipt,) = self.post([body], "?backfill=true")
        assert receipt["status"] == "quarantined", receipt
        self.quarantined[grant_id] = body, replace(fact, order=receipt["seq"])
        for change in ({"scale": 1}, {"group": "elsewhere"}, {"aggregation": self._other()}):
            refused = self.api.put(self.url, json=self.given | change)
            assert (refused.status_code, refused.json()["code"]) == (422, "rule_locked"), change
        assert self.api.put(self.url, json=self.given).status_code == 200
        (receipt,) = self.post([body])
        assert receipt["status"] == "duplicate"

    @precondition(lambda self: self.quarantined)
    @rule(data=st.data(), restore=st.booleans())
    def decide(self, data: Any, restore: bool) -> None:
        self.decide_about(data.draw(st.sampled_from(sorted(self.quarantined))), restore)

    @precondition(lambda self: self.sent and self.seals < SEALS_MAX)
    @rule()
    def seal(self) -> None:
        """Bounds how old a grant may be, waits until the windows that none can reach are closed, and lets go again."""
        self.seals += 1
        self.closed |= {name for name in self.moved if has_ended(name, datetime.now(UTC) - timedelta(days=2))}
        assert self.api.put(self.url, json=self.given | {"accept_past": "P2D"}).status_code == 200
        sql = """SELECT "window" FROM seals JOIN namespaces n ON n.id = namespace_id
                 WHERE n.name = %s AND archived_at IS NOT NULL"""
        self._until(lambda: {window for (window,) in self._sql(sql)} == self.closed, f"{self.closed} are not sealed")
        assert self.api.put(self.url, json=self.given).status_code == 200
        self.touched = self.book.boards()

    @rule(user=st.sampled_from(USERS), cause=causes)
    def hide(self, user: str, cause: str) -> None:
        self.set_hidden(user, True, cause)

    @precondition(lambda self: self.causes)
    @rule(data=st.data())
    def show(self, data: Any) -> None:
        user, cause = data.draw(st.sampled_from(sorted(self.causes)))
        self.set_hidden(user, False, cause)

    @precondition(lambda self: self.sent)
    @rule(user=st.sampled_from(USERS), cause=st.sampled_from(["hidden", "hidden here"]))
    def hide_and_show(self, user: str, cause: str) -> None:
        for hidden in (True, False):
            self.set_hidden(user, hidden, cause)
            self.boards_agree()

    def _other(self) -> str:
        return "best" if self.given["aggregation"] == "sum" else "sum"

    @rule(size=st.integers(1, 3), ranking=rankings, user=st.sampled_from(USERS), data=st.data())
    def every_way_to_read_a_board_agrees(self, size: int, ranking: str, user: str, data: Any) -> None:
        window = data.draw(st.sampled_from(["all", *sorted(self.moved)]))
        self._board(window, None)
        url, board = f"{self.url}/boards/{window}", self.book.board(window)
        whole = self.api.get(f"{url}?limit=1000&ranking={ranking}").json()["entries"]
        listed = [e["user_id"] for e in whole]
        assert {e["user_id"]: e["rank"] for e in whole} == self.book.ranks(board, ranking, listed)
        paged: list[Any] = []
        params: dict[str, Any] | None = {"limit": size, "ranking": ranking}
        while params is not None:
            page = self.api.get(url, params=params).json()
            paged += page["entries"]
            params = params | {"cursor": page["next_cursor"]} if page["next_cursor"] else None
        assert paged == whole
        users = {"user": USERS, "ranking": ranking}
        assert self.api.get(url, params=users).json()["entries"] == whole
        around = self.api.get(url, params={"around": user, "radius": 1, "ranking": ranking})
        standing = self.api.get(f"{self.url}/users/{user.replace('/', '%2F')}").json().get("ranks")
        if user in board:
            place = listed.index(user)
            assert around.json()["entries"] == whole[max(0, place - 1) : place + 2]
            if window == "all":
                assert standing["all"]["rank"] == self.book.ranks(board, self.ranking, listed)[user]
        else:
            assert around.status_code == 404
        if user in self.book.hidden:
            assert standing is None or list(filter(None, standing.values())) == []

    def teardown(self) -> None:
        if not hasattr(self, "book"):
            return
        try:
            for grant_id in sorted(self.quarantined):
                self.decide_about(grant_id, False)
            self.touched = self.book.boards()
            self.boards_agree()
            self._times_agree()
            self._ledger_agrees()
            self.explanations_agree()
            self.the_past_agrees()
            for user, cause in sorted(self.causes):
                self.set_hidden(user, False, cause)
            self.boards_agree()
            Machine.compared += 1
        finally:
            for user, cause in sorted(self.causes):
                self.set_hidden(user, False, cause)
            self.api.close()


@pytest.mark.long
@pytest.mark.timeout(max(300, EXAMPLES * STEPS * 2))
def test_whatever_happens_every_number_is_what_the_grants_say(live_server: Any) -> None:
    Machine.stack, Machine.compared = live_server, 0
    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=STEPS,
            deadline=None,
            derandomize=False,
            print_blob=True,
            phases=[Phase.generate],  # a failure is told as it was found: shrinking replays it for minutes
            suppress_health_check=list(HealthCheck),
        ),
    )
    assert Machine.compared >= EXAMPLES
