"""Brings in what users are called, and who is hidden or opted out: `leaderboard import --users`."""

import asyncio
from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any, Protocol

import msgspec

from .import_client import ImportClient, path_segment, problem_of
from .import_reasons import Refusals, count_refusal
from .source_row import RowRefused, SourceRow, value_at

#: Users that are sent at once: each is a request of its own.
USERS_AT_ONCE = 8
#: Rows that are read at once.
_ROWS_AT_ONCE = 500
#: What a row may say of a user, and the namespace in which it is so.
USER_FIELDS = ("user_id", "display_name", "avatar", "timezone", "opt_out", "hidden", "namespace")
_TEXTS = ("display_name", "avatar", "timezone")
_TRUE, _FALSE = ("true", "t", "1", "yes"), ("false", "f", "0", "no", "")


class UserProgress(Protocol):
    """What shows how far it is."""

    def step(self, users: int) -> None: ...  # noqa: D102


class UserImport:
    """Sends rows of `user_id`, `display_name`, `avatar`, `timezone`, `opt_out`, `hidden`: to a namespace that an option
    or a column names, else to the deployment. An absent field stays as it is, but names are replaced together."""

    def __init__(
        self,
        client: ImportClient,
        namespace: str | None,
        columns: Mapping[str, str],
        progress: UserProgress,
        *,
        is_dry: bool = False,
    ) -> None:
        """columns: of fields that have another name there; is_dry: rows are checked here, and none is sent."""
        self._client = client
        self._namespace = namespace
        self._columns = {field: columns.get(field, field) for field in USER_FIELDS}
        self._progress = progress
        self._is_dry = is_dry
        self.counts: Counter[str] = Counter()
        self.reasons: dict[str, Refusals] = {}

    async def run(self, rows: Iterator[SourceRow]) -> None:
        """All rows. ImportStop."""
        while portion := await asyncio.to_thread(lambda: list(islice(rows, _ROWS_AT_ONCE))):
            turns = asyncio.Semaphore(USERS_AT_ONCE)
            for row, refusal in zip(
                portion, await asyncio.gather(*(self._send(row, turns) for row in portion)), strict=True
            ):
                self.counts["users" if refusal is None else "refused"] += 1
                if refusal is not None:
                    count_refusal(self.reasons, refusal.code, row.line, refusal.reason)

    async def _send(self, row: SourceRow, turns: asyncio.Semaphore) -> RowRefused | None:
        async with turns:
            try:
                await self._put(row)
            except RowRefused as refusal:
                return refusal
            finally:
                self._progress.step(1)
        return None

    async def _put(self, row: SourceRow) -> None:
        """RowRefused."""
        if row.fields is None:
            raise RowRefused("unreadable", row.fault)
        values = ((field, value_at(row.fields, column)) for field, column in self._columns.items())
        fields = {field: _value(value) for field, value in values if value is not None}
        user, namespace = fields.get("user_id"), self._namespace or fields.get("namespace")
        if not user:
            column = self._columns["user_id"]
            raise RowRefused("invalid", f"has no {column!r}, which is the user: see --map user_id=COLUMN")
        path = f"/v1/namespaces/{path_segment(str(namespace))}" if namespace else "/v1"
        path = f"{path}/users/{path_segment(str(user))}"
        profile: dict[str, Any] = {name: fields[name] for name in _TEXTS if fields.get(name)}
        if namespace:
            profile.pop("timezone", None)  # It is the deployment's alone.
        if (opt_out := _flag(fields, "opt_out")) is not None:
            profile["opt_out"] = opt_out
        if profile:
            await self._ask("PUT", path, profile)
        if (hidden := _flag(fields, "hidden")) is not None:
            await self._ask("POST", f"{path}/{'hide' if hidden else 'unhide'}", None)

    async def _ask(self, method: str, path: str, body: dict[str, Any] | None) -> None:
        if self._is_dry:
            return
        answer = await self._client.ask(method, path, **({} if body is None else {"json": body}))
        if not answer.is_success:
            raise RowRefused("refused", problem_of(answer))


def _value(value: msgspec.Raw | str) -> Any:
    return value if isinstance(value, str) else msgspec.json.decode(value)


def _flag(fields: Mapping[str, Any], name: str) -> bool | None:
    """A flag; None if the source does not say. RowRefused."""
    value = fields.get(name)
    if value is None or isinstance(value, bool):
        return value
    word = str(value).strip().lower()
    if word == "":
        return None
    if word not in (*_TRUE, *_FALSE):
        raise RowRefused(
            "invalid", f"{name} {value!r} is neither true nor false: {', '.join(filter(None, _TRUE + _FALSE))}"
        )
    return word in _TRUE
