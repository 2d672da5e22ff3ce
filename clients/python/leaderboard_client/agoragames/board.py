"""One board behind the names: a namespace, made when it is first written."""

import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, TypeVar

from ..answers import Board, Entry
from ..blocking.client import Leaderboard as Server
from ..errors import NotFound, Unavailable
from ..grant import Correction, Grant

T = TypeVar("T")
#: Members of one question: the server takes 500.
MEMBERS_MAX = 500
#: Rows of one page, grants of one batch and corrections of one request.
PAGE_MAX = 1_000
#: Seconds in which a member is gone: the ledger is some 50 ms behind, and longer after a burst.
REMOVE_S_MAX = 30.0
#: Seconds between two looks at a ledger that lacks entries.
LOOK_S = 0.05
_EMPTY = Board(namespace="", window="all")


class NamedBoard:
    """The board `all` of one namespace."""

    def __init__(self, server: Server, name: str, *, rules: dict[str, Any], ranking: str) -> None:
        self._server = server
        self._name = name
        self._rules = rules
        self._ranking = ranking

    def page(self, **query: Any) -> Board:
        """Some rows; none where there is no such namespace yet."""
        try:
            return self._server.board(self._name, ranking=self._ranking, **query)
        except NotFound as problem:
            if problem.code in ("namespace_not_found", "user_not_found"):
                return _EMPTY
            raise

    def stretch(self, offset: int, size: int) -> list[Entry]:
        """`size` rows from `offset` on, which counts from 0."""
        rows: list[Entry] = []
        while size > 0:
            page = self.page(offset=offset + len(rows), limit=min(size, PAGE_MAX)).entries
            rows += page
            size -= len(page)
            if not page:
                break
        return rows

    def within(self, min_score: float, max_score: float) -> Iterator[Entry]:
        """All rows with these scores, the bounds included. Infinity is no bound."""
        bounds = {
            "min_score": None if min_score == float("-inf") else min_score,
            "max_score": None if max_score == float("inf") else max_score,
        }
        cursor: str | None = None
        while True:
            page = self.page(limit=PAGE_MAX, cursor=cursor, **bounds)
            yield from page.entries
            cursor = page.next_cursor
            if cursor is None:
                return

    def rows_of(self, members: Sequence[str]) -> dict[str, Entry]:
        """The rows of these members, as far as they are on the board."""
        rows: dict[str, Entry] = {}
        for i in range(0, len(members), MEMBERS_MAX):
            part = list(dict.fromkeys(members[i : i + MEMBERS_MAX]))
            rows.update((entry.user_id, entry) for entry in self.page(users=part).entries)
        return rows

    def write(self, grants: Sequence[tuple[str, float]]) -> None:
        """Grants of these amounts; the first problem of a member is raised."""
        for i in range(0, len(grants), PAGE_MAX):
            part = [Grant(user_id=member, amount=amount) for member, amount in grants[i : i + PAGE_MAX]]
            result = self._making(partial(self._server.grants, part, namespace=self._name))
            for refused in result.rejected:
                assert refused.error is not None
                raise ValueError(f"{refused.error.code}: {refused.error.detail}")

    def remove(self, members: Sequence[str]) -> None:
        """Voids all grants of these members. Unavailable if the ledger does not catch up in time."""
        ends_at = time.monotonic() + REMOVE_S_MAX
        for member in members:
            while member in self.rows_of([member]):
                live = [grant.grant_id for grant in self._server.history(self._name, member) if not grant.voided]
                for i in range(0, len(live), PAGE_MAX):
                    part = live[i : i + PAGE_MAX]
                    self._server.correct(self._name, [Correction(op="void", grant_id=grant_id) for grant_id in part])
                if not live:
                    if time.monotonic() > ends_at:
                        raise Unavailable("store_unavailable", f"the ledger lacks grants of {member!r}", status=503)
                    time.sleep(LOOK_S)
            self.name(member, None)

    def name(self, member: str, data: str | None) -> None:
        """Sets what the member is called there."""
        self._making(lambda: self._server.put_profile(member, namespace=self._name, display_name=data))

    def delete(self) -> None:
        """Deletes the namespace, if there is one."""
        try:
            self._server.delete_namespace(self._name)
        except NotFound:
            pass

    def count(self, min_score: float | None = None, max_score: float | None = None) -> int:
        """Members on the board, or with these scores."""
        try:
            return self._server.count(self._name, min_score=min_score, max_score=max_score)
        except NotFound:
            return 0

    def score_at(self, percentile: float) -> float | None:
        """The score at a percentile, interpolated between two members; None on an empty board."""
        try:
            text = f"{percentile:g}"
            scores = self._server.stats(self._name, percentiles=text, interpolate=True).percentiles
        except NotFound:
            return None
        return next(iter(scores.values()))

    def _making(self, act: Callable[[], T]) -> T:
        """Does something, and makes the namespace first if it is not there. Two programs that make it at once make the
        same one."""
        try:
            return act()
        except NotFound as problem:
            if problem.code != "namespace_not_found":
                raise
        self._server.put_namespace(self._name, self._rules)
        return act()
