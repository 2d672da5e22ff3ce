"""The order in which workers meet the tests."""

import random
from collections.abc import Sequence

import pytest

#: Shuffles the files. Any number will do: a new one is a new order, and the same one the same order again.
SEED = 1


def mix(items: Sequence[pytest.Item], workers: int) -> list[pytest.Item]:
    """Each worker begins with an equal run of the tests (pytest-xdist's `worksteal`); each run with its long ones.

    The files are mixed, so that a run has some of those that wait and some of those that work at any time; the tests of
    a file stay together, for the sake of what they share."""
    by_file: dict[str, list[pytest.Item]] = {}
    for item in items:
        by_file.setdefault(str(item.path), []).append(item)
    files = sorted(by_file)
    if workers > 1:
        random.Random(SEED).shuffle(files)
    ordered_files = [item for file in files for item in by_file[file]] if workers > 1 else list(items)
    long = [item for item in ordered_files if item.get_closest_marker("long")]
    others = [item for item in ordered_files if not item.get_closest_marker("long")]
    runs = [(long[worker::workers], len(ordered_files) * (worker + 1) // workers) for worker in range(workers)]
    ordered: list[pytest.Item] = []
    for first, end in runs:
        ordered += first
        ordered += [others.pop(0) for _ in range(end - len(ordered))]
    return ordered
