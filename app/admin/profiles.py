"""PUT and GET of a user's profile."""

import asyncpg
import msgspec
from starlette.requests import Request
from starlette.responses import Response

from ..access.guard import need_all, principal_of
from ..access.keys import Keyring
from ..model.errors import UserNotFound
from ..model.profile import Profile, check_profile
from ..model.text import ID_BYTES_MAX, check_text
from ..store.changes import NAMES_CHANGED
from ..store.gather import Gatherer
from ..store.names import name_call
from ..store.postgres import Postgres
from ..store.veil import Fetch
from ..wire import answer, check_query, decode_body
from .intents import Intents, Person


class Profiles:
    """Profiles as applications keep them: written to Postgres, then published to every process."""

    def __init__(self, postgres: Postgres, gatherer: Gatherer, keyring: Keyring, intents: Intents) -> None:
        self._postgres = postgres
        self._intents = intents
        self._gatherer = gatherer
        self._keyring = keyring

    async def put(self, request: Request) -> Response:
        """`PUT /v1/users/{user}`: `{"display_name", "avatar", "timezone", "opt_out"}`, what is absent is default; 200.

        It is shown in every namespace, so it takes a key that writes in all of them; of users without a grant too. What
        was answered stands on every board that is read from then on, on every server; live boards show it within a
        second. A 503 may come after it was written: the same again mends that. 202: an `opt_out` is recorded and not
        yet true everywhere. O(1), and the user's boards where `opt_out` changes. Unauthorized, Forbidden, Invalid,
        UserErasing, StoreUnavailable.
        """
        check_query(request)
        principal = await principal_of(request.scope, self._keyring)
        need_all(principal, "write")
        user = _user(request)
        profile = check_profile(await decode_body(request, Profile))
        version, person = await self._write(user, profile, principal.id)
        # In this order: whoever reads that something changed must find what changed.
        await self._gatherer.call(name_call(user, version, profile))
        await self._gatherer.call(NAMES_CHANGED)
        pending = await self._intents.carry_out(person)
        return answer(request, _body(user, profile), 202 if pending else 200)

    async def _write(self, user: str, profile: Profile, actor: str) -> tuple[int, Person]:
        """The version of the profile as it stands in Postgres now, and what follows for the user's place on boards:
        both are written or neither is."""
        versions: list[int] = []

        async def put(fetch: Fetch, number: int) -> None:
            rows = await fetch("put_profile", user, *msgspec.structs.astuple(profile))
            versions.append(int(rows[0]["version"]))

        person = await self._intents.change(user, actor, opted_out=profile.opt_out, first=put)
        return versions[-1], person

    async def get(self, request: Request) -> Response:
        """`GET /v1/users/{user}`, with a key that reads or writes everywhere, for it tells who is there: the profile,
        its defaults for a user with grants and none of their own.

        From Postgres, where a user's first grant may take some 50 ms to be known. O(1). Unauthorized, UserNotFound,
        StoreUnavailable.
        """
        check_query(request)
        need_all(await principal_of(request.scope, self._keyring), "read", "write")
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
