"""What stands on a board and belongs to nobody: members whom the ledger does not know, a second place of one whom it
knows, and scores that dense ranks are counted by though nobody has them."""

from collections.abc import Iterable, Sequence
from typing import Any

from ..model.namespace import Namespace
from ..store import keys
from ..store.boards import SINCE_DIGITS, since_of
from ..store.redis import Call, ask, at_once
from .lane import Lane
from .report import told

_A_CALL = 1_000


async def stray_members(lane: Lane, namespace: Namespace, board: str) -> list[str]:
    """Who stands on a board without an entry in the ledger, or not where their orders say. O(the board)."""
    p, ns, found = namespace.partition, namespace.id, []
    key, cursor, dated = keys.board(p, ns, board), b"0", namespace.rules.tie_break == "earliest"
    while True:
        cursor, flat = await ask(lane.link, ("ZSCAN", key, cursor, "COUNT", _A_CALL))
        members = {member: (member[SINCE_DIGITS:] if dated else member).decode() for member in flat[::2]}
        known = await _known(lane, namespace, members.values())
        suspects = [member for member, name in members.items() if name not in known]
        suspects += await _out_of_order(lane, namespace, board, members) if dated else []
        for member, score in zip(suspects, await _scores(lane, key, suspects), strict=True):
            if score is not None:
                since = f" as of seq {since_of(member)}" if dated and members[member] in known else ""
                held = told(namespace.sign * int(float(score)), namespace.rules.scale)
                found.append(f"{members[member]!r}, board {board}: {held}{since} in Redis, nothing by the ledger")
        if cursor == b"0":
            return found


async def _known(lane: Lane, namespace: Namespace, names: Iterable[str]) -> set[str]:
    """Those of some names who have an entry in the ledger, once it holds all that was applied."""
    seq = await ask(lane.link, ("HGET", keys.meta(namespace.partition), "seq"))
    await lane.flushed(namespace.partition, int(seq or 0))
    return {row["name"] for row in await lane.fetch("known_users", namespace.id, list(names))}


async def _out_of_order(lane: Lane, namespace: Namespace, board: str, members: dict[bytes, str]) -> list[bytes]:
    """Members that stand there at the instant at which their user's orders name other digits."""
    p, ns = namespace.partition, namespace.id
    if not members:
        return []
    calls: list[Call] = [("HMGET", keys.orders(p, ns, board), *members.values())]
    calls.append(("ZMSCORE", keys.board(p, ns, board), *members))
    digits, scores = await at_once(lane.link, calls)
    return [
        member
        for member, first, score in zip(members, digits, scores, strict=True)
        if score is not None and first is not None and member[:SINCE_DIGITS] != first
    ]


async def _scores(lane: Lane, key: str, members: Sequence[bytes]) -> list[Any]:
    return list(await ask(lane.link, ("ZMSCORE", key, *members))) if members else []


async def stray_scores(lane: Lane, namespace: Namespace, board: str) -> list[str]:
    """Scores that dense ranks are counted by and nobody has, each looked for at one instant. O(scores × log n)."""
    p, ns, found, cursor = namespace.partition, namespace.id, [], b"0"
    kept, key = keys.scores(p, ns, board), keys.board(p, ns, board)
    while True:
        cursor, flat = await ask(lane.link, ("ZSCAN", kept, cursor, "COUNT", _A_CALL))
        names = flat[::2]
        calls: list[Call] = [("ZSCORE", kept, name) for name in names]
        calls += [("ZCOUNT", key, name, name) for name in names]
        replies = await at_once(lane.link, calls) if names else []
        for name, score, users in zip(names, replies[: len(names)], replies[len(names) :], strict=True):
            if score is not None and (users == 0 or float(score) != float(name)):
                held = told(namespace.sign * int(float(score)), namespace.rules.scale)
                found.append(f"board {board}: dense ranks count the score {held}, which nobody has")
        if cursor == b"0":
            return found
