"""Nodes of a tree of sums by number."""

import pytest

from app.model.score import UNITS_MAX
from app.store.sum_tree import keys_of, node_named, parent_of


@pytest.mark.parametrize("key", [0, 7, 8, -1, -8, -9, 511, 512, UNITS_MAX, -UNITS_MAX])
def test_the_nodes_above_a_key_reach_over_it(key: int) -> None:
    node: int | None = key // 8 * 8
    seen: list[int] = []
    while node is not None:
        first, last = keys_of(node)
        assert first <= key <= last
        assert last - first + 1 == 8 * 64 ** len(seen)
        assert node_named(b"%d" % node) == node
        seen.append(node)
        node = parent_of(node)
    assert len(seen) == 8


STRANGE = [b"", b"-", b"x", b"01", b"-0", b"1.0", "٣".encode(), b"9" * 20, b"999999999999999999", b"\xff", b"1\n"]


@pytest.mark.parametrize("name", STRANGE)
def test_what_names_no_node(name: bytes) -> None:
    assert node_named(name) is None
