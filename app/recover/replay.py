"""Entries that were acknowledged and lie in no history that goes on are submitted again, under their own names.

They counted once, so what a namespace asks of a new grant does not apply: mode, seals, age, bounds, velocity. A client
that sends the same grant in between sends a duplicate, and it counts once.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from time import monotonic
from typing import NamedTuple

from ..access.digest_key import read_digest_key
from ..drivers.postgres import Postgres
from ..drivers.redis import RedisConnection
from ..model.entry import LogEntry, PlannedEntry
from ..model.entry_kinds import BACKFILL, CORRECTION, GRANT
from ..model.entry_names import entry_id
from ..model.labels import labels_of
from ..model.namespace import Namespace
from ..model.text import count_text
from ..persist.ledger_row import LedgerRow
from ..persist.partition_round import PartitionRound
from ..settings import Settings
from ..store import keys
from ..store.apply import CallRefused, Outcome
from ..store.call_cost import portions
from ..store.ledger_offset import LedgerOffset
from ..store.marks import MARK_SCRIPTS, Marks
from ..store.namespace_cache import namespace_from_row
from ..store.partitions import read_heads
from ..store.rebuilds import forget_aside, read_asides, trim_aside
from .aside import ENTRIES_A_PAGE, aside_rows
from .correction_replay import CorrectionReplay
from .fate import Fate, record_fates

#: Entries that cannot come back that a report names: one screen. Each has an event, too.
LOST_LINES_MAX = 20
#: Seconds until a partition that was just opened has to be marked.
MARK_WAIT_S_MAX = 30.0
#: Seconds between two looks at it.
_POLL_S = 0.05
#: How often an entry is submitted anew because rules changed meanwhile.
_TRIES = 5
#: What is submitted again. Anything else a persister does by itself where it is still to be done.
_KINDS = (GRANT.name, CORRECTION.name)
#: A round that knows of no entry that the log must hold.
_ANYWHERE = LedgerOffset(0, 0, b"")


@dataclass(slots=True)
class ReplayReport:
    """What became of the entries of a partition that were set aside. lost: those that cannot come back."""

    partition: int
    replayed: int = 0
    lost: list[Fate] = field(default_factory=list)

    def __str__(self) -> str:
        lines = [
            f"counted {count_text(self.replayed, 'acknowledged entry', 'acknowledged entries')} again, at other places"
        ]
        lines += [f"  {fate}" for fate in self.lost[:LOST_LINES_MAX]]
        if len(self.lost) > LOST_LINES_MAX:
            lines.append(f"  and {len(self.lost) - LOST_LINES_MAX:,} more: see the events `lost` of the namespaces")
        return "\n".join(lines)


async def replay_asides(settings: Settings, partitions: Sequence[int]) -> AsyncIterator[ReplayReport]:
    """Submits what was set aside in some partitions; reports those that had something. What is done is deleted
    page by page, so that it goes on after a kill. RedisRefused, CallRefused, StoreUnavailable; O(entries)."""
    postgres, link = Postgres(settings.postgres_url), RedisConnection(settings.redis_url, MARK_SCRIPTS)
    marks = Marks(RedisConnection(settings.redis_url, MARK_SCRIPTS), settings.postgres_url)
    try:
        for p in partitions:
            if asides := await read_asides(link, p):
                await _wait_for_mark(link, marks, p)
                replay = Replay(link, postgres, p, read_digest_key(settings))
                for epoch in asides:
                    await replay.run(epoch)
                yield replay.report
    finally:
        await marks.close()
        await link.close()
        await postgres.close()


async def _wait_for_mark(link: RedisConnection, marks: Marks, p: int) -> None:
    """Has a partition that was just opened compared with the ledger, as every reader and writer does. CallRefused."""
    until = monotonic() + MARK_WAIT_S_MAX
    while True:
        (head,) = await read_heads(link, [p])
        if not isinstance(head, CallRefused):
            return
        if head.code != "unchecked" or monotonic() > until:
            raise head
        await marks.renew(link.node(keys.meta(p)))
        await asyncio.sleep(_POLL_S)


class Replay:
    """One partition's. `link` knows apply.lua; digest_key: the deployment's."""

    def __init__(self, link: RedisConnection, postgres: Postgres, p: int, digest_key: bytes) -> None:
        self._digest_key = digest_key
        self._link = link
        self._postgres = postgres
        self._partition = p
        self._round = PartitionRound(link, p, _ANYWHERE)
        self.report = ReplayReport(p)

    async def run(self, epoch: int) -> None:
        """Submits the log that was set aside before an epoch, and forgets it."""
        page: list[LedgerRow] = []
        async for row in aside_rows(self._link, self._partition, epoch):
            page.append(row)
            if len(page) == ENTRIES_A_PAGE:
                await self._replay(page, epoch)
                page = []
        if page:
            await self._replay(page, epoch)
        await forget_aside(self._link, self._partition, epoch)

    async def _replay(self, page: list[LedgerRow], epoch: int) -> None:
        """Grants first: a correction stands behind its grant, and is planned from the ledger."""
        rows = [row for row in await self._strangers(page) if row.entry is None or row.entry.kind in _KINDS]
        grants = [row for row in rows if row.entry is not None and row.entry.kind == GRANT.name]
        corrections = [row for row in rows if row.entry is not None and row.entry.kind == CORRECTION.name]
        fates = [Fate(row, code="unreadable") for row in rows if row.entry is None]
        fates += await self._grants(grants)
        correction_replay = CorrectionReplay(self._link, self._postgres, self._round, self._digest_key)
        for row, namespace in await self._with_namespaces(corrections):
            fates.append(
                Fate(row, code="namespace_deleted")
                if namespace is None
                else await correction_replay.run(row, namespace)
            )
        await record_fates(self._postgres, fates)
        self.report.replayed += sum(fate.is_back for fate in fates)
        self.report.lost += [fate for fate in fates if not fate.is_back]
        await trim_aside(self._link, self._partition, epoch, (page[-1].epoch, page[-1].seq))

    async def _strangers(self, page: list[LedgerRow]) -> list[LedgerRow]:
        """Those that the ledger does not hold at their own places."""
        columns = [row.epoch for row in page], [row.seq for row in page]
        rows = await self._postgres.fetch("get_digests", self._partition, *columns)
        digests = {(row["epoch"], row["seq"]): bytes(row["digest"]) for row in rows}
        return [row for row in page if digests.get((row.epoch, row.seq)) != row.digest]

    async def _with_namespaces(self, rows: Sequence[LedgerRow]) -> list[tuple[LedgerRow, Namespace | None]]:
        """Entries with their namespaces; None for a deleted one."""
        ids = {row.entry.namespace_id for row in rows if row.entry is not None}
        records = await self._postgres.fetch("get_namespaces_by_id", sorted(ids))
        alive = {record["id"]: namespace_from_row(record) for record in records if not record["is_deleted"]}
        return [(row, alive.get(row.entry.namespace_id)) for row in rows if row.entry is not None]

    async def _grants(self, rows: Sequence[LedgerRow]) -> list[Fate]:
        """The fates of grants. One that the ledger holds elsewhere was sent once more by its client."""
        places = await self._places(rows)
        gone = await self._gone_users(rows)
        fates, due = [], []
        for row in rows:
            assert row.entry is not None
            place = places.get((row.entry.namespace_id, row.entry.grant_id))
            if place is not None:
                same = place.digest == row.digest
                fates.append(Fate(row, place.epoch, place.seq) if same else Fate(row, code="grant_conflict"))
            elif row.entry.user in gone:
                fates.append(Fate(row, code="user_erased"))
            else:
                due.append(row)
        for _ in range(_TRIES):
            stale = []
            async for row, outcome in self._submit(due):
                if outcome is None:
                    fates.append(Fate(row, code="namespace_deleted"))
                elif outcome.is_stale:
                    stale.append(row)
                else:
                    fates.append(Fate.of(row, outcome))
            due = stale
        return fates + [Fate(row, code="stale_rules") for row in due]

    async def _submit(self, rows: Sequence[LedgerRow]) -> AsyncIterator[tuple[LedgerRow, Outcome | None]]:
        """Each grant with its outcome; None where its namespace was deleted."""
        there = []
        for row, namespace in await self._with_namespaces(rows):
            if namespace is None:
                yield row, None
            else:
                there.append((row, _planned(row, namespace)))
        waiting: Iterator[LedgerRow] = iter([row for row, _ in there])
        for portion in portions([entry for _, entry in there]):
            outcomes = await self._round.submit(portion.entries)
            for row, outcome in zip(islice(waiting, len(outcomes)), outcomes, strict=True):
                yield row, outcome

    async def _places(self, rows: Sequence[LedgerRow]) -> dict[tuple[int, str], "LedgerPlace"]:
        """Where the ledger holds grants of these names, by namespace and grant_id."""
        entries = [row.entry for row in rows if row.entry is not None]
        columns = [entry.namespace_id for entry in entries], [entry.grant_id for entry in entries]
        records = await self._postgres.fetch("get_places_of_grants", *columns)
        return {
            (record["namespace_id"], record["grant_id"]): LedgerPlace(
                record["epoch"], record["seq"], bytes(record["digest"])
            )
            for record in records
        }

    async def _gone_users(self, rows: Sequence[LedgerRow]) -> set[str]:
        """Users of these entries whom nobody knows, where somebody was erased since: it may be them."""
        if not rows:
            return set()
        names = {row.entry.user for row in rows if row.entry is not None}
        since = min(row.recorded_at for row in rows)
        (erased,) = await self._postgres.fetch("has_erasures_since", self._partition, since)
        if not erased["has_erasures"]:
            return set()
        return names - {row["name"] for row in await self._postgres.fetch("get_user_numbers", sorted(names))}


class LedgerPlace(NamedTuple):
    """Where the ledger holds a grant, and the digest of its content."""

    epoch: int
    seq: int
    digest: bytes


def _planned(row: LedgerRow, namespace: Namespace) -> PlannedEntry:
    """The grant as an admin's backfill, which no rule for new grants holds up; one in quarantine stays there."""
    entry: LogEntry | None = row.entry
    assert entry is not None
    return PlannedEntry(
        kind=BACKFILL,
        namespace=namespace,
        body=entry,
        id=entry_id(GRANT, namespace.id, entry.grant_id, 1),
        content=row.digest,
        verdict="quarantined" if row.quarantined else "",
        boards=namespace.boards_of(entry.windows, entry.category),
        labels=labels_of(entry.category, entry.source, day=entry.day),
    )
