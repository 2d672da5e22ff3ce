"""Where a user stands: in one namespace, and in all of them."""

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from ..access.guard import may_read, principal_of
from ..access.keys import Keyring, Principal
from ..drivers.postgres import Postgres
from ..http.bodies import answer, check_query, query_int
from ..model.errors import UserNotFound
from ..model.namespace import Namespace
from ..model.profile import NamespaceProfile
from ..model.text import ID_BYTES_MAX, check_namespace_name, check_text
from ..store import keys
from ..store.boards import read_user_ranks, user_ranks_call
from ..store.namespace_cache import NamespaceCache, namespace_from_row
from ..store.profile_cache import NO_PROFILE, ProfileCache
from ..store.read_batcher import ReadBatcher
from ..store.visibility import hidden_among
from .board_bodies import user_ranks_body

#: Namespaces of a page; a client turns the page for more.
LIMIT_MAX = 1_000
#: Reads of a page while rules or rights change under it; the last read is the answer.
_READS_MAX = 4


class UserRankHandlers:
    """Numbers out of Redis; in which namespaces a user has any is asked of Postgres."""

    def __init__(
        self,
        postgres: Postgres,
        batcher: ReadBatcher,
        namespace_cache: NamespaceCache,
        keyring: Keyring,
        names: ProfileCache,
        clock: Callable[[], int],
    ) -> None:
        self._postgres = postgres
        self._batcher = batcher
        self._namespace_cache = namespace_cache
        self._keyring = keyring
        self._names = names
        self._clock = clock

    async def told_to(self, principal: Principal, namespace: Namespace, user: str) -> dict[str, Any] | None:
        """Where a user stands in a namespace, as far as a principal may know who reads its boards; None of whoever is
        unknown, and without the scope `read` of who is hidden."""
        if principal.may("write", namespace.name):
            return await self.known(namespace, user)
        return await self.within(namespace, user, shown_alone=not principal.may("read", namespace.name))

    async def known(self, namespace: Namespace, user: str) -> dict[str, Any] | None:
        """Where a user stands, their profile of this namespace and whether they are hidden in it; of a user without a
        grant, too, of whom the namespace keeps anything. None of whoever is unknown. O(log n) a board."""
        own = keys.hidden_in(namespace.partition, namespace.id)
        profile, hidden, state = await asyncio.gather(
            self._names.profile_in(namespace, user),
            hidden_among(self._batcher.call, namespace, [user]),
            self._batcher.call(("HEXISTS", own, user)),
        )
        # Who is hidden in the deployment alone is unknown here, as is whoever has grants elsewhere alone.
        is_kept = bool(state) or profile is not None
        standing = await self.within(namespace, user, shown_alone=False, even_without=is_kept)
        if standing is None:
            return None
        shown = msgspec.structs.asdict(profile or NamespaceProfile(opt_out=False))
        return {**standing, "profile": shown, "hidden": bool(hidden)}

    async def within(
        self, namespace: Namespace, user: str, *, shown_alone: bool, even_without: bool = False
    ) -> dict[str, Any] | None:
        """Where a user stands on each current board of a namespace; None without a grant there, unless `even_without`.

        shown_alone: None of one who is hidden, too. O(log n) a board.
        """
        now, periods = self._clock(), namespace.rules.periods
        seasons = [season.name for season in namespace.calendar.running(now)]
        windows = [namespace.calendar.current(period, now).name for period in periods] + seasons
        reply = await self._batcher.call(user_ranks_call(namespace, user, windows))
        balances, days, ranks = read_user_ranks(reply, namespace.sign)
        if not (balances or even_without) or (
            shown_alone and await hidden_among(self._batcher.call, namespace, [user])
        ):
            return None
        ranked = dict(zip((*periods, *seasons), ranks, strict=True))
        name = (await self._names.shown(namespace, [user])).get(user, NO_PROFILE)
        body = user_ranks_body(namespace, user, balances, days, ranked, now, name.timezone)
        return {**body, "display_name": name.display_name, "avatar": name.avatar}

    async def everywhere(self, request: Request) -> Response:
        """`GET /v1/users/{user}/standings`: `{"user_id", "standings":[{"namespace", …}], "next_cursor"}`, each what
        `GET /v1/namespaces/{ns}/users/{user}` answers, in the order of the namespaces' names (by their bytes).

        Those that the caller may read: by the key's patterns, and the public ones. The numbers are those of this
        moment, but a user's first grant in a namespace may take some 50 ms until it is listed here, and longer while
        the persister is behind: Postgres tells where a user has grants. UserNotFound where there is none to show;
        StoreUnavailable while Postgres is away. O(the user's namespaces), and the boards of those on the page.
        """
        check_query(request, "cursor", "limit")
        limit = query_int(request, "limit", 100, 1, LIMIT_MAX)
        user, cursor = request.path_params["user"], request.query_params.get("cursor")
        check_text(user, "{user}", ID_BYTES_MAX)
        if cursor is not None:
            check_namespace_name(cursor, "?cursor")
        for _ in range(_READS_MAX):
            with self._namespace_cache.watching() as watch:
                principal = await principal_of(request.scope, self._keyring)
                spaces = await self._readable(principal, user, cursor)
                reads = (self.told_to(principal, namespace, user) for namespace in spaces[:limit])
                stands = await asyncio.gather(*reads)
            # By the rules and rights in force: where they changed meanwhile, once more by the new ones.
            if not watch.concerns(principal.id, spaces):
                break
        standings = [
            {"namespace": namespace.name, **standing}
            for namespace, standing in zip(spaces, stands, strict=False)
            if standing is not None
        ]
        more = len(spaces) > limit
        if not standings and not more and cursor is None:
            raise UserNotFound(f"{user!r} has no grant in a namespace that may be read here")
        body = {"user_id": user, "standings": standings, "next_cursor": spaces[limit - 1].name if more else None}
        return answer(request, body)

    async def _readable(self, principal: Principal, user: str, after: str | None) -> list[Namespace]:
        """The namespaces behind a name in which the user has grants and which the principal may read, in order; without
        the scope `read` only those in which the user is not hidden."""
        rows = await self._postgres.fetch("get_namespaces_of_user", user, after)
        spaces = [namespace for namespace in map(namespace_from_row, rows) if may_read(principal, namespace)]
        public = [namespace for namespace in spaces if not principal.may("read", namespace.name)]
        hidden = await asyncio.gather(*(hidden_among(self._batcher.call, namespace, [user]) for namespace in public))
        gone = {namespace.id for namespace, found in zip(public, hidden, strict=True) if found}
        return [namespace for namespace in spaces if namespace.id not in gone]
