"""A board's tree of sums, see `lua/include/sum_tree.lua`: its nodes by number, and the keys below each."""

import re
from collections.abc import Iterable

from ..drivers.redis import Call, evalsha
from ..drivers.scripts import load
from ..model.namespace import Namespace
from ..model.score import UNITS_MAX
from . import fields, keys

CHECK_SUM_TREE = load("check_sum_tree")

BROKEN = fields.BROKEN.encode()
LEAF, FAN, LEVELS = 8, 64, 8
TOP_NODES = tuple(index * LEVELS + LEVELS - 1 for index in range(-FAN, FAN))


def node_named(name: bytes) -> int | None:
    """The node of a field of the hash; None if the field is not in canonical form or not a possible node."""
    node = integer_of(name)
    if node is None:
        return None
    first, last = keys_of(node)
    return node if last >= -UNITS_MAX and first <= UNITS_MAX else None


def integer_of(text: bytes) -> int | None:
    """An integer of any length in canonical form; None for any other text."""
    return int(text) if re.fullmatch(rb"0|-?[1-9]\d{0,63}", text) else None


def parent_of(node: int) -> int | None:
    """The node above; None at the top."""
    index, level = divmod(node, LEVELS)
    return None if level == LEVELS - 1 else index // FAN * LEVELS + level + 1


def keys_of(node: int) -> tuple[int, int]:
    """The first and the last key below a node."""
    index, level = divmod(node, LEVELS)
    width = LEAF * FAN**level
    return index * width, index * width + width - 1


def tree_call(namespace: Namespace, board: str, nodes: Iterable[int]) -> Call:
    """Asks which of some nodes differ from the sum of what is below them: node, sum, expected sum. O(nodes × log n)."""
    p, ns = namespace.partition, namespace.id
    return evalsha(CHECK_SUM_TREE, [keys.board(p, ns, board), keys.sum_tree(p, ns, board)], list(nodes))
