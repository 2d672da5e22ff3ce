"""The totals of many users in one answer."""

import asyncio
from typing import Annotated, Any

import msgspec

from ..model.namespace import Namespace
from ..model.text import ID_BYTES_MAX, check_text
from ..store.boards import read_standing, standing_call
from ..store.gather import Gatherer
from ..store.veil import hidden_among
from .boards import totals_body

#: Users of one question: each is a look-up in Redis.
USERS_MAX = 500
#: Bytes of the body that names them: as many ids of the longest, each character escaped.
USERS_BYTES_MAX = 512 * 1024


class Users(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whose totals are asked for."""

    users: Annotated[tuple[str, ...], msgspec.Meta(min_length=1, max_length=USERS_MAX)]


def check_users(asked: Users) -> list[str]:
    """The users, each once, in the order asked. Invalid, naming the first that is no id."""
    for place, user in enumerate(asked.users):
        check_text(user, f"$.users[{place}]", ID_BYTES_MAX)
    return list(dict.fromkeys(asked.users))


async def read_totals(
    gatherer: Gatherer, namespace: Namespace, users: list[str], *, shown_alone: bool
) -> dict[str, Any]:
    """What each user has in a namespace, in the order asked; `missing`: those without a grant there, and where
    `shown_alone` who is hidden.

    The calls travel together, so it takes the time of a round or two; each user's numbers are of one moment, those of
    several users may lie milliseconds apart. O(users + their categories and sources). StoreUnavailable, Recovering.
    """
    replies = await asyncio.gather(*(gatherer.call(standing_call(namespace, user, [])) for user in users))
    held = {user: read_standing(reply)[0] for user, reply in zip(users, replies, strict=True)}
    if shown_alone:
        held |= {user: {} for user in await hidden_among(gatherer.call, namespace, users)}
    return {
        "namespace": namespace.name,
        "totals": [totals_body(namespace, user, balances) for user, balances in held.items() if balances],
        "missing": [user for user, balances in held.items() if not balances],
    }
