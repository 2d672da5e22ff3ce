"""The calls that name their leaderboard."""

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, ClassVar, Literal

from ..answers import Entry
from ..blocking.client import Leaderboard as Server
from .board import NamedBoard

Row = dict[str, Any]
Condition = Callable[[Any, str, float | None, float, Any, dict[str, Any]], bool]
#: Characters of a display name, in which member data is kept.
DATA_CHARS_MAX = 128
_NOTHING_EXPIRES = "nothing expires here: use a window of days, weeks, months or a season"
_AGGREGATES: dict[str, Callable[[Iterable[float]], float]] = {"SUM": sum, "MIN": min, "MAX": max}


class NamedCalls:
    """All calls by the name of a leaderboard: a namespace of the server."""

    ASC, DESC = "asc", "desc"
    MEMBER_KEY, MEMBER_DATA_KEY, SCORE_KEY, RANK_KEY = "member", "member_data", "score", "rank"
    DEFAULT_PAGE_SIZE = 25
    #: How members of equal scores are ranked.
    ranking: ClassVar[str] = "ordinal"

    def __init__(
        self,
        leaderboard_name: str,
        *,
        server: Server,
        page_size: int = DEFAULT_PAGE_SIZE,
        order: str = DESC,
        aggregation: Literal["latest", "sum"] = "latest",
        scale: int = 3,
    ) -> None:
        """Nothing is asked or made yet. server: a client whose key has `admin`, since it makes namespaces."""
        self.leaderboard_name = leaderboard_name
        self.page_size = page_size if page_size >= 1 else self.DEFAULT_PAGE_SIZE
        self.order = order.lower()
        if self.order not in (self.ASC, self.DESC):
            raise ValueError(f"{self.order} is not one of [asc,desc]")
        self._server = server
        self._aggregation = aggregation
        self._rules = {
            "aggregation": aggregation,
            "order": self.order,
            "scale": scale,
            "ranking": self.ranking,
            "periods": ["all"],
        }

    def delete_leaderboard_named(self, leaderboard_name: str) -> None:
        """Deletes a leaderboard."""
        self._board(leaderboard_name).delete()

    def rank_member_in(self, leaderboard_name: str, member: str, score: float, member_data: Any = None) -> None:
        """Sets a member's score."""
        board = self._board(leaderboard_name)
        self._set(board, {member: score})
        self._name(board, member, member_data)

    def rank_member_if_in(
        self,
        leaderboard_name: str,
        rank_conditional: Condition,
        member: str,
        score: float,
        member_data: Any = None,
    ) -> None:
        """Sets a member's score if a function of yours says so. It sees the score of a moment ago."""
        current = self.score_for_in(leaderboard_name, member)
        if rank_conditional(self, member, current, score, member_data, {"reverse": self.order}):
            self.rank_member_in(leaderboard_name, member, score, member_data)

    def rank_member_across(
        self, leaderboards: Sequence[str], member: str, score: float, member_data: Any = None
    ) -> None:
        """Sets a member's score in many leaderboards, one after the other."""
        for name in leaderboards:
            self.rank_member_in(name, member, score, member_data)

    def rank_members_in(self, leaderboard_name: str, members_and_scores: Sequence[Any]) -> None:
        """Sets the scores of many members: `["ann", 1, "bob", 2]`."""
        pairs = zip(members_and_scores[::2], members_and_scores[1::2], strict=True)
        self._set(self._board(leaderboard_name), dict(pairs))

    def change_score_for_member_in(
        self, leaderboard_name: str, member: str, delta: float, member_data: Any = None
    ) -> None:
        """Changes a member's score by a delta."""
        board = self._board(leaderboard_name)
        if self._aggregation == "sum":
            board.write([(member, delta)])
        else:
            rows = board.rows_of([member])
            board.write([(member, self._exact((rows[member].score if rows else 0) + delta))])
        self._name(board, member, member_data)

    def remove_member_from(self, leaderboard_name: str, member: str) -> None:
        """Removes a member: voids the member's grants."""
        self._board(leaderboard_name).remove([member])

    def remove_members_in_score_range_in(self, leaderboard_name: str, min_score: float, max_score: float) -> None:
        """Removes the members with these scores."""
        board = self._board(leaderboard_name)
        board.remove([entry.user_id for entry in list(board.within(min_score, max_score))])

    def remove_members_outside_rank_in(self, leaderboard_name: str, rank: int) -> int:
        """Removes all members behind a rank, and tells how many."""
        board = self._board(leaderboard_name)
        members = [entry.user_id for entry in board.stretch(rank, board.count())]
        board.remove(members)
        return len(members)

    def member_data_for_in(self, leaderboard_name: str, member: str) -> str | None:
        """A member's data; None for a member who is not ranked."""
        return self.members_data_for_in(leaderboard_name, [member])[0]

    def members_data_for_in(self, leaderboard_name: str, members: Sequence[str]) -> list[str | None]:
        """The data of many members, in order."""
        rows = self._board(leaderboard_name).rows_of(members)
        return [rows[member].display_name if member in rows else None for member in members]

    def update_member_data_in(self, leaderboard_name: str, member: str, member_data: Any) -> None:
        """Sets a member's data."""
        self._name(self._board(leaderboard_name), member, member_data)

    def remove_member_data_in(self, leaderboard_name: str, member: str) -> None:
        """Removes a member's data."""
        self._board(leaderboard_name).name(member, None)

    def total_members_in(self, leaderboard_name: str) -> int:
        """Members of a leaderboard."""
        return self._board(leaderboard_name).count()

    def total_pages_in(self, leaderboard_name: str, page_size: int | None = None) -> int:
        """Pages of a leaderboard."""
        return math.ceil(self.total_members_in(leaderboard_name) / (page_size or self.page_size))

    def total_members_in_score_range_in(self, leaderboard_name: str, min_score: float, max_score: float) -> int:
        """Members with these scores."""
        return self._board(leaderboard_name).count(min_score, max_score)

    def total_scores_in(self, leaderboard_name: str) -> float:
        """The sum of all scores."""
        return sum(float(entry.score) for entry in self._board(leaderboard_name).within(-math.inf, math.inf))

    def check_member_in(self, leaderboard_name: str, member: str) -> bool:
        """Whether a member is ranked."""
        return member in self._board(leaderboard_name).rows_of([member])

    def rank_for_in(self, leaderboard_name: str, member: str) -> int | None:
        """A member's rank; None for one who is not ranked."""
        rank: int | None = self.score_and_rank_for_in(leaderboard_name, member)[self.RANK_KEY]
        return rank

    def score_for_in(self, leaderboard_name: str, member: str) -> float | None:
        """A member's score; None for one who is not ranked."""
        score: float | None = self.score_and_rank_for_in(leaderboard_name, member)[self.SCORE_KEY]
        return score

    def score_and_rank_for_in(self, leaderboard_name: str, member: str) -> Row:
        """A member's score and rank, of one moment."""
        entry = self._board(leaderboard_name).rows_of([member]).get(member)
        return {
            self.MEMBER_KEY: member,
            self.SCORE_KEY: None if entry is None else float(entry.score),
            self.RANK_KEY: None if entry is None else entry.rank,
        }

    def page_for_in(self, leaderboard_name: str, member: str, page_size: int = DEFAULT_PAGE_SIZE) -> int:
        """The page on which a member is; 0 for one who is not ranked."""
        entry = self._board(leaderboard_name).rows_of([member]).get(member)
        return 0 if entry is None else math.ceil(entry.position / page_size)

    def percentile_for_in(self, leaderboard_name: str, member: str) -> int | None:
        """The share of members behind a member, in whole percent, rounded up; None for one who is not ranked."""
        page = self._board(leaderboard_name).page(users=[member])
        if not page.entries:
            return None
        # The original counts from the highest score, whatever the order is.
        position = page.entries[0].position if self.order == self.DESC else page.total - page.entries[0].position + 1
        percentile = math.ceil((page.total - position) * 100 / page.total)
        return 100 - percentile if self.order == self.ASC else percentile

    def score_for_percentile_in(self, leaderboard_name: str, percentile: float) -> float | None:
        """The score at a percentile, interpolated; None outside 0 to 100 and on an empty leaderboard."""
        return self._board(leaderboard_name).score_at(percentile) if 0 <= percentile <= 100 else None

    def expire_leaderboard_for(self, leaderboard_name: str, seconds: int) -> None:
        """NotImplementedError."""
        raise NotImplementedError(_NOTHING_EXPIRES)

    def expire_leaderboard_at_for(self, leaderboard_name: str, timestamp: int) -> None:
        """NotImplementedError."""
        raise NotImplementedError(_NOTHING_EXPIRES)

    def leaders_in(self, leaderboard_name: str, current_page: int, **options: Any) -> list[Row]:
        """A page, from 1; a lower number is the first page, one behind the end is empty."""
        size = options.get("page_size", self.page_size)
        entries = self._board(leaderboard_name).stretch((max(1, current_page) - 1) * size, size)
        return self._rows(entries, options)

    def all_leaders_from(self, leaderboard_name: str, **options: Any) -> list[Row]:
        """All members, in order."""
        return self._rows(self._board(leaderboard_name).within(-math.inf, math.inf), options)

    def members_from_score_range_in(
        self, leaderboard_name: str, minimum_score: float, maximum_score: float, **options: Any
    ) -> list[Row]:
        """Members with these scores, the bounds included."""
        return self._rows(self._board(leaderboard_name).within(minimum_score, maximum_score), options)

    def members_from_rank_range_in(
        self, leaderboard_name: str, starting_rank: int, ending_rank: int, **options: Any
    ) -> list[Row]:
        """Members from one place of the list to another, from 1, both included."""
        first = max(1, starting_rank)
        return self._rows(self._board(leaderboard_name).stretch(first - 1, ending_rank - first + 1), options)

    def top_in(self, leaderboard_name: str, number: int, **options: Any) -> list[Row]:
        """The first members."""
        return self.members_from_rank_range_in(leaderboard_name, 1, number, **options)

    def member_at_in(self, leaderboard_name: str, position: int, **options: Any) -> Row | None:
        """The member at a place, from 1; None behind the end and before the beginning."""
        rows = self.members_from_rank_range_in(leaderboard_name, position, position, **options) if position > 0 else []
        return rows[0] if rows else None

    def around_me_in(self, leaderboard_name: str, member: str, **options: Any) -> list[Row]:
        """A page of members around one; none for a member who is not ranked."""
        board = self._board(leaderboard_name)
        entry = board.rows_of([member]).get(member)
        size = options.get("page_size", self.page_size)
        entries = [] if entry is None else board.stretch(max(0, entry.position - 1 - size // 2), size)
        return self._rows(entries, options)

    def ranked_in_list_in(self, leaderboard_name: str, members: Sequence[str], **options: Any) -> list[Row]:
        """The rank and score of these members, in their order; None for those who are not ranked, unless
        `include_missing=False` leaves them out."""
        rows = self._board(leaderboard_name).rows_of(members)
        entries = [rows.get(member) or member for member in members]
        if not options.get("include_missing", True):
            entries = [entry for entry in entries if isinstance(entry, Entry)]
        return self._rows(entries, options)

    def _combine(self, destination: str, keys: Sequence[str], aggregate: str, *, is_everywhere: bool) -> None:
        """Writes a leaderboard that is made of this one and others. is_everywhere: only members of all of them."""
        scores: dict[str, list[float]] = {}
        names = [self.leaderboard_name, *keys]
        for name in names:
            for entry in self._board(name).within(-math.inf, math.inf):
                scores.setdefault(entry.user_id, []).append(entry.score)
        combine = _AGGREGATES[aggregate.upper()]
        result = {
            member: self._exact(combine(values))
            for member, values in scores.items()
            if len(values) == len(names) or not is_everywhere
        }
        board = self._board(destination)
        board.remove([one.user_id for one in list(board.within(-math.inf, math.inf)) if one.user_id not in result])
        self._set(board, result)

    def _board(self, name: str) -> NamedBoard:
        return NamedBoard(self._server, name, rules=self._rules, ranking=self.ranking)

    def _set(self, board: NamedBoard, scores: dict[str, float]) -> None:
        if self._aggregation == "sum":
            rows = board.rows_of(list(scores))
            scores = {
                member: self._exact(score - (rows[member].score if member in rows else 0))
                for member, score in scores.items()
            }
        board.write(list(scores.items()))

    def _exact(self, score: float) -> float:
        """A sum of floats without what they add behind the decimal places that are kept."""
        return round(score, int(str(self._rules["scale"])))

    @staticmethod
    def _name(board: NamedBoard, member: str, data: Any) -> None:
        if data:
            text = str(data)
            if len(text) > DATA_CHARS_MAX:
                raise ValueError(f"member_data: at most {DATA_CHARS_MAX} characters")
            board.name(member, text)

    def _rows(self, entries: Iterable[Entry | str], options: dict[str, Any]) -> list[Row]:
        """Rows as the original gives them, of entries and of names of members who are not ranked."""
        pairs = [(entry, None) if isinstance(entry, str) else (entry.user_id, entry) for entry in entries]
        if options.get("members_only"):
            return [{self.MEMBER_KEY: member} for member, _ in pairs]
        rows: list[Row] = []
        for member, entry in pairs:
            row = {
                self.MEMBER_KEY: member,
                self.SCORE_KEY: None if entry is None else float(entry.score),
                self.RANK_KEY: None if entry is None else entry.rank,
            }
            if options.get("with_member_data"):
                row[self.MEMBER_DATA_KEY] = None if entry is None else entry.display_name
            rows.append(row)
        sort = options.get("sort_by") or options.get("sort_option")
        if sort in (self.RANK_KEY, self.SCORE_KEY):
            last = -math.inf if self.order == self.ASC else math.inf
            rows.sort(key=lambda row: last if row[sort] is None else row[sort])
        return rows
