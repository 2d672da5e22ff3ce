"""The calls of one leaderboard."""

from collections.abc import Sequence
from typing import Any

from .named import Condition, NamedCalls, Row


class Leaderboard(NamedCalls):
    """A leaderboard in which members of equal scores have ranks of their own."""

    def delete_leaderboard(self) -> None:
        """Deletes this leaderboard."""
        self.delete_leaderboard_named(self.leaderboard_name)

    def rank_member(self, member: str, score: float, member_data: Any = None) -> None:
        """Sets a member's score."""
        self.rank_member_in(self.leaderboard_name, member, score, member_data)

    def rank_member_if(self, rank_conditional: Condition, member: str, score: float, member_data: Any = None) -> None:
        """Sets a member's score if a function of yours says so."""
        self.rank_member_if_in(self.leaderboard_name, rank_conditional, member, score, member_data)

    def rank_members(self, members_and_scores: Sequence[Any]) -> None:
        """Sets the scores of many members."""
        self.rank_members_in(self.leaderboard_name, members_and_scores)

    def change_score_for(self, member: str, delta: float, member_data: Any = None) -> None:
        """Changes a member's score by a delta."""
        self.change_score_for_member_in(self.leaderboard_name, member, delta, member_data)

    def remove_member(self, member: str) -> None:
        """Removes a member."""
        self.remove_member_from(self.leaderboard_name, member)

    def remove_members_in_score_range(self, min_score: float, max_score: float) -> None:
        """Removes the members with these scores."""
        self.remove_members_in_score_range_in(self.leaderboard_name, min_score, max_score)

    def remove_members_outside_rank(self, rank: int) -> int:
        """Removes all members behind a rank, and tells how many."""
        return self.remove_members_outside_rank_in(self.leaderboard_name, rank)

    def member_data_for(self, member: str) -> str | None:
        """A member's data."""
        return self.member_data_for_in(self.leaderboard_name, member)

    def members_data_for(self, members: Sequence[str]) -> list[str | None]:
        """The data of many members."""
        return self.members_data_for_in(self.leaderboard_name, members)

    def update_member_data(self, member: str, member_data: Any) -> None:
        """Sets a member's data."""
        self.update_member_data_in(self.leaderboard_name, member, member_data)

    def remove_member_data(self, member: str) -> None:
        """Removes a member's data."""
        self.remove_member_data_in(self.leaderboard_name, member)

    def total_members(self) -> int:
        """Members."""
        return self.total_members_in(self.leaderboard_name)

    def total_pages(self, page_size: int | None = None) -> int:
        """Pages."""
        return self.total_pages_in(self.leaderboard_name, page_size)

    def total_members_in_score_range(self, min_score: float, max_score: float) -> int:
        """Members with these scores."""
        return self.total_members_in_score_range_in(self.leaderboard_name, min_score, max_score)

    def total_scores(self) -> float:
        """The sum of all scores."""
        return self.total_scores_in(self.leaderboard_name)

    def check_member(self, member: str) -> bool:
        """Whether a member is ranked."""
        return self.check_member_in(self.leaderboard_name, member)

    def rank_for(self, member: str) -> int | None:
        """A member's rank."""
        return self.rank_for_in(self.leaderboard_name, member)

    def score_for(self, member: str) -> float | None:
        """A member's score."""
        return self.score_for_in(self.leaderboard_name, member)

    def score_and_rank_for(self, member: str) -> Row:
        """A member's score and rank."""
        return self.score_and_rank_for_in(self.leaderboard_name, member)

    def page_for(self, member: str, page_size: int = NamedCalls.DEFAULT_PAGE_SIZE) -> int:
        """The page on which a member is."""
        return self.page_for_in(self.leaderboard_name, member, page_size)

    def percentile_for(self, member: str) -> int | None:
        """The share of members behind a member, in whole percent."""
        return self.percentile_for_in(self.leaderboard_name, member)

    def score_for_percentile(self, percentile: float) -> float | None:
        """The score at a percentile."""
        return self.score_for_percentile_in(self.leaderboard_name, percentile)

    def expire_leaderboard(self, seconds: int) -> None:
        """NotImplementedError."""
        self.expire_leaderboard_for(self.leaderboard_name, seconds)

    def expire_leaderboard_at(self, timestamp: int) -> None:
        """NotImplementedError."""
        self.expire_leaderboard_at_for(self.leaderboard_name, timestamp)

    def leaders(self, current_page: int, **options: Any) -> list[Row]:
        """A page, from 1."""
        return self.leaders_in(self.leaderboard_name, current_page, **options)

    def all_leaders(self, **options: Any) -> list[Row]:
        """All members, in order."""
        return self.all_leaders_from(self.leaderboard_name, **options)

    def members_from_score_range(self, minimum_score: float, maximum_score: float, **options: Any) -> list[Row]:
        """Members with these scores."""
        return self.members_from_score_range_in(self.leaderboard_name, minimum_score, maximum_score, **options)

    def members_from_rank_range(self, starting_rank: int, ending_rank: int, **options: Any) -> list[Row]:
        """Members from one place of the list to another."""
        return self.members_from_rank_range_in(self.leaderboard_name, starting_rank, ending_rank, **options)

    def top(self, number: int, **options: Any) -> list[Row]:
        """The first members."""
        return self.top_in(self.leaderboard_name, number, **options)

    def member_at(self, position: int, **options: Any) -> Row | None:
        """The member at a place."""
        return self.member_at_in(self.leaderboard_name, position, **options)

    def around_me(self, member: str, **options: Any) -> list[Row]:
        """A page of members around one."""
        return self.around_me_in(self.leaderboard_name, member, **options)

    def ranked_in_list(self, members: Sequence[str], **options: Any) -> list[Row]:
        """The rank and score of these members."""
        return self.ranked_in_list_in(self.leaderboard_name, members, **options)

    def merge_leaderboards(self, destination: str, keys: Sequence[str], aggregate: str = "SUM") -> None:
        """Writes a leaderboard of all members of this one and others."""
        self._combine(destination, keys, aggregate, is_everywhere=False)

    def intersect_leaderboards(self, destination: str, keys: Sequence[str], aggregate: str = "SUM") -> None:
        """Writes a leaderboard of the members that this one and all others have."""
        self._combine(destination, keys, aggregate, is_everywhere=True)


class TieRankingLeaderboard(Leaderboard):
    """Members of equal scores share a rank, and the next one follows: 1, 1, 2."""

    ranking = "dense"


class CompetitionRankingLeaderboard(Leaderboard):
    """Members of equal scores share a rank, and a gap follows: 1, 1, 3."""

    ranking = "competition"
