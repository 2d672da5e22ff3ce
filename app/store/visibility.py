"""Carries out visibility intents: sets the state that the script reads, and applies the entries that move a user's
scores.

Servers and persisters use the same order, so that no score is missed: first the state in every partition; then, when
the ledger has what was applied before, every board on which it knows the user. Grants in between follow the state.
Every step may be repeated.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, NamedTuple

import asyncpg

from ..drivers.redis import Call, RedisConnection, ask_all, evalsha
from ..drivers.scripts import load
from ..model.entry import PlannedEntry
from ..model.namespace import Namespace
from ..model.visibility import STATES, UNHIDE, VisibilityIntent, visibility_entries
from . import keys
from .apply import Outcome
from .call_cost import portions
from .namespace_cache import namespace_from_row

SET_USER_STATE = load("set_user_state")
CLEAR_USER_STATE = load("clear_user_state")
DELETE_USER_VALUES = load("delete_user_values")

Fetch = Callable[..., Awaitable[list[asyncpg.Record]]]
Submit = Callable[[int, list[PlannedEntry]], Awaitable[list[Outcome]]]


class MoveOutcome(NamedTuple):
    """The result of applying a user's entries in a partition. place: epoch and seq of the last one; zeros: none."""

    done: bool
    place: tuple[int, int]


def intent_from_row(row: asyncpg.Record) -> VisibilityIntent:
    """An intent from its row."""
    return VisibilityIntent(
        *(row[name] for name in ("user_number", "name", "version", "desired_state", "actor", "namespace_id"))
    )


def state_call(p: int, intent: VisibilityIntent, sure: bool = False) -> Call:
    """The call that sets the state in a partition; a later state stays. sure: the caller has just read the intent.
    Otherwise the reply is −1 if the intent may be older than the last released state, so that an erased name does not
    return."""
    args: Call = [intent.name, intent.version, STATES[intent.desired_state], int(sure)]
    return evalsha(SET_USER_STATE, _state_keys(p, intent), args)


def clear_state_call(p: int, intent: VisibilityIntent) -> Call:
    """The call that removes the user's state from a partition, unless there is a later intent."""
    return evalsha(CLEAR_USER_STATE, _state_keys(p, intent), [intent.name, intent.version])


def delete_values_call(p: int, namespace_id: int, user: str) -> Call:
    """Deletes a user's balances and days in a namespace. O(them)."""
    prefixes = keys.balances(p, namespace_id), keys.days(p, namespace_id)
    names = [*(prefix + user for prefix in prefixes), keys.namespace(p, namespace_id)]
    return evalsha(DELETE_USER_VALUES, names, [])


def _state_keys(p: int, intent: VisibilityIntent) -> list[str]:
    ns = intent.namespace_id
    return [keys.hidden_in(p, ns), keys.meta(p), keys.namespace(p, ns)] if ns else [keys.hidden(p), keys.meta(p)]


async def plan(fetch: Fetch, intent: VisibilityIntent, partitions: Iterable[int]) -> dict[int, list[PlannedEntry]]:
    """The entries of each partition in which the ledger knows the user. O(the user's ledger rows there)."""
    rows = await fetch("get_boards_of_user", intent.number, list(partitions), intent.namespace_id)
    boards: dict[int, list[str]] = {}
    spaces = {row["id"]: namespace_from_row(row) for row in rows}
    for row in rows:
        entry_boards = spaces[row["id"]].boards_of(tuple(row["windows"]), row["category"])
        boards.setdefault(row["id"], []).extend(entry_boards)
    plans: dict[int, list[PlannedEntry]] = {}
    for number, namespace in spaces.items():
        entries = visibility_entries(namespace, intent, list(dict.fromkeys(boards[number])))
        plans.setdefault(namespace.partition, []).extend(entries)
    return plans


async def move(submit: Submit, p: int, entries: Sequence[PlannedEntry]) -> MoveOutcome:
    """Applies a partition's entries, some at a time. If one is refused, it is not done and must be tried again
    later."""
    last = 0, 0
    for part in portions(entries):
        for outcome in await submit(p, list(part.entries)):
            if outcome.code not in ("applied", "duplicate"):
                return MoveOutcome(False, last)
            last = max(last, (outcome.epoch or 0, outcome.seq or 0))
    return MoveOutcome(True, last)


async def hidden_among(call: Callable[[Call], Awaitable[Any]], namespace: Namespace, users: Sequence[str]) -> set[str]:
    """Those of some users who are off all boards of a namespace. O(users). StoreUnavailable."""
    if not users:
        return set()
    p, shown = namespace.partition, STATES[UNHIDE].encode()
    replies = await asyncio.gather(
        *(call(("HMGET", key, *users)) for key in (keys.hidden(p), keys.hidden_in(p, namespace.id)))
    )
    return {
        user
        for states in replies
        for user, state in zip(users, states, strict=True)
        if state is not None and not state.endswith(shown)
    }


async def is_hidden(call: Callable[[Call], Awaitable[Any]], namespace: Namespace, user: str) -> bool:
    """Whether a user is off all boards of a namespace. O(1)."""
    return bool(await hidden_among(call, namespace, [user]))


def has_state_call(namespace: Namespace, user: str) -> Call:
    """Asks whether a user has any visibility state in a namespace: 1 or 0. O(1)."""
    return ("HEXISTS", keys.hidden_in(namespace.partition, namespace.id), user)


async def read_users_with_state(link: RedisConnection, namespace: Namespace) -> list[str]:
    """The users who have a visibility state in a namespace or in its partition, each once. O(such users).
    RedisRefused."""
    p = namespace.partition
    hashes = await ask_all(link, [("HKEYS", key) for key in (keys.hidden(p), keys.hidden_in(p, namespace.id))])
    return list({name.decode() for names in hashes for name in names})
