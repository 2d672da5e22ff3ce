"""Visibility intents: recorded in Postgres first, then carried out as far as possible at once.

The persisters complete what is not done when the answer is due or this process ends (app/persist/visibility.py).
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, NamedTuple

import asyncpg

from ..drivers.pauses import Pauses
from ..drivers.postgres import Postgres
from ..drivers.redis import Call
from ..model.errors import Problem, StoreUnavailable, UserErasing, UserNotFound
from ..model.namespace import Namespace
from ..model.visibility import ERASE, HIDE, UNHIDE, VisibilityIntent
from ..store.partitions import last_seq_call
from ..store.visibility import Fetch, Submit, intent_from_row, move, plan, state_call
from .state_gate import Gate

#: Seconds that a request waits until the ledger has what the partitions applied; after them a persister carries the
#: intent out.
APPLY_S_MAX = 2.0


class VisibilityRecord(NamedTuple):
    """Why a user is off the boards, and the last intent, with the partitions that have not confirmed it."""

    by_admin: bool
    opted_out: bool
    intent: VisibilityIntent | None
    open: tuple[int, ...]

    @property
    def is_blank(self) -> bool:
        """Whether there was never an intent."""
        return self.intent is None and not (self.by_admin or self.opted_out)


class VisibilityIntents:
    """The visibility intents of users and admins. call: a gathered read of Redis; submit: hands entries to the
    committer; gate: before each change."""

    def __init__(
        self,
        postgres: Postgres,
        call: Callable[[Call], Awaitable[Any]],
        submit: Submit,
        partitions: int,
        gate: Gate,
    ) -> None:
        self._postgres = postgres
        self._gate = gate
        self._call = call
        self._submit = submit
        self._partitions = range(partitions)

    async def change(
        self,
        user: str,
        actor: str,
        *,
        by_admin: bool | None = None,
        opted_out: bool | None = None,
        first: Callable[[Fetch, int], Awaitable[None]] | None = None,
        namespace: Namespace | None = None,
    ) -> VisibilityRecord:
        """Sets one of the two causes that take a user off the boards. `first` gets the user's number and runs in the
        same transaction. An unknown user gets a number, unless the request is to unhide. namespace: where it applies;
        None: everywhere. UserErasing, UserNotFound, StoreUnavailable, Recovering."""
        await self._gate.check()
        record = await self._record(user, actor, by_admin, opted_out, first, namespace)
        await self._gate.note()
        return record

    async def _record(
        self,
        user: str,
        actor: str,
        by_admin: bool | None,
        opted_out: bool | None,
        first: Callable[[Fetch, int], Awaitable[None]] | None,
        namespace: Namespace | None,
    ) -> VisibilityRecord:
        ns = 0 if namespace is None else namespace.id
        while True:
            async with self._postgres.transaction() as fetch:
                rows = await fetch("lock_user", user)
                if rows:
                    number = rows[0]["number"]
                    record = record_from_row((await fetch("get_user_visibility", number, 0))[0])
                    if record.intent is not None and record.intent.desired_state == ERASE:
                        raise UserErasing("writes are refused until it is done; then the name belongs to a new user")
                    if namespace is not None:
                        await fetch("mark_has_user_data", ns)
                        record = record_from_row((await fetch("get_user_visibility", number, ns))[0])
                        # A user known only in other namespaces counts as unknown: an admin of one namespace must not
                        # learn of them.
                        if by_admin is False and record.is_blank and not await fetch("find_known_users", ns, [user]):
                            raise UserNotFound(f"{user!r} has neither a profile nor a grant")
                    if first is not None:
                        await first(fetch, number)
                    causes = (
                        record.by_admin if by_admin is None else by_admin,
                        record.opted_out if opted_out is None else opted_out,
                    )
                    return await _settle(fetch, number, user, actor, ns, record, causes)
            if by_admin is False:
                raise UserNotFound(f"{user!r} has neither a profile nor a grant")
            await self._postgres.fetch("create_users", [user])

    async def send_state(self, intent: VisibilityIntent, partitions: Sequence[int] = ()) -> None:
        """Sends the state to every partition where the intent applies. StoreUnavailable."""
        where = partitions if intent.namespace_id else self._partitions
        replies = await asyncio.gather(*(self._call(state_call(p, intent)) for p in where))
        if -1 in replies:
            raise StoreUnavailable("it took too long to reach every partition")

    async def carry_out(self, person: VisibilityRecord) -> int:
        """Hides or shows a user in every partition that has not done so. Returns in how many it is not done yet.

        It waits until the ledger has what was applied before, and again until it has these entries, 2 s at most each.
        O(the user's boards).
        """
        intent, remaining = person.intent, len(person.open)
        if intent is None or intent.desired_state not in (HIDE, UNHIDE) or not person.open:
            return 0
        try:
            await self.send_state(intent, person.open)
            await self._caught_up(person.open)
            plans = await plan(self._postgres.fetch, intent, person.open)
            places = {p: (0, 0) for p in person.open if p not in plans}
            for p in plans:
                moved = await move(self._submit, p, plans[p])
                if moved.done:
                    places[p] = moved.place
            done = await self._recorded(intent.number, places)
            rows = await self._postgres.fetch("confirm_intent", intent.number, intent.version, done)
            remaining = int(rows[0]["pending"]) if rows else 0
        except Problem:
            pass  # It is recorded, so the persisters will do it.
        return remaining

    async def _caught_up(self, partitions: Sequence[int]) -> None:
        """Waits until the ledger has what these partitions have applied so far. StoreUnavailable."""
        raw = await asyncio.gather(*(self._call(last_seq_call(p)) for p in partitions))
        await self._reached(dict(zip(partitions, map(int, (seq or 0 for seq in raw)), strict=True)))

    async def _recorded(self, number: int, places: Mapping[int, tuple[int, int]]) -> list[int]:
        """The partitions in whose ledger a user's move stands at its place, which is waited for; at (0, 0) nothing
        moved. What the ledger lacks may be lost with the log's end: then it is done again. Redis is not asked where
        its log ends: that may be less by then. StoreUnavailable."""
        moves = [(p, *place) for p, place in places.items() if place != (0, 0)]
        await self._reached({p: seq for p, _, seq in moves})
        columns = [list(column) for column in zip(*moves, strict=True)]
        rows = await self._postgres.fetch("find_moves", number, *columns) if moves else []
        return [*(p for p, place in places.items() if place == (0, 0)), *(row["partition"] for row in rows)]

    async def _reached(self, marks: Mapping[int, int]) -> None:
        """Waits until the ledger is at a seq in each of some partitions. StoreUnavailable."""
        pauses = Pauses(APPLY_S_MAX)
        while True:
            rows = await self._postgres.fetch("get_offsets")
            if all(row["seq"] >= marks.get(row["partition"], 0) for row in rows):
                return
            if pauses.are_over:
                raise StoreUnavailable("the ledger has not caught up")
            await pauses.next()


async def _settle(
    fetch: Fetch, number: int, user: str, actor: str, ns: int, record: VisibilityRecord, causes: tuple[bool, bool]
) -> VisibilityRecord:
    """Records the causes, and a new intent if they ask for another state than the last one did."""
    if any(causes):
        by_admin, opted_out = causes
        await hide(fetch, number=number, ns=ns, record=record, by_admin=by_admin, opted_out=opted_out)
    elif record.by_admin or record.opted_out:
        await fetch("delete_hidden_user", number, ns)
    was_hidden = record.intent is not None and record.intent.desired_state == HIDE
    if any(causes) == was_hidden:
        return VisibilityRecord(*causes, record.intent, record.open)
    (row,) = await fetch("put_intent", number, user, HIDE if any(causes) else UNHIDE, actor, ns)
    return VisibilityRecord(*causes, intent_from_row(row), tuple(row["pending_partitions"]))


async def hide(
    fetch: Fetch,
    *,
    number: int,
    ns: int,
    record: VisibilityRecord,
    by_admin: bool,
    opted_out: bool,
    erased: bool = False,
) -> None:
    """Records why a user is off the boards of a namespace (0: of all), and marks them in its archives. An archive that
    is being written now is marked by its writer. O(archives of the user's namespaces)."""
    await fetch("put_hidden_user", number, ns, by_admin, opted_out, erased)
    if not (record.by_admin or record.opted_out):
        await fetch("share_hidden_archive_users")
        await fetch("hide_user_in_archives", number, ns)


def record_from_row(row: asyncpg.Record) -> VisibilityRecord:
    """A record from its row."""
    intent = None if row["version"] is None else intent_from_row(row)
    return VisibilityRecord(
        bool(row["by_admin"]), bool(row["opted_out"]), intent, tuple(row["pending_partitions"] or ())
    )
