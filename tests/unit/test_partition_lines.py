"""What is wrong with partitions is told once for each cause."""

import pytest

from app.model.partition_lines import partition_lines, partitions_text


@pytest.mark.parametrize(
    ("partitions", "text"),
    [
        ([3], "partition 3"),
        ([5, 3], "partitions 3, 5"),
        ([0, 1], "partitions 0, 1"),
        ([0, 1, 2], "partitions 0 to 2"),
        ([27, *range(33, 64), 9], "partitions 9, 27, 33 to 63"),
    ],
)
def test_numbers_are_told_by_runs(partitions: list[int], text: str) -> None:
    assert partitions_text(partitions) == text


def lost(p: int) -> str:
    return f"partition {p}: Redis lost lb:{{{p}}}:meta: run leaderboard rebuild --partition {p}"


def test_one_partition_has_its_own_command() -> None:
    assert partition_lines({3: lost(3)}, 16) == [lost(3)]
    assert partition_lines({3: "it is closed"}, 16) == ["partition 3: it is closed"]


def test_some_partitions_share_a_line() -> None:
    (line,) = partition_lines({p: lost(p) for p in range(5, 16)}, 16)
    command = "run leaderboard rebuild --partition N (for each N)"
    assert line == f"partitions 5 to 15: Redis lost lb:{{N}}:meta: {command}"


def test_all_partitions_have_the_command_for_all() -> None:
    (line,) = partition_lines({p: lost(p) for p in range(16)}, 16)
    assert line == "partitions 0 to 15: Redis lost lb:{N}:meta: run leaderboard rebuild"


@pytest.mark.parametrize("command", ["recover", "rebuild --from-redis"])
def test_a_command_that_takes_each_that_needs_it_is_named_for_all(command: str) -> None:
    details = {p: f"it lost entries: run leaderboard {command} --partition {p}" for p in (1, 12)}
    assert partition_lines(details, 16) == [f"partitions 1, 12: it lost entries: run leaderboard {command}"]


def test_causes_that_differ_have_lines_of_their_own() -> None:
    details = {1: "it is closed", 0: lost(0), 2: "it is closed"}
    assert partition_lines(details, 16) == [lost(0), "partitions 1, 2: it is closed"]


def test_a_cause_that_names_no_partition_is_told_once_where_it_is_that_of_all() -> None:
    assert partition_lines(dict.fromkeys(range(4), "Redis does not answer"), 4) == ["Redis does not answer"]
