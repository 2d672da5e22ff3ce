"""PUT and GET of a user's profile."""

from contextlib import suppress

import asyncpg
import msgspec
from msgspec import UNSET
from starlette.requests import Request
from starlette.responses import Response

from ..access.guard import principal_of, require_any_scope, require_scope
from ..access.keys import Keyring
from ..access.rate_limit import RateLimit
from ..drivers.postgres import Postgres
from ..drivers.redis import Call
from ..http.bodies import answer, check_query, decode_body
from ..model.errors import Problem, StoreUnavailable, UserNotFound
from ..model.namespace import Namespace
from ..model.profile import NamespaceProfile, Profile, check_display, check_profile, fold_name
from ..store.namespace_cache import NamespaceCache
from ..store.profile_cache import (
    announce_profiles_in,
    name_call,
    own_name_call,
    profile_from_row,
)
from ..store.publications import Publisher
from ..store.read_batcher import ReadBatcher
from ..store.visibility import Fetch
from .user_handlers import take_token, user_in
from .visibility_intents import VisibilityIntents, VisibilityRecord

#: Namespaces in which searches find a user by a new name before the answer: some ms. In others they do soon after.
SEARCHED_AT_ONCE_MAX = 100


class ProfileHandlers:
    """Profiles as applications manage them: written to Postgres, then published to every process.

    rate_limit: of each key, shared with the handlers that hide users; None if quotas are off.
    """

    def __init__(
        self,
        postgres: Postgres,
        batcher: ReadBatcher,
        publisher: Publisher,
        namespace_cache: NamespaceCache,
        keyring: Keyring,
        intents: VisibilityIntents,
        rate_limit: RateLimit | None,
    ) -> None:
        self._postgres = postgres
        self._intents = intents
        self._namespace_cache = namespace_cache
        self._batcher = batcher
        self._publisher = publisher
        self._keyring = keyring
        self._rate_limit = rate_limit

    async def put(self, request: Request) -> Response:
        """`PUT /v1/users/{user}`: `{"display_name", "avatar", "timezone", "opt_out"}`, an absent field takes its
        default; 200.

        Every namespace shows it, so the key needs the scope to write in all of them. The user need not have a grant.
        After the answer, every read of a board on any server shows it, and live boards show it within a second. A 503
        may follow a successful write: send the same request again. 202: an `opt_out` is recorded but not yet in effect
        everywhere. O(1), and the user's boards where `opt_out` changes. Unauthorized, Forbidden, RateLimited, Invalid,
        UserErasing, StoreUnavailable.
        """
        check_query(request)
        principal = await principal_of(request.scope, self._keyring)
        require_any_scope(principal, "write")
        take_token(self._rate_limit, principal)
        user = user_in(request)
        profile = check_profile(await decode_body(request, Profile))
        row, person = await self._write(
            user,
            actor=principal.id,
            profile=profile,
            timezone=profile.timezone,
            opt_out=profile.opt_out,
            namespace=None,
        )
        await self._show(name_call(user, row["version"], profile))
        await self._publisher.announcer.announce_profiles([user])
        # A round reads the number as it was when the round began, so this server drops its cached profile before it
        # answers.
        await self._namespace_cache.refresh()
        pending = await self._intents.carry_out(person)
        return answer(request, _body(user, profile), 202 if pending else 200)

    async def put_in(self, request: Request) -> Response:
        """`PUT /v1/namespaces/{ns}/users/{user}`: `{"display_name", "avatar", "opt_out"}`, for its boards alone. If a
        name or a picture is null or absent, the deployment's is shown. An absent `opt_out` stays as it is.

        Otherwise like `PUT /v1/users/{user}`. O(1), and the user's boards there where `opt_out` changes.
        NamespaceNotFound.
        """
        check_query(request)
        name = request.path_params["namespace"]
        principal = await principal_of(request.scope, self._keyring)
        require_scope(principal, "write", name)
        take_token(self._rate_limit, principal)
        user = user_in(request)
        profile = await decode_body(request, NamespaceProfile)
        check_display(profile)
        namespace = await self._namespace_cache.namespace(name)
        opt_out = None if profile.opt_out is UNSET else profile.opt_out
        row, person = await self._write(
            user, actor=principal.id, profile=profile, timezone=None, opt_out=opt_out, namespace=namespace
        )
        profile = msgspec.structs.replace(profile, opt_out=row["opt_out"])
        await self._show(
            own_name_call(
                namespace.partition, namespace_id=namespace.id, user=user, version=row["version"], profile=profile
            )
        )
        await announce_profiles_in(self._publisher.call_if_there, self._publisher.announcer, namespace.id)
        pending = await self._intents.carry_out(person)
        return answer(request, _body(user, profile), 202 if pending else 200)

    async def _show(self, name: Call) -> None:
        """Publishes a profile to every process. StoreUnavailable if a user was erased since it was written."""
        if await self._publisher.call_if_there(name) == -1:
            raise StoreUnavailable("a user was erased meanwhile: the profile may be recorded, and is not shown yet")

    async def _write(
        self,
        user: str,
        *,
        actor: str,
        profile: Profile | NamespaceProfile,
        timezone: str | None,
        opt_out: bool | None,
        namespace: Namespace | None,
    ) -> tuple[asyncpg.Record, VisibilityRecord]:
        """Writes the profile and, if `opt_out` changes, the user's visibility in one transaction. Returns both."""
        rows: list[asyncpg.Record] = []
        numbers: list[int] = []
        ns = 0 if namespace is None else namespace.id

        async def put(fetch: Fetch, number: int) -> None:
            shown = profile.display_name, profile.avatar
            search_name = None if profile.display_name is None else fold_name(profile.display_name)
            numbers.append(number)
            rows.extend(await fetch("put_profile", number, ns, *shown, timezone, opt_out, search_name))

        person = await self._intents.change(user, actor, opted_out=opt_out, first=put, namespace=namespace)
        await self._update_search(user, numbers[-1])
        return rows[-1], person

    async def _update_search(self, user: str, number: int) -> None:
        """Lets searches find the user by the new name in the first namespaces. A persister does the others, and these
        if this fails. O(namespaces × log n)."""
        with suppress(Problem):
            await self._postgres.writes.fetch(
                "update_searchable_users", [number], [fold_name(user)], [0], SEARCHED_AT_ONCE_MAX
            )

    async def get(self, request: Request) -> Response:
        """`GET /v1/users/{user}`, with a key that reads or writes everywhere, because it reveals who exists. A user
        with grants and without a profile has the defaults.

        It reads Postgres, which knows a user some 50 ms after the first grant. O(1). Unauthorized, UserNotFound,
        StoreUnavailable.
        """
        check_query(request)
        require_any_scope(await principal_of(request.scope, self._keyring), "read", "write")
        user = user_in(request)
        row = await self._postgres.fetch_one("get_profile", user)
        if row is None:
            raise UserNotFound(f"{user!r} has neither a profile nor a grant")
        return answer(request, _body(user, profile_from_row(row)))


def _body(user: str, profile: Profile | NamespaceProfile) -> dict[str, object]:
    return {"user_id": user, **msgspec.structs.asdict(profile)}
