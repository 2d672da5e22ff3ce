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

#: Seconds that a request waits for an erasure; after them it answers 202, and a persister continues.
ERASE_S_MAX = 5.0
#: Profiles and visibility changes that one key may write a second, on average: a large game's logins. Each is a write
#: to Postgres, and makes every server look something up.
USER_CHANGES_A_SECOND_MAX = 200
#: Such changes that one key may make at once, if it made none before: as many as in five seconds.
USER_CHANGES_BURST_MAX = 1_000


class UserHandlers:
    """Hides, shows and erases users: in one namespace, or in the whole deployment with a key that is admin of it. A
    user is off a namespace's boards while hidden there or in the deployment.

    rate_limit: of each key, shared with the handlers that write profiles; None if quotas are off.
    """

    def __init__(
        self,
        intents: VisibilityIntents,
        erasures: Erasures,
        namespace_cache: NamespaceCache,
        keyring: Keyring,
        rate_limit: RateLimit | None,
    ) -> None:
        self._intents = intents
        self._erasures = erasures
        self._namespace_cache = namespace_cache
        self._keyring = keyring
        self._rate_limit = rate_limit

    async def hide(self, request: Request) -> Response:
        """`POST /v1/users/{user}/hide`: takes the user off every board. Scores are kept. The user need not have a
        grant."""
        return await self._set(request, True)

    async def unhide(self, request: Request) -> Response:
        """`POST /v1/users/{user}/unhide`: shows the user again, unless they opted out."""
        return await self._set(request, False)

    async def hide_in(self, request: Request) -> Response:
        """`POST /v1/namespaces/{ns}/users/{user}/hide`: takes the user off this namespace's boards."""
        return await self._set_in(request, True)

    async def unhide_in(self, request: Request) -> Response:
        """`POST /v1/namespaces/{ns}/users/{user}/unhide`: shows the user on its boards again, unless they opted out
        there or are hidden everywhere."""
        return await self._set_in(request, False)

    async def _set(self, request: Request, hidden: bool) -> Response:
        """Answers 200, or 202 with the number of partitions where it is recorded but not yet in effect; the persisters
        complete it.

        Unauthorized, Forbidden, RateLimited, Invalid, UserErasing, UserNotFound (of `unhide`), StoreUnavailable. O(the
        user's boards).
        """
        user, principal = await self._user_and_principal(request)
        return await self._change(request, user, principal, hidden, None)

    async def _set_in(self, request: Request, hidden: bool) -> Response:
        """The same in one namespace, so in one partition. NamespaceNotFound. O(the user's boards there)."""
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
        """`DELETE /v1/users/{user}`: answers 204 when the erasure is done, or 202 if that takes longer than 5 s.

        Unauthorized, Forbidden, RateLimited, Invalid, UserNotFound, StoreUnavailable.
        """
        user, principal = await self._user_and_principal(request)
        check_bodiless(request.scope)
        intent = await self._erasures.erase(user, principal.id)
        try:
            await self._intents.send_state(intent)
            done = await self._erasures.erased(intent, ERASE_S_MAX)
        except Problem:
            done = False  # It is recorded, so a persister will do it.
        return Response(status_code=204) if done else answer(request, {"user_id": user, "status": "erasing"}, 202)

    async def _user_and_principal(self, request: Request) -> tuple[str, Principal]:
        check_query(request)
        principal = await principal_of(request.scope, self._keyring)
        require_any_scope(principal, "admin")
        take_token(self._rate_limit, principal)
        return user_in(request), principal


def user_rate_limit() -> RateLimit:
    """The rate limit of changes to users, for each key."""
    return RateLimit(USER_CHANGES_A_SECOND_MAX, USER_CHANGES_BURST_MAX, "changes of users")


def take_token(rate_limit: RateLimit | None, principal: Principal) -> None:
    """Counts one change of a key. RateLimited."""
    if rate_limit is not None:
        rate_limit.take(principal.id)


def user_in(request: Request) -> str:
    """The user in a path. Invalid."""
    user: str = request.path_params["user"]
    check_text(user, "{user}", ID_BYTES_MAX)
    return user


def _body(user: str, person: VisibilityRecord, pending: int) -> dict[str, Any]:
    return {"user_id": user, "hidden": person.by_admin, "opt_out": person.opted_out, "pending": pending}
