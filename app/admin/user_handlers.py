"""Hiding users, showing them again, and erasing them."""

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from ..access.guard import principal_of, require_any_scope, require_scope
from ..access.keys import Keyring, Principal
from ..access.rate_limit import RateLimit
from ..http.bodies import answer, check_bodiless, check_query
from ..model.errors import Problem
from ..model.namespace import Namespace
from ..model.text import ID_BYTES_MAX, check_text
from ..store.namespace_cache import NamespaceCache
from .erasures import Erasures
from .visibility_intents import VisibilityIntents, VisibilityRecord

#: Seconds that a request waits for an erasure; after them it answers 202, and a persister goes on.
ERASE_S_MAX = 5.0
#: Profiles, and changes of who is seen, that one key may write a second, on average: a large game's logins. Each is a
#: write of Postgres, and has every server look something up.
USER_CHANGES_A_SECOND_MAX = 200
#: Of these one key may make so many at once, if it made none before: five seconds' worth.
USER_CHANGES_BURST_MAX = 1_000


class UserHandlers:
    """Users as administrators treat them: in one namespace, or in the whole deployment with a key that is admin of it.
    A user is off the boards of a namespace while either of both hides them.

    pace: of each key, shared with those who write profiles; None where quotas are off.
    """

    def __init__(
        self,
        intents: VisibilityIntents,
        erasures: Erasures,
        namespace_cache: NamespaceCache,
        keyring: Keyring,
        pace: RateLimit | None,
    ) -> None:
        self._intents = intents
        self._erasures = erasures
        self._namespace_cache = namespace_cache
        self._keyring = keyring
        self._rate_limit = pace

    async def hide(self, request: Request) -> Response:
        """`POST /v1/users/{user}/hide`: off every board, of users without a grant too; scores are kept."""
        return await self._set(request, True)

    async def unhide(self, request: Request) -> Response:
        """`POST /v1/users/{user}/unhide`: back where they were, unless they opted out."""
        return await self._set(request, False)

    async def hide_in(self, request: Request) -> Response:
        """`POST /v1/namespaces/{ns}/users/{user}/hide`: off its boards alone."""
        return await self._set_in(request, True)

    async def unhide_in(self, request: Request) -> Response:
        """`POST /v1/namespaces/{ns}/users/{user}/unhide`: back on its boards, unless they opted out there, or are off
        every board."""
        return await self._set_in(request, False)

    async def _set(self, request: Request, hidden: bool) -> Response:
        """200, or 202 where it is recorded and not yet true in so many partitions: the persisters see to it.

        Unauthorized, Forbidden, RateLimited, Invalid, UserErasing, UserNotFound (of `unhide`), StoreUnavailable. O(the
        user's boards).
        """
        user, principal = await self._user_and_principal(request)
        return await self._change(request, user, principal, hidden, None)

    async def _set_in(self, request: Request, hidden: bool) -> Response:
        """The same in one namespace, whose partition is one. NamespaceNotFound. O(the user's boards there)."""
        check_query(request)
        name = request.path_params["namespace"]
        principal = await principal_of(request.scope, self._keyring)
        require_scope(principal, "admin", name)
        take_token(self._rate_limit, principal)
        user = user_in(request)
        return await self._change(request, user, principal, hidden, await self._namespace_cache.namespace(name))

    async def _change(
        self, request: Request, user: str, principal: Principal, hidden: bool, namespace: Namespace | None
    ) -> Response:
        person = await self._intents.change(user, principal.id, by_admin=hidden, namespace=namespace)
        pending = await self._intents.carry_out(person)
        return answer(request, _body(user, person, pending), 202 if pending else 200)

    async def erase(self, request: Request) -> Response:
        """`DELETE /v1/users/{user}`: 204 once nothing tells of them, or 202 where that takes longer than 5 s.

        Unauthorized, Forbidden, RateLimited, Invalid, UserNotFound, StoreUnavailable.
        """
        user, principal = await self._user_and_principal(request)
        check_bodiless(request.scope)
        intent = await self._erasures.erase(user, principal.id)
        try:
            await self._intents.tell(intent)
            done = await self._erasures.erased(intent, ERASE_S_MAX)
        except Problem:
            done = False  # It is recorded.
        return Response(status_code=204) if done else answer(request, {"user_id": user, "status": "erasing"}, 202)

    async def _user_and_principal(self, request: Request) -> tuple[str, Principal]:
        check_query(request)
        principal = await principal_of(request.scope, self._keyring)
        require_any_scope(principal, "admin")
        take_token(self._rate_limit, principal)
        return user_in(request), principal


def user_rate_limit() -> RateLimit:
    """How often a key may change something about users."""
    return RateLimit(USER_CHANGES_A_SECOND_MAX, USER_CHANGES_BURST_MAX, "changes of users")


def take_token(pace: RateLimit | None, principal: Principal) -> None:
    """Counts one change of a key. RateLimited."""
    if pace is not None:
        pace.take(principal.id)


def user_in(request: Request) -> str:
    """The user in a path. Invalid."""
    user: str = request.path_params["user"]
    check_text(user, "{user}", ID_BYTES_MAX)
    return user


def _body(user: str, person: VisibilityRecord, pending: int) -> dict[str, Any]:
    return {"user_id": user, "hidden": person.by_admin, "opt_out": person.opted_out, "pending": pending}
