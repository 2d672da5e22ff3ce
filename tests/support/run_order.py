"""The order in which workers meet the tests."""

import pytest


def long_first(items: list[pytest.Item], workers: int) -> list[pytest.Item]:
    """Each worker begins with an equal run of the tests (pytest-xdist's `worksteal`); each run with its long ones."""
    long = [item for item in items if item.get_closest_marker("long")]
    others = [item for item in items if not item.get_closest_marker("long")]
    runs = [(long[worker::workers], len(items) * (worker + 1) // workers) for worker in range(workers)]
    ordered: list[pytest.Item] = []
    for first, end in runs:
        ordered += first
        ordered += [others.pop(0) for _ in range(end - len(ordered))]
    return ordered
