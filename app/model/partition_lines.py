"""What is wrong with some partitions, a line for each cause: most of the time all of them have the same one."""

from collections.abc import Iterable, Mapping
from itertools import groupby

_OPTION = " --partition "
#: What the place of a partition's number takes where a line is about several.
_ANY = "N"


def partition_lines(details: Mapping[int, str], total: int) -> list[str]:
    """A line for each cause, in the order of the first partitions. details: by partition, why it is not used; total:
    how many partitions there are. In a line about several, `N` stands for the number of each. O(partitions)."""
    by_cause: dict[str, list[int]] = {}
    for p, detail in sorted(details.items()):
        by_cause.setdefault(_cause(p, detail), []).append(p)
    return [_line(details[partitions[0]], cause, partitions, total) for cause, partitions in by_cause.items()]


def partitions_text(partitions: Iterable[int]) -> str:
    """Their numbers: `partition 3`, `partitions 0, 5 to 63`."""
    numbers = sorted(partitions)
    # Numbers of one run have the same distance from their places in the list.
    groups = (list(run) for _, run in groupby(enumerate(numbers), key=lambda pair: pair[1] - pair[0]))
    runs = [[number for _, number in run] for run in groups]
    parts = [f"{run[0]} to {run[-1]}" if len(run) > 2 else ", ".join(map(str, run)) for run in runs]
    return f"partition{'' if len(numbers) == 1 else 's'} {', '.join(parts)}"


def _cause(p: int, detail: str) -> str:
    """A detail without its partition."""
    text = detail.removeprefix(f"partition {p}: ")
    return text.replace(f"{_OPTION}{p}", f"{_OPTION}{_ANY}").replace(f"{{{p}}}", f"{{{_ANY}}}")


def _line(first: str, cause: str, partitions: list[int], total: int) -> str:
    if len(partitions) == total and first == cause:
        return first
    if len(partitions) == 1:
        return f"{partitions_text(partitions)}: {first.removeprefix(f'partition {partitions[0]}: ')}"
    return f"{partitions_text(partitions)}: {_of_several(cause, is_all=len(partitions) == total)}"


def _of_several(cause: str, *, is_all: bool) -> str:
    """Commands for one partition as a reader of a line about several needs them: `recover` and `rebuild --from-redis`
    take each that needs it, and `rebuild` takes all."""
    for command in ("recover", "rebuild --from-redis"):
        cause = cause.replace(f"leaderboard {command}{_OPTION}{_ANY}", f"leaderboard {command}")
    if is_all:
        return cause.replace(f"{_OPTION}{_ANY}", "")
    return f"{cause} (for each {_ANY})" if _OPTION in cause else cause
