"""POST totals: the balances of many users in one answer."""

import asyncio
from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from ..http.bodies import answer, check_query, decode_body
from ..model.errors import TooLarge
from ..model.namespace import Namespace
from ..model.text import ID_BYTES_MAX, check_text
from ..store.boards import read_totals, totals_call
from ..store.read_batcher import ReadBatcher
from ..store.visibility import hidden_among
from .authorizer import ReadAuthorizer
from .board_bodies import totals_body

#: Users of one request: each is a look-up in Redis.
USERS_MAX = 500
#: Bytes of the body: so many of the longest ids, with each character escaped.
USERS_BYTES_MAX = 512 * 1024
#: Users of one call: Redis answers other clients between two calls.
USERS_A_CALL_MAX = 100
#: Fields that one call reads, some 1 ms of Redis. One user may have more, depending on categories and sources.
FIELDS_A_CALL_MAX = 4_000
#: Fields of one answer, some 2 MB: 500 users with 200 categories and sources each.
FIELDS_MAX = 100_000
#: Users whose few balances cost Redis as much as a usual read.
_USERS_A_WEIGHT = 10
#: Users whose rows are built before other tasks have their turn on the event loop.
_YIELD_EVERY = 20


class UsersRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The users of a request."""

    users: Annotated[tuple[str, ...], msgspec.Meta(min_length=1, max_length=USERS_MAX)]


class TotalsHandlers:
    """Balances of users."""

    def __init__(self, batcher: ReadBatcher, authorizer: ReadAuthorizer) -> None:
        self._batcher = batcher
        self._authorizer = authorizer

    async def get(self, request: Request) -> Response:
        """`POST /v1/namespaces/{ns}/totals`: `{"users":[…]}`, at most 500."""
        check_query(request)
        name = request.path_params["namespace"]
        await self._authorizer.check(request.scope, name)
        users = check_users((await decode_body(request, UsersRequest, bytes_max=USERS_BYTES_MAX)).users)
        async for admission in self._authorizer.admissions(request.scope, name):
            without_hidden = not admission.principal.may("read", name)
            body = await totals_of(self._batcher, admission.namespace, users, without_hidden=without_hidden)
        return answer(request, body)


def check_users(users: Sequence[str]) -> list[str]:
    """The users in their order, each once. Invalid, naming the first that is not an id."""
    for index, user in enumerate(users):
        check_text(user, f"$.users[{index}]", ID_BYTES_MAX)
    return list(dict.fromkeys(users))


async def totals_of(
    batcher: ReadBatcher, namespace: Namespace, users: list[str], *, without_hidden: bool
) -> dict[str, Any]:
    """The balances of each user in a namespace, in the order of the users; `missing`: users without a grant there, and
    with `without_hidden` hidden users.

    Each user's numbers are of one moment. Those of several users may be some milliseconds apart. O(users + their
    categories and sources), in calls of bounded size: Redis answers other clients between two of them. TooLarge for
    more fields than one answer may have; StoreUnavailable, Recovering.
    """
    count = _FieldCount()
    groups = [users[first : first + USERS_A_CALL_MAX] for first in range(0, len(users), USERS_A_CALL_MAX)]
    parts = await asyncio.gather(*(_balances(batcher, namespace, group, count) for group in groups))
    balances_by_user = {user: balances for part in parts for user, balances in part.items()}
    if without_hidden:
        balances_by_user |= {user: {} for user in await hidden_among(batcher.call, namespace, users)}
    totals = []
    for i, (user, balances) in enumerate(balances_by_user.items(), 1):
        if balances:
            totals.append(totals_body(namespace, user, balances))
        if i % _YIELD_EVERY == 0:
            await asyncio.sleep(0)
    return {
        "namespace": namespace.name,
        "totals": totals,
        "missing": [user for user, balances in balances_by_user.items() if not balances],
    }


class _FieldCount:
    """How many fields an answer has so far."""

    def __init__(self) -> None:
        self._fields = 0

    def add(self, fields: int) -> None:
        """Counts fields. TooLarge beyond FIELDS_MAX."""
        self._fields += fields
        if self._fields > FIELDS_MAX:
            raise TooLarge(f"these users have more than {FIELDS_MAX:,} balances; ask for fewer users", field="$.users")


async def _balances(
    batcher: ReadBatcher, namespace: Namespace, users: list[str], count: _FieldCount
) -> dict[str, dict[str, int]]:
    """The balances of some users. Each call reads as many users as its bound of fields allows."""
    balances_by_user: dict[str, dict[str, int]] = {}
    while len(balances_by_user) < len(users):
        rest = users[len(balances_by_user) :]
        weight = 1 + len(rest) // _USERS_A_WEIGHT
        some = read_totals(await batcher.call(totals_call(namespace, rest, FIELDS_A_CALL_MAX), weight))
        count.add(sum(map(len, some)))
        balances_by_user |= zip(rest, some, strict=False)
    return balances_by_user
