"""The raw contents of a board in Redis, in parts: members and scores, tie prefixes, grant times, distinct scores, sums.

These calls are for comparisons with the ledger; handlers read boards by the scripts of boards.py. Members have the
digits of a tie break before the name. Scores are keys: scaled units times the namespace's sign.
"""

from collections.abc import Iterable, Sequence

from ..drivers.redis import Call
from ..model.namespace import Namespace
from . import keys
from .sum_tree import TOP_NODES


def user_count_call(namespace: Namespace, board: str) -> Call:
    """Asks how many users stand on a board. O(1)."""
    return ("ZCARD", keys.board(namespace.partition, namespace.id, board))


def member_page_call(namespace: Namespace, board: str, first: int, count: int) -> Call:
    """Asks for `count` members from index `first` on, each followed by its score. O(log n + count)."""
    key = keys.board(namespace.partition, namespace.id, board)
    return ("ZRANGE", key, first, first + count - 1, "WITHSCORES")


def member_scan_call(namespace: Namespace, board: str, cursor: bytes, count: int) -> Call:
    """Asks for the next cursor and about `count` members, each followed by its score. O(count)."""
    return ("ZSCAN", keys.board(namespace.partition, namespace.id, board), cursor, "COUNT", count)


def member_scores_call(namespace: Namespace, board: str, members: Iterable[bytes]) -> Call:
    """Asks for the scores of some members; None for one that is not there. O(members)."""
    return ("ZMSCORE", keys.board(namespace.partition, namespace.id, board), *members)


def tie_prefixes_call(namespace: Namespace, board: str, users: Iterable[str]) -> Call:
    """Asks for the digits before some users' names; None for a user without any. O(users)."""
    return ("HMGET", keys.tie_prefixes(namespace.partition, namespace.id, board), *users)


def tie_prefix_count_call(namespace: Namespace, board: str) -> Call:
    """Asks how many users have a tie prefix on a board. O(1)."""
    return ("HLEN", keys.tie_prefixes(namespace.partition, namespace.id, board))


def grant_time_count_call(namespace: Namespace, board: str) -> Call:
    """Asks how many users have a grant time on a board. O(1)."""
    return ("HLEN", keys.grant_times(namespace.partition, namespace.id, board))


def distinct_score_scan_call(namespace: Namespace, board: str, cursor: bytes, count: int) -> Call:
    """Asks for the next cursor and about `count` of the distinct scores, each followed by its score. O(count)."""
    return ("ZSCAN", keys.distinct_scores(namespace.partition, namespace.id, board), cursor, "COUNT", count)


def distinct_score_calls(namespace: Namespace, board: str, names: Sequence[bytes]) -> list[Call]:
    """Asks for the score of each of some distinct scores, then how many users have each. O(names × log n)."""
    p, ns = namespace.partition, namespace.id
    scores, key = keys.distinct_scores(p, ns, board), keys.board(p, ns, board)
    return [*(("ZSCORE", scores, name) for name in names), *(("ZCOUNT", key, name, name) for name in names)]


def sum_tree_scan_call(namespace: Namespace, board: str, cursor: bytes, count: int) -> Call:
    """Asks for the next cursor and about `count` nodes of a board's sum tree, each followed by its sum. O(count)."""
    return ("HSCAN", keys.sum_tree(namespace.partition, namespace.id, board), cursor, "COUNT", count)


def top_sums_call(namespace: Namespace, board: str) -> Call:
    """Asks for the sums of the top nodes of a board's sum tree; None for an empty node. O(1)."""
    return ("HMGET", keys.sum_tree(namespace.partition, namespace.id, board), *TOP_NODES)
