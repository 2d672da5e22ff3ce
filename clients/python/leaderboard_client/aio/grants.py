"""Writing: grants, batches and corrections."""

import asyncio
import time
from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from ..answers import BatchResult, CorrectionReceipt, Receipt
from ..batches import BatchOptions, Rounds, batch_call
from ..calls import Call, as_type, encode
from ..errors import Problem
from ..grant import Correction, Grant, new_id
from .transport import AsyncTransport


class AsyncGrants:
    """The calls that write grants."""

    _transport: AsyncTransport

    async def grant(
        self,
        namespace: str,
        user_id: str,
        amount: int | float | Decimal,
        *,
        grant_id: str | None = None,
        category: str | None = None,
        source: str | None = None,
        source_id: str | None = None,
        action: str | None = None,
        granted_at: datetime | None = None,
        session_id: str | None = None,
        meta: Mapping[str, Any] | None = None,
        opening: bool = False,
        rank: bool = False,
        backfill: bool = False,
        ack: str | None = None,
        deadline_s: float | None = None,
    ) -> Receipt:
        """Gives points; they count once, however often the call is tried. rank: the receipt has ranks; ack: `replica`
        or `audit` for more than Redis's disk. See Grant for the other fields."""
        one = Grant(
            user_id=user_id,
            amount=amount,
            grant_id=new_id() if grant_id is None else grant_id,
            category=category,
            source=source,
            source_id=source_id,
            action=action,
            granted_at=granted_at,
            session_id=session_id,
            meta=meta,
            opening=opening,
        )
        call = Call(
            method="POST",
            path=("v1", "namespaces", namespace, "grants"),
            query={"rank": rank or None, "backfill": backfill or None, "ack": ack},
            body=encode(one),
            read=as_type(Receipt),
            may_repeat=True,
            deadline_s=deadline_s,
        )
        return await self._transport.send(call)

    async def grants(
        self,
        grants: Iterable[Grant],
        *,
        namespace: str | None = None,
        atomic: bool = False,
        rank: bool = False,
        backfill: bool = False,
        ack: str | None = None,
        deadline_s: float | None = None,
    ) -> BatchResult:
        """Up to 1,000 grants in one request, each counted or refused by itself; those that were refused for a cause
        that passes are sent again while there is time. namespace: of all; without it each grant names its own. atomic:
        all or none, for namespaces of one group."""
        members = list(grants)
        ends_at = time.monotonic() + (self._transport.deadline_s if deadline_s is None else deadline_s)
        options = BatchOptions(rank=rank, backfill=backfill, ack=ack)
        call = batch_call(members, namespace, options, atomic=atomic, deadline_s=deadline_s)
        first = await self._transport.send(call)
        rounds = Rounds(members, first, ends_at=ends_at, random=self._transport.chance)
        while (wait := rounds.wait(time.monotonic())) is not None:
            await asyncio.sleep(wait)
            again = batch_call(rounds.due, namespace, options, deadline_s=ends_at - time.monotonic())
            try:
                rounds.take(await self._transport.send(again))
            except Problem:
                break  # What the answer before said still holds: these members are retryable.
        return rounds.result

    async def edit(
        self,
        namespace: str,
        grant_id: str,
        changes: Mapping[str, Any],
        *,
        reason: str | None = None,
        revision: int | None = None,
        dry_run: bool = False,
        backfill: bool = False,
        ack: str | None = None,
        idempotency_key: str | None = None,
    ) -> CorrectionReceipt:
        """Edits a grant. changes: any of amount, granted_at, category, source, source_id, action, session_id; None
        removes a label. revision: the one that you saw. dry_run: tells who would move, and changes nothing."""
        body = {**changes, **_present(reason=reason, revision=revision)}
        query = {"dry_run": dry_run or None, "backfill": backfill or None, "ack": ack}
        return await self._correct("PATCH", namespace, (grant_id,), query, body, idempotency_key)

    async def void(
        self,
        namespace: str,
        grant_id: str,
        *,
        reason: str | None = None,
        revision: int | None = None,
        dry_run: bool = False,
        ack: str | None = None,
        idempotency_key: str | None = None,
    ) -> CorrectionReceipt:
        """Voids a grant: it does not count any more, and can be restored."""
        query = {"dry_run": dry_run or None, "reason": reason, "revision": revision, "ack": ack}
        return await self._correct("DELETE", namespace, (grant_id,), query, None, idempotency_key)

    async def restore(
        self,
        namespace: str,
        grant_id: str,
        *,
        reason: str | None = None,
        revision: int | None = None,
        dry_run: bool = False,
        ack: str | None = None,
        idempotency_key: str | None = None,
    ) -> CorrectionReceipt:
        """Restores a grant that was voided or waits in quarantine."""
        body = _present(reason=reason, revision=revision)
        query = {"dry_run": dry_run or None, "ack": ack}
        return await self._correct("POST", namespace, (grant_id, "restore"), query, body, idempotency_key)

    async def correct(
        self,
        namespace: str,
        corrections: Iterable[Correction | Mapping[str, Any]],
        *,
        backfill: bool = False,
        ack: str | None = None,
        idempotency_key: str | None = None,
    ) -> BatchResult:
        """Up to 1,000 corrections, each done or refused by itself. A mapping may have a None that removes a label."""
        call = Call(
            method="POST",
            path=("v1", "namespaces", namespace, "corrections"),
            query={"backfill": backfill or None, "ack": ack},
            body=encode(list(corrections)),
            headers={"Idempotency-Key": idempotency_key or new_id()},
            read=as_type(BatchResult),
            may_repeat=True,
        )
        return await self._transport.send(call)

    async def _correct(
        self,
        method: str,
        namespace: str,
        place: tuple[str, ...],
        query: Mapping[str, Any],
        body: Mapping[str, Any] | None,
        idempotency_key: str | None,
    ) -> CorrectionReceipt:
        """With an Idempotency-Key a correction is done once, however often it is tried."""
        call = Call(
            method=method,
            path=("v1", "namespaces", namespace, "grants", *place),
            query=query,
            body=None if body is None else encode(body),
            headers={} if query["dry_run"] else {"Idempotency-Key": idempotency_key or new_id()},
            read=as_type(CorrectionReceipt),
            may_repeat=True,
        )
        return await self._transport.send(call)


def _present(**fields: Any) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}
