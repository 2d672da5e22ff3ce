"""A correction that was acknowledged and lost is planned anew: what it moved depends on what the ledger holds now."""

import asyncio
from time import monotonic

import msgspec

from ..drivers.postgres import Postgres
from ..drivers.redis import RedisConnection, RedisRefused
from ..model.cell_ops import cells_of, correction_entry
from ..model.correction import CorrectionRequest, Edit, GrantState
from ..model.entry import LogEntry
from ..model.namespace import Namespace
from ..model.ops import unchanged_since
from ..persist.ledger_row import LedgerRow
from ..persist.partition_round import PartitionRound
from ..store.ledger import Ledger
from ..store.namespace_cache import namespace_from_row
from ..store.user_balances import read_plan_base
from .fate import Fate

#: Seconds in which the ledger has to follow: a persister takes a partition within ten.
LEDGER_WAIT_S_MAX = 30.0
#: Seconds between two looks at it.
_POLL_S = 0.05
#: How often a correction is planned anew because its user or the rules changed meanwhile.
_TRIES = 20
#: What an entry of a correction says of the grant behind it.
_FIELDS = ("category", "source", "source_id", "action", "session_id", "granted_at", "windows", "voided", "day")


class CorrectionReplay:
    """Corrections of one partition, to which `partition_round` submits."""

    def __init__(
        self, link: RedisConnection, postgres: Postgres, partition_round: PartitionRound, digest_key: bytes
    ) -> None:
        self._link = link
        self._postgres = postgres
        self._ledger = Ledger(postgres)
        self._partition = partition_round.partition
        self._round = partition_round
        self._digest_key = digest_key

    async def run(self, row: LedgerRow, namespace: Namespace) -> Fate:
        """Submits a correction, unless its grant was corrected otherwise. RedisRefused where no persister follows;
        CallRefused, StoreUnavailable. O(the user's grants), for some rules."""
        entry = row.entry
        assert entry is not None
        for _ in range(_TRIES):
            version, user_seq = await read_plan_base(self._link, self._partition, namespace.id, entry.user)
            await self._follow(user_seq)
            before = (await self._ledger.get_grants(namespace, [entry.grant_id])).get(entry.grant_id)
            if before is None:
                return Fate(row, code="grant_not_found")
            after = _after(before, entry)
            if before.revision >= entry.revision:
                is_done = before.revision == entry.revision and after == before
                return await self._fate_of_known(row, entry) if is_done else Fate(row, code="revision_conflict")
            if before.revision != entry.revision - 1 or before.has_open_letter:
                return Fate(row, code="revision_conflict")
            if version != namespace.version:
                (record,) = await self._postgres.fetch("get_namespaces_by_id", [namespace.id])
                namespace = namespace_from_row(record)
            boards, labels = cells_of(namespace, before.live, after.live)
            cells = list(dict.fromkeys(("all", *boards, *labels)))
            planned = correction_entry(
                namespace,
                CorrectionRequest(
                    entry.grant_id,
                    entry.verb,  # type: ignore[arg-type]  # a verb of a correction
                    Edit(reason=entry.reason),
                    entry.actor or "",
                    entry.idempotency_key,
                ),
                before,
                after,
                await self._ledger.others(namespace, before.user, [entry.grant_id], cells),
                hold=unchanged_since(user_seq),
                request_digest=entry.request_digest,
                digest_key=self._digest_key,
            )
            (outcome,) = await self._round.submit([planned])
            if outcome.code != "stale_user" and not outcome.is_stale:
                return Fate.of(row, outcome)
        return Fate(row, code="stale_user")

    async def _fate_of_known(self, row: LedgerRow, entry: LogEntry) -> Fate:
        """Where the ledger holds the same correction: the client sent it once more."""
        names = [entry.namespace_id], [entry.grant_id], [entry.revision]
        (place,) = await self._postgres.fetch("get_places_of_corrections", *names)
        return Fate(row, place["epoch"], place["seq"])

    async def _follow(self, seq: int) -> None:
        """Waits until the ledger holds a seq. RedisRefused."""
        until = monotonic() + LEDGER_WAIT_S_MAX
        while await self._ledger.seq(self._partition) < seq:
            if monotonic() > until:
                raise RedisRefused(
                    f"corrections of partition {self._partition} wait for the ledger: start leaderboard persist, then "
                    "run leaderboard recover again"
                )
            await asyncio.sleep(_POLL_S)


def _after(before: GrantState, entry: LogEntry) -> GrantState:
    """The grant as the correction leaves it."""
    changes = {name: getattr(entry, name) for name in _FIELDS}
    return msgspec.structs.replace(before, amount=entry.new_amount or 0, quarantined=False, **changes)
