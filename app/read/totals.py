"""The totals of many users in one answer."""

import asyncio
from typing import Annotated, Any

import msgspec

from ..model.errors import TooLarge
from ..model.namespace import Namespace
from ..model.text import ID_BYTES_MAX, check_text
from ..store.boards import read_totals, totals_call
from ..store.read_batcher import ReadBatcher
from ..store.visibility import hidden_among
from .board_bodies import totals_body

#: Users of one question: each is a look-up in Redis.
USERS_MAX = 500
#: Bytes of the body that names them: as many ids of the longest, each character escaped.
USERS_BYTES_MAX = 512 * 1024


#: Users of one call: Redis answers others between two calls.
USERS_A_CALL_MAX = 100
#: Fields that one call reads, some 1 ms of Redis; one user alone may have more, as categories and sources allow.
FIELDS_A_CALL_MAX = 4_000
#: Fields of one answer, some 2 MB: 500 users with 200 categories and sources each.
FIELDS_MAX = 100_000
#: Users whose few balances cost Redis as much as a common read.
_USERS_A_WEIGHT = 10
#: Users whose rows are made before others have their turn on the event loop.
_YIELD_EVERY = 20


class UserList(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whose totals are asked for."""

    users: Annotated[tuple[str, ...], msgspec.Meta(min_length=1, max_length=USERS_MAX)]


def check_users(asked: UserList) -> list[str]:
    """The users, each once, in the order asked. Invalid, naming the first that is no id."""
    for place, user in enumerate(asked.users):
        check_text(user, f"$.users[{place}]", ID_BYTES_MAX)
    return list(dict.fromkeys(asked.users))


async def totals_of(
    batcher: ReadBatcher, namespace: Namespace, users: list[str], *, shown_alone: bool
) -> dict[str, Any]:
    """What each user has in a namespace, in the order asked; `missing`: those without a grant there, and where
    `shown_alone` who is hidden.

    Each user's numbers are of one moment, those of several users may lie milliseconds apart. O(users + their categories
    and sources); a call of Redis reads so many of them at most, and several calls let others in between. TooLarge where
    there are more than an answer tells; StoreUnavailable, Recovering.
    """
    counted = _FieldCount()
    groups = [users[first : first + USERS_A_CALL_MAX] for first in range(0, len(users), USERS_A_CALL_MAX)]
    found = await asyncio.gather(*(_balances(batcher, namespace, group, counted) for group in groups))
    held = {user: balances for group in found for user, balances in group.items()}
    if shown_alone:
        held |= {user: {} for user in await hidden_among(batcher.call, namespace, users)}
    totals = []
    for i, (user, balances) in enumerate(held.items(), 1):
        if balances:
            totals.append(totals_body(namespace, user, balances))
        if i % _YIELD_EVERY == 0:
            await asyncio.sleep(0)
    return {
        "namespace": namespace.name,
        "totals": totals,
        "missing": [user for user, balances in held.items() if not balances],
    }


class _FieldCount:
    """How many fields an answer has so far."""

    def __init__(self) -> None:
        self._fields = 0

    def add(self, fields: int) -> None:
        """TooLarge where these are too many."""
        self._fields += fields
        if self._fields > FIELDS_MAX:
            raise TooLarge(f"these users have more than {FIELDS_MAX:,} balances; ask for fewer users", field="$.users")


async def _balances(
    batcher: ReadBatcher, namespace: Namespace, users: list[str], counted: _FieldCount
) -> dict[str, dict[str, int]]:
    """Of some users, call by call."""
    found: dict[str, dict[str, int]] = {}
    while len(found) < len(users):
        due = users[len(found) :]
        weight = 1 + len(due) // _USERS_A_WEIGHT
        told = read_totals(await batcher.call(totals_call(namespace, due, FIELDS_A_CALL_MAX), weight))
        counted.add(sum(map(len, told)))
        found |= zip(due, told, strict=False)
    return found
