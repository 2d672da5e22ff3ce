"""A user's balances in a namespace: the latest changes, and the scores of a hidden user."""

from collections.abc import Sequence

from ..drivers.redis import Call, RedisConnection, ask_all
from ..model.namespace import Namespace
from . import fields, keys
from .namespace_cache import rules_version_call


def last_change_call(p: int, namespace_id: int, user: str) -> Call:
    """Asks for the seq of a user's latest change; None for a user without balances. O(1)."""
    return ("HGET", keys.balances(p, namespace_id) + user, fields.SEQ)


def last_changes_call(namespace: Namespace, user: str) -> Call:
    """Asks for the seqs of a user's latest change and of the latest that was no grant; None: there is none. O(1)."""
    key = keys.balances(namespace.partition, namespace.id) + user
    return ("HMGET", key, fields.SEQ, fields.CORRECTED)


async def read_plan_base(link: RedisConnection, p: int, namespace_id: int, user: str) -> tuple[int | None, int]:
    """The basis of a plan for a user: the version of the namespace's rules (None: unknown to the partition), and the
    seq of the user's latest change (0: none). O(1). RedisRefused."""
    calls = rules_version_call(p, namespace_id), last_change_call(p, namespace_id, user)
    version, seq = await ask_all(link, calls)
    return None if version is None else int(version), int(seq or 0)


def balances_call(namespace: Namespace, user: str) -> Call:
    """Asks for all fields of a user's balances, each followed by its value. O(fields)."""
    return ("HGETALL", keys.balances(namespace.partition, namespace.id) + user)


def hidden_score_calls(namespace: Namespace, board: str, users: Sequence[str]) -> list[Call]:
    """Asks for the hidden score of each of some users on a board; None: there is none. O(1) each."""
    prefix, field = keys.balances(namespace.partition, namespace.id), fields.HIDDEN_SCORE + board
    return [("HGET", prefix + user, field) for user in users]
