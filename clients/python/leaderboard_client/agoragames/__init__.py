"""The names of the agoragames package `leaderboard`, on this server, for programs that move.

    from leaderboard_client import Leaderboard as Server
    from leaderboard_client.agoragames import Leaderboard
    highscore_lb = Leaderboard("highscores", server=Server("https://scores.example.com", key=KEY))

A leaderboard is a namespace. It is made with its first member, and a name that nobody used yet is an empty one. Where a
Leaderboard has `aggregation="latest"` (the default), `rank_member` is one grant and exact; where it has "sum",
`change_score_for` is one. The other one of the two reads the score first, so use it where no two programs change one
member at once.

What is not the same:

- Scores have at most `scale` decimal places (3 unless you choose), and more are refused, not rounded.
- `remove_member` voids the member's grants, up to 1,000 a call. They stay in the ledger, and restore brings them back.
It waits for the
  ledger, some 50 ms. `remove_members_in_score_range` and `remove_members_outside_rank` do so for each member.
- Nothing expires: `expire_leaderboard` and the like raise NotImplementedError. Windows of days, weeks and months, and
seasons
  do what they were for.
- `delete_leaderboard` deletes the boards; the ledger keeps its rows.
- `member_data` is the member's display name in the namespace: a text of up to 128 characters, which everybody who reads
the board
  sees. Anything else is kept as `str(data)`. `global_member_data` is refused.
- `merge_leaderboards` and `intersect_leaderboards` read all boards and write the destination member by member: it is
not one moment. - `rank_member_across` ranks in one board after the other.
- Members of equal scores stand in one fixed order, which is not that of their bytes.
- `members_only` gives names as text, not as bytes.
"""

from .leaderboard import CompetitionRankingLeaderboard, Leaderboard, TieRankingLeaderboard

__all__ = ["CompetitionRankingLeaderboard", "Leaderboard", "TieRankingLeaderboard"]
