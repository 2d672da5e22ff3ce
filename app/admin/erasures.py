"""Erasing users: requested here, carried out by the persisters (app/persist/visibility.py)."""

import asyncio
from time import monotonic

from ..drivers.postgres import Postgres
from ..model.errors import UserNotFound
from ..model.visibility import ERASE, VisibilityIntent
from ..store.visibility import intent_from_row
from .state_gate import Gate
from .visibility_intents import hide, record_from_row

#: Seconds between two checks whether an erasure is done.
_POLL_S = 0.1


class Erasures:
    """Erasures as Postgres records them. A recorded erasure is carried out even if this process ends."""

    def __init__(self, postgres: Postgres, gate: Gate) -> None:
        self._postgres = postgres
        self._gate = gate

    async def erase(self, user: str, actor: str) -> VisibilityIntent:
        """Records that a user is to be erased. No later intent replaces that. UserNotFound, StoreUnavailable,
        Recovering."""
        await self._gate.check()
        intent = await self._record(user, actor)
        await self._gate.note()
        return intent

    async def _record(self, user: str, actor: str) -> VisibilityIntent:
        async with self._postgres.transaction() as fetch:
            rows = await fetch("lock_user", user)
            if not rows:
                raise UserNotFound(f"{user!r} has neither a profile nor a grant")
            number = rows[0]["number"]
            record = record_from_row((await fetch("get_user_visibility", number, 0))[0])
            if record.intent is not None and record.intent.desired_state == ERASE:
                return record.intent
            await hide(
                fetch,
                number=number,
                ns=0,
                record=record,
                by_admin=record.by_admin,
                opted_out=record.opted_out,
                erased=True,
            )
            return intent_from_row((await fetch("put_intent", number, user, ERASE, actor, 0))[0])

    async def erased(self, intent: VisibilityIntent, seconds: float) -> bool:
        """Waits until the erasure is done, but no longer than given. Returns whether it is done. StoreUnavailable."""
        until = monotonic() + seconds
        while True:
            row = await self._postgres.fetch_one("get_intent", intent.number)
            if row is None:
                return True
            if monotonic() > until:
                return False
            await asyncio.sleep(_POLL_S)
