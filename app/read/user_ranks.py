"""A user's ranks: in one namespace, and in all of them."""

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from ..access.guard import may_read
from ..access.keys import Principal
from ..drivers.postgres import Postgres
from ..http.bodies import answer, check_query, query_int
from ..model.errors import UserNotFound
from ..model.namespace import Namespace
from ..model.profile import NamespaceProfile
from ..model.text import ID_BYTES_MAX, check_namespace_name, check_text
from ..store.boards import read_user_ranks, user_ranks_call
from ..store.namespace_cache import namespace_from_row
from ..store.profile_cache import NO_PROFILE, ProfileCache
from ..store.read_batcher import ReadBatcher
from ..store.visibility import has_state_call, hidden_among
from .authorizer import ReadAuthorizer
from .board_bodies import user_ranks_body
from .conditional import answer_with_etag

#: Namespaces of a page; a client turns the page for more.
LIMIT_MAX = 1_000


class UserRankHandlers:
    """Ranks from Redis; the namespaces in which a user has grants from Postgres."""

    def __init__(
        self,
        *,
        postgres: Postgres,
        batcher: ReadBatcher,
        authorizer: ReadAuthorizer,
        profiles: ProfileCache,
        clock: Callable[[], int],
    ) -> None:
        self._postgres = postgres
        self._batcher = batcher
        self._authorizer = authorizer
        self._profiles = profiles
        self._clock = clock

    async def get(self, request: Request) -> Response:
        """`GET /v1/namespaces/{ns}/users/{user}`."""
        check_query(request)
        user = request.path_params["user"]
        check_text(user, "{user}", ID_BYTES_MAX)
        async for admission in self._authorizer.admissions(request.scope, request.path_params["namespace"]):
            namespace, principal = admission.namespace, admission.principal
            body = await self.read(principal, namespace, user)
            if body is None:
                raise UserNotFound(f"{user!r} has no grant in {namespace.name!r}")
            # The answer to a key may be about a hidden user, so no cache may keep it for others.
            is_stranger = not (principal.may("read", namespace.name) or principal.may("write", namespace.name))
            response = answer_with_etag(request, namespace if is_stranger else None, body)
        return response

    async def read(self, principal: Principal, namespace: Namespace, user: str) -> dict[str, Any] | None:
        """A user's ranks in a namespace, for a principal who reads its boards. None for an unknown user, and without
        the scope `read` for a hidden one."""
        if principal.may("write", namespace.name):
            return await self._body_with_profile(namespace, user)
        return await self._body(namespace, user, without_hidden=not principal.may("read", namespace.name))

    async def _body_with_profile(self, namespace: Namespace, user: str) -> dict[str, Any] | None:
        """A user's ranks, their profile of this namespace and whether they are hidden in it. Also of a user without a
        grant who has a profile or a state in the namespace; None for all others. O(log n) a board."""
        profile, hidden, state = await asyncio.gather(
            self._profiles.profile_in(namespace, user),
            hidden_among(self._batcher.call, namespace, [user]),
            self._batcher.call(has_state_call(namespace, user)),
        )
        # Being hidden in the whole deployment, or having grants elsewhere, does not make a user known here.
        is_known = bool(state) or profile is not None
        body = await self._body(namespace, user, without_hidden=False, is_known=is_known)
        if body is None:
            return None
        profile_body = msgspec.structs.asdict(profile or NamespaceProfile(opt_out=False))
        return {**body, "profile": profile_body, "hidden": bool(hidden)}

    async def _body(
        self, namespace: Namespace, user: str, *, without_hidden: bool, is_known: bool = False
    ) -> dict[str, Any] | None:
        """A user's ranks on each current board of a namespace. None for a user without a grant, unless `is_known`; with
        `without_hidden` also for a hidden user. O(log n) a board."""
        now, periods = self._clock(), namespace.rules.periods
        seasons = [season.name for season in namespace.calendar.running(now)]
        windows = [namespace.calendar.current(period, now).name for period in periods] + seasons
        reply = await self._batcher.call(user_ranks_call(namespace, user, windows))
        balances, days, ranks = read_user_ranks(reply, namespace.sign)
        if not (balances or is_known):
            return None
        if without_hidden and await hidden_among(self._batcher.call, namespace, [user]):
            return None
        ranks_by_period = dict(zip((*periods, *seasons), ranks, strict=True))
        name = (await self._profiles.display_profiles(namespace, [user])).get(user, NO_PROFILE)
        body = user_ranks_body(namespace, user, balances, days, ranks_by_period, now, name.timezone)
        return {**body, "display_name": name.display_name, "avatar": name.avatar}

    async def everywhere(self, request: Request) -> Response:
        """`GET /v1/users/{user}/standings`: `{"user_id", "standings":[{"namespace", …}], "next_cursor"}`, each as
        `GET /v1/namespaces/{ns}/users/{user}` answers, in the order of the namespaces' names (by their bytes).

        The namespaces that the caller may read: by the key's patterns, and public ones. The numbers are current, but a
        user's first grant in a namespace may take some 50 ms until the namespace is listed, and longer while the
        persister is behind: the list comes from Postgres. UserNotFound if there is nothing to show; StoreUnavailable
        while Postgres is away. O(the user's namespaces), and the boards of those on the page.
        """
        check_query(request, "cursor", "limit")
        limit = query_int(request, "limit", 100, low=1, high=LIMIT_MAX)
        user, cursor = request.path_params["user"], request.query_params.get("cursor")
        check_text(user, "{user}", ID_BYTES_MAX)
        if cursor is not None:
            check_namespace_name(cursor, "?cursor")
        async for survey in self._authorizer.surveys(request.scope):
            namespaces = await self._readable(survey.principal, user, cursor)
            survey.add(namespaces)
            reads = (self.read(survey.principal, namespace, user) for namespace in namespaces[:limit])
            bodies = await asyncio.gather(*reads)
        ranks = [
            {"namespace": namespace.name, **body}
            for namespace, body in zip(namespaces, bodies, strict=False)
            if body is not None
        ]
        has_more = len(namespaces) > limit
        if not ranks and not has_more and cursor is None:
            raise UserNotFound(f"{user!r} has no grant in a namespace that may be read here")
        next_cursor = namespaces[limit - 1].name if has_more else None
        return answer(request, {"user_id": user, "standings": ranks, "next_cursor": next_cursor})

    async def _readable(self, principal: Principal, user: str, after: str | None) -> list[Namespace]:
        """The namespaces after a name, ordered by name, in which the user has grants and which the principal may read.
        Without the scope `read` only those in which the user is not hidden."""
        rows = await self._postgres.fetch("get_namespaces_of_user", user, after)
        namespaces = [namespace for namespace in map(namespace_from_row, rows) if may_read(principal, namespace)]
        public = [namespace for namespace in namespaces if not principal.may("read", namespace.name)]
        hidden = await asyncio.gather(*(hidden_among(self._batcher.call, namespace, [user]) for namespace in public))
        hides_user = {namespace.id for namespace, users in zip(public, hidden, strict=True) if users}
        return [namespace for namespace in namespaces if namespace.id not in hides_user]
