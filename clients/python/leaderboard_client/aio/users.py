"""Reading and changing what users have: standings, histories, profiles, hiding and erasing."""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import TypeVar
from urllib.parse import parse_qs

import msgspec
from msgspec import Struct

from ..answers import (
    Activity,
    Grants,
    GrantState,
    Profile,
    Revision,
    Standing,
    Trend,
    UserMatch,
    Visibility,
)
from ..calls import Answer, Call, Query, as_nothing, as_type, encode
from .transport import AsyncTransport

T = TypeVar("T")
#: Grants that an iterator reads at a time: the server's most.
PAGE_MAX = 1_000


class _Standings(Struct, frozen=True):
    standings: tuple[Standing, ...]
    next_cursor: str | None = None


class _Totals(Struct, frozen=True):
    totals: tuple[Standing, ...]


class _Matches(Struct, frozen=True):
    users: tuple[UserMatch, ...]
    next_cursor: str | None = None


class _Activities(Struct, frozen=True):
    users: tuple[Activity, ...]


class _Trends(Struct, frozen=True):
    trends: tuple[Trend, ...]
    next_query: dict[str, list[str]]


_decode_trends = msgspec.json.Decoder(tuple[Trend, ...]).decode


class AsyncUsers:
    """The calls about users and their grants."""

    _transport: AsyncTransport

    async def user(self, namespace: str, user_id: str) -> Standing:
        """A user's score, what it consists of, and the ranks on each current board. NotFound without a grant."""
        return await self._get(("v1", "namespaces", namespace, "users", user_id), Standing)

    async def standings(self, user_id: str) -> AsyncIterator[Standing]:
        """The same for every namespace in which the user has grants."""
        cursor: str | None = None
        while True:
            page = await self._get(("v1", "users", user_id, "standings"), _Standings, {"cursor": cursor})
            for standing in page.standings:
                yield standing
            cursor = page.next_cursor
            if cursor is None:
                return

    async def totals(self, namespace: str, users: Sequence[str]) -> tuple[Standing, ...]:
        """What up to 500 users have, without ranks. Users without a grant are left out."""
        path = ("v1", "namespaces", namespace, "totals")
        return (await self._post(path, {"users": list(users)}, _Totals)).totals

    async def search(self, namespace: str, text: str, *, page: int = 50) -> AsyncIterator[UserMatch]:
        """Users whose id or name begins so; at least two characters."""
        cursor: str | None = None
        while True:
            query: Query = {"q": text, "limit": page, "cursor": cursor}
            matches = await self._get(("v1", "namespaces", namespace, "users"), _Matches, query)
            for match in matches.users:
                yield match
            cursor = matches.next_cursor
            if cursor is None:
                return

    async def grant_state(self, namespace: str, grant_id: str) -> GrantState:
        """A grant as it is now, with its revisions. NotFound."""
        return await self._get(("v1", "namespaces", namespace, "grants", grant_id), GrantState)

    async def history(
        self,
        namespace: str,
        user_id: str,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        page: int = PAGE_MAX,
    ) -> AsyncIterator[Revision]:
        """A user's grants, the newest first, each as its last correction left it."""
        path = ("v1", "namespaces", namespace, "users", user_id, "grants")
        async for grant in self._pages(path, {"since": since, "until": until, "limit": page}):
            yield grant

    async def history_page(
        self, namespace: str, user_id: str, *, cursor: str | None = None, limit: int = PAGE_MAX
    ) -> Grants:
        """One page of a user's grants; `lag_seq` says how many entries the ledger lacks."""
        path = ("v1", "namespaces", namespace, "users", user_id, "grants")
        return await self._get(path, Grants, {"cursor": cursor, "limit": limit})

    async def explain(self, namespace: str, user_id: str, window: str = "all", *, cursor: str | None = None) -> Grants:
        """The grants that add up to a score, and the score; up to 1,000 a page."""
        path = ("v1", "namespaces", namespace, "users", user_id, "explain")
        return await self._get(path, Grants, {"window": window, "cursor": cursor})

    async def live_grants(
        self,
        namespace: str,
        *,
        source: str | None = None,
        source_id: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        page: int = PAGE_MAX,
    ) -> AsyncIterator[Revision]:
        """Every grant that counts, user by user: an export. Needs `write`."""
        query: Query = {
            "state": "live",
            "source": source,
            "source_id": source_id,
            "since": since,
            "until": until,
            "limit": page,
        }
        async for grant in self._pages(("v1", "namespaces", namespace, "grants"), query):
            yield grant

    async def quarantine(self, namespace: str, *, page: int = PAGE_MAX) -> AsyncIterator[Revision]:
        """Grants that wait for a decision, the oldest first: restore them, or void them. Needs `write`."""
        query: Query = {"state": "quarantined", "limit": page}
        async for grant in self._pages(("v1", "namespaces", namespace, "grants"), query):
            yield grant

    async def activity(
        self,
        namespace: str,
        user_id: str | None = None,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        by: str | None = None,
    ) -> Activity:
        """How many grants count between two moments, and their sum: of a user, or of the whole namespace."""
        path = ("v1", "namespaces", namespace, *(() if user_id is None else ("users", user_id)), "activity")
        return await self._get(path, Activity, {"since": since, "until": until, "by": by})

    async def activities(
        self,
        namespace: str,
        users: Sequence[str],
        *,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> tuple[Activity, ...]:
        """The same for up to 500 users. Users without a grant are left out."""
        bounds = {"since": since, "until": until}
        body = {"users": list(users), **{name: value for name, value in bounds.items() if value is not None}}
        return (await self._post(("v1", "namespaces", namespace, "activity"), body, _Activities)).users

    async def trends(
        self,
        namespace: str,
        *,
        bucket: str = "day",
        since: datetime | None = None,
        until: datetime | None = None,
        page: int = PAGE_MAX,
    ) -> AsyncIterator[Trend]:
        """Hours or days of a namespace, the oldest first, without those in which nothing counts."""
        query: Query | None = {"bucket": bucket, "since": since, "until": until, "limit": page}
        while query:
            call = Call(
                method="GET",
                path=("v1", "namespaces", namespace, "trends"),
                query=query,
                read=_read_trends,
                may_repeat=True,
            )
            answer = await self._transport.send(call)
            for trend in answer.trends:
                yield trend
            query = answer.next_query

    async def profile(self, user_id: str) -> Profile:
        """A user's profile of the whole deployment."""
        return await self._get(("v1", "users", user_id), Profile)

    async def put_profile(
        self,
        user_id: str,
        *,
        namespace: str | None = None,
        display_name: str | None = None,
        avatar: str | None = None,
        timezone: str | None = None,
        opt_out: bool | None = None,
    ) -> Profile:
        """Replaces a profile: of one namespace, or of the whole deployment. timezone: of the deployment's alone."""
        fields = {"display_name": display_name, "avatar": avatar, "timezone": timezone, "opt_out": opt_out}
        call = Call(
            method="PUT",
            path=self._place(user_id, namespace),
            body=encode({name: value for name, value in fields.items() if value is not None}),
            read=as_type(Profile),
            may_repeat=True,
        )
        return await self._transport.send(call)

    async def hide(self, user_id: str, *, namespace: str | None = None) -> Visibility:
        """Takes a user off the boards of one namespace, or of all. The scores stay."""
        return await self._post((*self._place(user_id, namespace), "hide"), None, Visibility)

    async def unhide(self, user_id: str, *, namespace: str | None = None) -> Visibility:
        """Shows a user again."""
        return await self._post((*self._place(user_id, namespace), "unhide"), None, Visibility)

    async def erase(self, user_id: str) -> None:
        """Erases a user: the name, the profile and the meta of all grants."""
        call = Call(method="DELETE", path=("v1", "users", user_id), read=as_nothing, may_repeat=True)
        await self._transport.send(call)

    @staticmethod
    def _place(user_id: str, namespace: str | None) -> tuple[str, ...]:
        return ("v1", "users", user_id) if namespace is None else ("v1", "namespaces", namespace, "users", user_id)

    async def _pages(self, path: tuple[str, ...], query: Query) -> AsyncIterator[Revision]:
        cursor: str | None = None
        while True:
            page = await self._get(path, Grants, {**query, "cursor": cursor})
            for grant in page.grants:
                yield grant
            cursor = page.next_cursor
            if cursor is None:
                return

    async def _get(self, path: tuple[str, ...], kind: type[T], query: Query | None = None) -> T:
        call = Call(method="GET", path=path, query=query or {}, read=as_type(kind), may_repeat=True)
        return await self._transport.send(call)

    async def _post(self, path: tuple[str, ...], body: object, kind: type[T]) -> T:
        content = None if body is None else encode(body)
        call = Call(method="POST", path=path, body=content, read=as_type(kind), may_repeat=True)
        return await self._transport.send(call)


def _read_trends(answer: Answer) -> _Trends:
    """The next page is a link in a header: `<?bucket=…&cursor=…>; rel="next"`."""
    link = answer.headers.get("link", "")
    query = parse_qs(link.partition("<?")[2].partition(">")[0])
    return _Trends(_decode_trends(answer.content), query)
