# Made by clients/python/mirror.py of the module of this name in aio. Do not edit.
"""Reading boards: pages, questions, statistics."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, TypeVar

from msgspec import Struct

from ..answers import Board, Entry, Number, ScoreRank, Stats
from ..calls import Call, Query, as_type, encode
from .transport import Transport

T = TypeVar("T")
#: Rows that an iterator reads at a time: the server's most.
PAGE_MAX = 1_000
Score = int | float | Decimal


class _Boards(Struct, frozen=True):
    boards: tuple[Board, ...]


class _StatsList(Struct, frozen=True):
    boards: tuple[Stats, ...] = ()
    namespaces: tuple[Stats, ...] = ()


class _Count(Struct, frozen=True):
    count: int


class _ScoreAt(Struct, frozen=True):
    score: Number


class Boards:
    """The calls that read boards."""

    _transport: Transport

    def board(
        self,
        namespace: str,
        window: str = "all",
        *,
        limit: int | None = None,
        offset: int | None = None,
        cursor: str | None = None,
        category: str | None = None,
        around: str | None = None,
        radius: int | None = None,
        users: Sequence[str] = (),
        min_score: Score | None = None,
        max_score: Score | None = None,
        exclusive: str | None = None,
        ranking: str | None = None,
        as_of: datetime | None = None,
        compare_to: datetime | None = None,
        include: str | None = None,
    ) -> Board:
        """A page of a board: from the top, around a user, of users (friends), within scores, or of the past. window:
        `all`, `day`, `week` … or a window's name."""
        query: Query = {
            "limit": limit,
            "offset": offset,
            "cursor": cursor,
            "category": category,
            "around": around,
            "radius": radius,
            "user": list(users),
            "min_score": min_score,
            "max_score": max_score,
            "exclusive": exclusive,
            "ranking": ranking,
            "as_of": as_of,
            "compare_to": compare_to,
            "include": include,
        }
        return self._read(namespace, window, query=query)

    def around(
        self, namespace: str, window: str, user_id: str, *, radius: int = 5, category: str | None = None
    ) -> Board:
        """The neighbours of a user, and the user. NotFound for one who is not on the board."""
        return self.board(namespace, window, around=user_id, radius=radius, category=category)

    def rank(
        self, namespace: str, window: str, user_id: str, *, category: str | None = None, ranking: str | None = None
    ) -> Entry | None:
        """One user's row; None for who is not on the board."""
        page = self.board(namespace, window, users=[user_id], category=category, ranking=ranking)
        return page.entries[0] if page.entries else None

    def entries(
        self,
        namespace: str,
        window: str = "all",
        *,
        category: str | None = None,
        min_score: Score | None = None,
        max_score: Score | None = None,
        ranking: str | None = None,
        as_of: datetime | None = None,
        page: int = PAGE_MAX,
    ) -> Iterator[Entry]:
        """Every row of a board, in order, page by page. A user whose score stays is never left out."""
        cursor: str | None = None
        while True:
            board = self.board(
                namespace,
                window,
                limit=page,
                cursor=cursor,
                category=category,
                min_score=min_score,
                max_score=max_score,
                ranking=ranking,
                as_of=as_of,
            )
            yield from board.entries
            cursor = board.next_cursor
            if cursor is None:
                return

    def at(
        self, namespace: str, window: str, position: int, *, category: str | None = None, ranking: str | None = None
    ) -> Entry:
        """Who is at a position, from 1. NotFound behind the end."""
        query: Query = {"category": category, "ranking": ranking}
        return self._question(namespace, window, ("at", str(position)), Entry, query)

    def count(
        self,
        namespace: str,
        window: str = "all",
        *,
        category: str | None = None,
        min_score: Score | None = None,
        max_score: Score | None = None,
        exclusive: str | None = None,
    ) -> int:
        """How many users are on a board, within bounds if there are some."""
        query: Query = {
            "category": category,
            "min_score": min_score,
            "max_score": max_score,
            "exclusive": exclusive,
        }
        return (self._question(namespace, window, ("count",), _Count, query)).count

    def random(
        self, namespace: str, window: str = "all", *, n: int = 1, category: str | None = None
    ) -> tuple[Entry, ...]:
        """Some users by chance, in the board's order."""
        query: Query = {"n": n, "category": category}
        return (self._question(namespace, window, ("random",), Board, query)).entries

    def score_at_percentile(
        self, namespace: str, window: str, percentile: Score, *, category: str | None = None
    ) -> Number:
        """The worst score whose percentile is at least this one. NotFound on an empty board."""
        path = ("percentile", str(percentile))
        return (self._question(namespace, window, path, _ScoreAt, {"category": category})).score

    def rank_of(
        self,
        namespace: str,
        window: str,
        score: Score,
        *,
        category: str | None = None,
        ranking: str | None = None,
    ) -> ScoreRank:
        """Where a score would stand, even if nobody has it."""
        query: Query = {"category": category, "ranking": ranking}
        path = ("rank-of", format(score, "f") if isinstance(score, Decimal) else str(score))
        return self._question(namespace, window, path, ScoreRank, query)

    def stats(
        self,
        namespace: str,
        window: str = "all",
        *,
        category: str | None = None,
        min_score: Score | None = None,
        max_score: Score | None = None,
        exclusive: str | None = None,
        histogram: int | None = None,
        percentiles: str | None = None,
        interpolate: bool = False,
    ) -> Stats:
        """Count, sum, mean, deviation, extremes and percentiles. percentiles: `25,50,99.9`; histogram: bins."""
        query: Query = {
            "category": category,
            "min_score": min_score,
            "max_score": max_score,
            "exclusive": exclusive,
            "histogram": histogram,
            "percentiles": percentiles,
            "interpolate": interpolate or None,
        }
        return self._question(namespace, window, ("stats",), Stats, query)

    def stats_of_namespaces(self, prefix: str, *, window: str = "all", band: str | None = None) -> tuple[Stats, ...]:
        """The statistics of all namespaces whose names begin so, the highest mean first."""
        query: Query = {"prefix": prefix, "window": window, "band": band}
        call = Call(method="GET", path=("v1", "stats"), query=query, read=as_type(_StatsList), may_repeat=True)
        return (self._transport.send(call)).namespaces

    def stats_of_boards(self, boards: Sequence[Mapping[str, Any]]) -> tuple[Stats, ...]:
        """The statistics of up to 100 boards: `{"namespace", "window", "min_score" …}` each."""
        call = self._posted(("v1", "stats"), {"boards": boards}, _StatsList)
        return (self._transport.send(call)).boards

    def boards(self, boards: Sequence[Mapping[str, Any]]) -> tuple[Board, ...]:
        """Pages of up to 100 boards of any namespaces: `{"namespace", "window", "limit" …}` each. A board that cannot
        be answered has an `error`."""
        return (self._transport.send(self._posted(("v1", "boards"), {"boards": boards}, _Boards))).boards

    def ranks(
        self,
        namespace: str,
        users: Sequence[str],
        windows: Sequence[str] = ("all",),
        *,
        category: str | None = None,
        ranking: str | None = None,
    ) -> tuple[Board, ...]:
        """Up to 500 users on up to 20 boards: one board for each window, with the rows of these users."""
        body = {"users": list(users), "windows": list(windows), "category": category, "ranking": ranking}
        body = {name: value for name, value in body.items() if value is not None}
        call = self._posted(("v1", "namespaces", namespace, "ranks"), body, _Boards)
        return (self._transport.send(call)).boards

    @staticmethod
    def _posted(path: tuple[str, ...], body: object, kind: type[T]) -> Call[T]:
        return Call(method="POST", path=path, body=encode(body), read=as_type(kind), may_repeat=True)

    def _read(self, namespace: str, window: str, *, query: Query) -> Board:
        return self._question(namespace, window, (), Board, query)

    def _question(self, namespace: str, window: str, path: tuple[str, ...], kind: type[T], query: Query) -> T:
        call = Call(
            method="GET",
            path=("v1", "namespaces", namespace, "boards", window, *path),
            query=query,
            read=as_type(kind),
            may_repeat=True,
        )
        return self._transport.send(call)
