"""PUT and GET of a user's profile."""

import asyncpg
import msgspec
from starlette.requests import Request
from starlette.responses import Response

from ..access.guard import principal_of
from ..access.keys import ANONYMOUS, Keyring, Principal
from ..model.errors import Forbidden, Unauthorized, UserNotFound
from ..model.profile import Profile, check_profile
from ..model.text import ID_BYTES_MAX, check_text
from ..store.gather import Gatherer
from ..store.names import NAMES_CHANGED, name_call
from ..store.postgres import Postgres
from ..wire import answer, check_query, decode_body


class Profiles:
    """Profiles as applications keep them: written to Postgres, then published to every process."""

    def __init__(self, postgres: Postgres, gatherer: Gatherer, keyring: Keyring) -> None:
        self._postgres = postgres
        self._gatherer = gatherer
        self._keyring = keyring

    async def put(self, request: Request) -> Response:
        """`PUT /v1/users/{user}`: `{"display_name", "avatar", "timezone", "opt_out"}`, what is absent is default; 200.

        A user is of no namespace: a key that may write in any may write a profile, of users without a grant too. What
        was answered stands on every board that is read from then on, on every server; live boards show it within a
        second. A 503 may come after it was written: the same again mends that. O(1). Unauthorized, Forbidden, Invalid,
        StoreUnavailable.
        """
        check_query(request)
        _check_writer(await principal_of(request.scope, self._keyring))
        user = _user(request)
        profile = check_profile(await decode_body(request, Profile))
        version = await self._write(user, profile)
        # In this order: whoever reads that something changed must find what changed.
        await self._gatherer.call(name_call(user, version, profile))
        await self._gatherer.call(NAMES_CHANGED)
        return answer(request, _body(user, profile))

    async def _write(self, user: str, profile: Profile) -> int:
        """The version of the profile as it stands in Postgres now. A user whom nobody knew gets a number."""
        fields = msgspec.structs.astuple(profile)
        row = await self._postgres.fetch_one("put_profile", user, *fields)
        if row is None:
            await self._postgres.fetch("new_users", [user])
            row = await self._postgres.fetch_one("put_profile", user, *fields)
        assert row is not None
        return int(row["version"])

    async def get(self, request: Request) -> Response:
        """`GET /v1/users/{user}`, with any key: the profile, its defaults for a user with grants and none of their own.

        From Postgres, where a user's first grant may take some 50 ms to be known. O(1). Unauthorized, UserNotFound,
        StoreUnavailable.
        """
        check_query(request)
        if await principal_of(request.scope, self._keyring) is ANONYMOUS:
            raise Unauthorized("a key is needed here")
        user = _user(request)
        row = await self._postgres.fetch_one("profile", user)
        if row is None:
            raise UserNotFound(f"{user!r} has neither a profile nor a grant")
        return answer(request, _body(user, profile_of(row)))


def profile_of(row: asyncpg.Record) -> Profile:
    """A profile from its row."""
    return Profile(**{field: row[field] for field in Profile.__struct_fields__})


def _user(request: Request) -> str:
    user: str = request.path_params["user"]
    check_text(user, "{user}", ID_BYTES_MAX)
    return user


def _body(user: str, profile: Profile) -> dict[str, object]:
    return {"user_id": user, **msgspec.structs.asdict(profile)}


def _check_writer(principal: Principal) -> None:
    if principal is ANONYMOUS:
        raise Unauthorized("a key is needed here")
    if not any(held.partition(":")[0] in ("write", "admin") for held in principal.scopes):
        raise Forbidden("the key lacks the scope write")
