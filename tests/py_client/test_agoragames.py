"""The documented examples of the agoragames package `leaderboard`, translated: same calls, same answers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from leaderboard_client import Leaderboard as Server
from leaderboard_client.agoragames import CompetitionRankingLeaderboard, Leaderboard, TieRankingLeaderboard

from tests.conftest import Names, Stack


@pytest.fixture
def server(live_server: Stack) -> Iterator[Server]:
    with Server(live_server.url, key=live_server.key) as server:
        yield server


@pytest.fixture(params=["latest", "sum"])
def highscores(request: pytest.FixtureRequest, server: Server, names: Names) -> Leaderboard:
    return Leaderboard(names.fresh(), server=server, aggregation=request.param)


def row(index: int, rank: int) -> dict[str, Any]:
    return {"member": f"member_{index}", "score": float(index), "rank": rank}


def rank_all(board: Leaderboard, *indexes: int) -> None:
    board.rank_members([word for index in indexes for word in (f"member_{index}", index)])


def test_the_readme_of_the_package(highscores: Leaderboard) -> None:
    for index in range(1, 11):
        highscores.rank_member(f"member_{index}", index)
    assert (highscores.total_members(), highscores.total_pages()) == (10, 1)
    assert highscores.score_for("member_4") == 4.0
    assert (highscores.rank_for("member_4"), highscores.rank_for("member_10")) == (7, 1)
    assert highscores.leaders(1) == [row(11 - rank, rank) for rank in range(1, 11)]
    rank_all(highscores, *range(50, 96))
    assert highscores.total_pages() == 3
    order = [*range(95, 49, -1), *range(10, 0, -1)]
    rows = [row(index, rank) for rank, index in enumerate(order, 1)]
    assert highscores.around_me("member_53") == rows[30:55]
    assert highscores.ranked_in_list(["member_1", "member_62", "member_67"]) == [row(1, 56), row(62, 34), row(67, 29)]
    assert highscores.members_from_score_range(4, 19) == rows[46:53]
    assert highscores.member_at(4) == row(92, 4)
    assert highscores.members_from_rank_range(1, 5) == rows[:5]
    assert highscores.all_leaders() == rows
    assert highscores.leaders(2, page_size=5) == rows[5:10]
    assert highscores.leaders(0, page_size=2) == rows[:2], "a page before the first is the first"
    assert highscores.leaders(100) == []
    assert highscores.leaders(1, page_size=2, members_only=True) == [{"member": "member_95"}, {"member": "member_94"}]


def test_rank_member_if(highscores: Leaderboard) -> None:
    def highscore_check(
        _board: Any, _member: str, current_score: float | None, score: float, _data: Any, options: dict[str, Any]
    ) -> bool:
        assert options == {"reverse": "desc"}
        return current_score is None or score > current_score

    for score, expected in ((1337, 1337.0), (1336, 1337.0), (1338, 1338.0)):
        highscores.rank_member_if(highscore_check, "david", score)
        assert highscores.score_for("david") == expected


def test_rank_member_across(highscores: Leaderboard, names: Names) -> None:
    more = names.fresh()
    names_ = [highscores.leaderboard_name, more]
    highscores.rank_member_across(names_, "david", 50000, {"member_name": "david"})
    assert [highscores.score_for_in(name, "david") for name in names_] == [50000.0, 50000.0]
    assert highscores.member_data_for("david") == "{'member_name': 'david'}"
    assert highscores.leaders_in(more, 1, with_member_data=True) == [
        {"member": "david", "score": 50000.0, "rank": 1, "member_data": "{'member_name': 'david'}"}
    ]


@pytest.mark.parametrize(
    ("kind", "ranks"),
    [
        (Leaderboard, [1, 2, 3, 4, 5]),
        (TieRankingLeaderboard, [1, 1, 2, 2, 3]),
        (CompetitionRankingLeaderboard, [1, 1, 3, 3, 5]),
    ],
)
@pytest.mark.parametrize("order", ["desc", "asc"])
def test_ties(server: Server, names: Names, kind: type[Leaderboard], ranks: list[int], order: str) -> None:
    board = kind(names.fresh(), server=server, order=order)
    board.rank_members(["member_1", 50, "member_2", 50, "member_3", 30, "member_4", 30, "member_5", 10])
    if order == "asc":
        board.rank_members(["member_1", 10, "member_2", 10, "member_3", 30, "member_4", 30, "member_5", 50])
    leaders = board.leaders(1)
    assert [leader["rank"] for leader in leaders] == ranks
    assert leaders == board.leaders(1), "equal scores stand in one fixed order"
    assert {leaders[0]["member"], leaders[1]["member"]} == {"member_1", "member_2"}


def test_questions_about_one_member(highscores: Leaderboard) -> None:
    rank_all(highscores, *range(1, 13))
    assert highscores.check_member("member_1")
    assert not highscores.check_member("nobody")
    assert highscores.score_and_rank_for("member_12") == row(12, 1)
    assert highscores.score_and_rank_for("nobody") == {"member": "nobody", "score": None, "rank": None}
    percentiles = [highscores.percentile_for(f"member_{i}") for i in (1, 2, 3, 4, 12)]
    assert percentiles == [0, 9, 17, 25, 92]
    assert highscores.percentile_for("nobody") is None
    assert (highscores.page_for("member_12", 5), highscores.page_for("member_1", 5)) == (1, 3)
    assert highscores.page_for("nobody") == 0
    assert highscores.around_me("nobody") == []
    assert highscores.member_at(0) is highscores.member_at(13) is None
    assert highscores.total_members_in_score_range(2, 5) == 4
    assert highscores.total_scores() == 78.0
    assert highscores.top(2) == [row(12, 1), row(11, 2)]


def test_score_for_percentile(highscores: Leaderboard) -> None:
    assert highscores.score_for_percentile(50) is None
    rank_all(highscores, *range(1, 6))
    scores = [highscores.score_for_percentile(p) for p in (0, 75, 87.5, 93.75, 100)]
    assert scores == [1.0, 4.0, 4.5, 4.75, 5.0]
    assert highscores.score_for_percentile(-1) is highscores.score_for_percentile(101) is None


def test_change_score_for(highscores: Leaderboard) -> None:
    highscores.change_score_for("member_1", 5)
    assert highscores.score_for("member_1") == 5.0
    highscores.change_score_for("member_1", -0.1)
    highscores.change_score_for("member_1", 0.2)
    assert highscores.score_for("member_1") == 5.1
    highscores.rank_member("member_1", 3, "Ann")
    assert (highscores.score_for("member_1"), highscores.member_data_for("member_1")) == (3.0, "Ann")


def test_members_go_and_come_back(highscores: Leaderboard) -> None:
    rank_all(highscores, 1, 2, 3, 4, 5, 6)
    highscores.rank_member("member_3", 7, "Cid")
    highscores.remove_member("member_3")
    assert highscores.total_members() == 5
    assert highscores.score_for("member_3") is None
    highscores.rank_member("member_3", 3)
    assert highscores.score_and_rank_for("member_3") == row(3, 4)
    assert highscores.member_data_for("member_3") is None, "the data went with the member"
    highscores.remove_members_in_score_range(2, 4)
    assert [leader["member"] for leader in highscores.all_leaders()] == ["member_6", "member_5", "member_1"]
    assert highscores.remove_members_outside_rank(2) == 1
    assert highscores.leaders(1) == [row(6, 1), row(5, 2)]
    highscores.remove_member("nobody")


def test_member_data(highscores: Leaderboard) -> None:
    highscores.rank_member("ann", 1, "Ann")
    highscores.update_member_data("ann", "Anna")
    assert highscores.members_data_for(["ann", "nobody"]) == ["Anna", None]
    highscores.remove_member_data("ann")
    assert highscores.member_data_for("ann") is None
    with pytest.raises(ValueError, match="128 characters"):
        highscores.update_member_data("ann", "x" * 129)


def test_lists(highscores: Leaderboard) -> None:
    rank_all(highscores, 1, 2, 3)
    missing = {"member": "nobody", "score": None, "rank": None}
    assert highscores.ranked_in_list(["member_1", "nobody", "member_3"]) == [row(1, 3), missing, row(3, 1)]
    assert highscores.ranked_in_list(["member_1", "nobody"], include_missing=False) == [row(1, 3)]
    by_rank = highscores.ranked_in_list(["member_1", "nobody", "member_3"], sort_by="rank")
    assert by_rank == [row(3, 1), row(1, 3), missing]


def test_merge_and_intersect(server: Server, names: Names) -> None:
    one, two, three = (names.fresh() for _ in range(3))
    board = Leaderboard(one, server=server)
    board.rank_members(["foo", 1, "bar", 2])
    board.rank_members_in(two, ["foo", 3, "baz", 4])
    board.merge_leaderboards(three, [two])
    assert [(leader["member"], leader["score"]) for leader in board.leaders_in(three, 1)] == [
        ("foo", 4.0),
        ("baz", 4.0),
        ("bar", 2.0),
    ]
    board.intersect_leaderboards(three, [two], aggregate="max")
    assert board.leaders_in(three, 1) == [{"member": "foo", "score": 3.0, "rank": 1}]


def test_delete_and_expire(highscores: Leaderboard) -> None:
    assert highscores.leaders(1) == []
    highscores.delete_leaderboard()
    highscores.rank_member("ann", 1)
    highscores.delete_leaderboard()
    assert highscores.total_members() == 0
    with pytest.raises(NotImplementedError, match="window"):
        highscores.expire_leaderboard(10)
    with pytest.raises(NotImplementedError):
        highscores.expire_leaderboard_at(10)


def test_what_is_wrong_is_told(server: Server, names: Names) -> None:
    with pytest.raises(ValueError, match="not one of"):
        Leaderboard("x", server=server, order="sideways")
    board = Leaderboard(names.fresh(), server=server, scale=0, page_size=0)
    assert board.page_size == 25
    with pytest.raises(ValueError, match="amount_scale"):
        board.rank_member("ann", 0.5)
