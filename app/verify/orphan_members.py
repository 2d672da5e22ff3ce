"""Finds what is on a board and belongs to nobody: members without a user in the ledger, second members of a user,
distinct scores that nobody has, and sums without scores."""

from collections.abc import Iterable, Sequence

from ..drivers.redis import ask, transact
from ..model.namespace import Namespace
from ..model.tie_break import DIGITS, describe_tie_place, tie_place_from_digits
from ..store.board_dump import (
    distinct_score_calls,
    distinct_score_scan_call,
    member_scan_call,
    member_scores_call,
    sum_tree_scan_call,
    tie_prefixes_call,
)
from ..store.partitions import read_last_seq
from ..store.sum_tree import BROKEN, integer_of, keys_of, node_named, parent_of, tree_call
from .connections import StoreConnections
from .redis_values import score_of
from .report import decimal_text

#: Members that one call scans: a ms of Redis or less.
_A_CALL = 1_000


async def orphan_members(stores: StoreConnections, namespace: Namespace, board: str) -> list[str]:
    """Members of a board without an entry in the ledger, and members with other tie digits than their user has. O(the
    board)."""
    findings, cursor, tie_break = [], b"0", namespace.rules.tie_break
    count = DIGITS[tie_break]
    while True:
        cursor, flat = await ask(stores.link, member_scan_call(namespace, board, cursor, _A_CALL))
        members = {member: member[count:].decode(errors="replace") for member in flat[::2]}
        known = await _known(stores, namespace, members.values())
        suspects = [member for member, name in members.items() if name not in known]
        suspects += await _out_of_order(stores, namespace, board, members) if count else []
        for member, score in zip(suspects, await _scores(stores, namespace, board, suspects), strict=True):
            if score is not None:
                since = _since(member, tie_break) if count and members[member] in known else ""
                text = _describe(namespace, score)
                findings.append(f"{members[member]!r}, board {board}: {text}{since} in Redis, nothing by the ledger")
        if cursor == b"0":
            return findings


async def _known(stores: StoreConnections, namespace: Namespace, names: Iterable[str]) -> set[str]:
    """Those of some names with an entry in the ledger. Waits until the ledger has everything that was applied."""
    await stores.wait_for_ledger(namespace.partition, await read_last_seq(stores.link, namespace.partition))
    return {row["name"] for row in await stores.fetch("find_known_users", namespace.id, list(names))}


async def _out_of_order(
    stores: StoreConnections, namespace: Namespace, board: str, members: dict[bytes, str]
) -> list[bytes]:
    """Members whose digits differ from the tie prefix of their user, read at one instant."""
    if not members:
        return []
    calls = [tie_prefixes_call(namespace, board, members.values()), member_scores_call(namespace, board, members)]
    digits, scores = await transact(stores.link, calls)
    return [
        member
        for member, first, score in zip(members, digits, scores, strict=True)
        if score is not None and first is not None and member[: DIGITS[namespace.rules.tie_break]] != first
    ]


async def _scores(
    stores: StoreConnections, namespace: Namespace, board: str, members: Sequence[bytes]
) -> list[bytes | None]:
    return list(await ask(stores.link, member_scores_call(namespace, board, members))) if members else []


async def orphan_scores(stores: StoreConnections, namespace: Namespace, board: str) -> list[str]:
    """Distinct scores that no user has, each checked at one instant. O(scores × log n)."""
    findings, cursor = [], b"0"
    while True:
        cursor, flat = await ask(stores.link, distinct_score_scan_call(namespace, board, cursor, _A_CALL))
        names = flat[::2]
        replies = await transact(stores.link, distinct_score_calls(namespace, board, names)) if names else []
        for name, score, users in zip(names, replies[: len(names)], replies[len(names) :], strict=True):
            if score is not None and (users == 0 or float(score) != float(name)):
                text = _describe(namespace, score)
                findings.append(f"board {board}: dense ranks count the score {text}, which nobody has")
        if cursor == b"0":
            return findings


def _describe(namespace: Namespace, score: bytes) -> str:
    key = score_of(score)
    return repr(score.decode()) if key is None else decimal_text(namespace.sign * key, namespace.rules.scale)


def _since(member: bytes, tie_break: str) -> str:
    tie_place = tie_place_from_digits(member, tie_break)
    if tie_place is None:
        return f" behind {member[: DIGITS[tie_break]]!r}"
    return f" as of seq {tie_place}" if tie_break == "earliest" else f" in line by {describe_tie_place(tie_place)}"


async def wrong_sums(stores: StoreConnections, namespace: Namespace, board: str) -> list[str]:
    """Nodes of the sum tree that differ from the sum of the scores or nodes below them. Each is checked at one instant,
    so that concurrent writes are seen whole. O(nodes × log n)."""
    cursor = b"0"
    findings: dict[int, str] = {}
    others: list[str] = []
    while True:
        cursor, flat = await ask(stores.link, sum_tree_scan_call(namespace, board, cursor, _A_CALL))
        nodes, strange = _nodes(flat[::2])
        others += [f"board {board}: {what}" for what in strange]
        wrong = await ask(stores.link, tree_call(namespace, board, nodes)) if nodes else []
        for node, actual, expected in zip(wrong[::3], wrong[1::3], wrong[2::3], strict=True):
            findings[int(node)] = f"board {board}: {_stretch(namespace, int(node), actual, expected)}"
        if cursor == b"0":
            return [*others, *findings.values()]


def _nodes(names: Iterable[bytes]) -> tuple[set[int], list[str]]:
    """The nodes among some fields, with the nodes above them, because a missing node has no field; and a sentence for
    each field that is not a node."""
    nodes, strange = set[int](), []
    for name in names:
        if name == BROKEN:
            strange.append("its bounded sums are marked as damaged")
        elif (node := node_named(name)) is None:
            strange.append(f"its bounded sums hold {name.decode(errors='replace')!r}, which is no stretch")
        else:
            nodes |= {node} | ({above} if (above := parent_of(node)) is not None else set())
    return nodes, strange


def _stretch(namespace: Namespace, node: int, actual: bytes | None, expected: bytes | None) -> str:
    ends = sorted(namespace.sign * key for key in keys_of(node))
    first, last = (decimal_text(end, namespace.rules.scale) for end in ends)

    def number(text: bytes | None) -> str:
        if text is None:
            return "no sum"
        if (units := integer_of(text)) is None:
            return repr(text.decode(errors="replace"))
        return decimal_text(namespace.sign * units, namespace.rules.scale)

    stored = number(actual or b"0")
    return f"the sum of scores from {first} to {last} is {stored}, what lies there comes to {number(expected)}"
