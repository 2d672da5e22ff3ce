"""A gap in the ledger: rows that Postgres lost, and that no log holds any more. A row of its own stands for them."""

from collections.abc import Mapping
from time import time_ns
from typing import NamedTuple

import msgspec

from ..drivers.postgres import Postgres
from ..drivers.redis import RedisConnection, RedisRefused, ask
from ..model.entry import marker_entry
from ..model.entry_kinds import CORRECTION, GAP, GRANT, ORPHAN, kind_of
from ..model.entry_names import digest_of, gap_name
from ..persist.ledger_row import LedgerRow, read_row
from ..persist.ledger_session import LedgerSession
from ..persist.log_reader import ROWS_MAX, rows_behind
from ..store.ledger_offset import LedgerOffset
from ..store.ledger_reach import FROM_REDIS
from ..store.log_format import read_fields
from ..store.marks import close_partitions
from ..store.partitions import LEDGER_BEHIND, read_last_seq
from ..store.rebuilds import holds_entry, log_page_call, read_rebuild_head, write_progress

_pack = msgspec.msgpack.Encoder().encode


class LedgerGap(NamedTuple):
    """The first and the last seq that are lost. Where the log begins right behind the ledger's last row, none is: the
    last one is that row's. But nothing shows that the two belong together, so users are compared as well."""

    first_seq: int
    last_seq: int

    @property
    def entries(self) -> int:
        """How many they are."""
        return self.last_seq - self.first_seq + 1

    @property
    def progress(self) -> str:
        """What meta tells while it is worked on."""
        return f"{FROM_REDIS} {self.first_seq} {self.last_seq}"

    @classmethod
    def parse(cls, progress: str) -> "LedgerGap | None":
        """None for the progress of anything else."""
        words = progress.split()
        return cls(*map(int, words[1:])) if words[:1] == [FROM_REDIS] else None


async def find_gap(link: RedisConnection, postgres: Postgres, p: int) -> LedgerGap | None:
    """The gap of a partition: one that is being worked on, or one that is found now; None: there is none. O(log n)."""
    head = await read_rebuild_head(link, p)
    if (gap := LedgerGap.parse(head.progress)) is not None:
        return gap
    (row,) = await postgres.fetch("get_offsets_of", [p])
    offset = LedgerOffset(row["epoch"], row["seq"], bytes(row["digest"]))
    if head.seq is None or (offset.seq and await holds_entry(link, p, offset)):
        return None
    begin = await _begin(link, p)
    last = head.seq if begin is None else begin.seq - 1
    return LedgerGap(offset.seq + 1, last) if last >= offset.seq else None


async def begin_gaps(link: RedisConnection, gaps: Mapping[int, LedgerGap]) -> None:
    """Closes partitions, and notes in their metas that their gaps are worked on: until that is over, nobody opens them.
    O(partitions)."""
    await close_partitions(link, {p: f"{LEDGER_BEHIND}: {gap.progress}" for p, gap in gaps.items()})
    for p, gap in gaps.items():
        await write_progress(link, p, gap.progress)


async def close_gap(
    link: RedisConnection, session: LedgerSession, p: int, gap: LedgerGap, *, epoch: int
) -> LedgerOffset:
    """Writes the row of a gap, if it is not there, and all that the log has behind it: where the ledger ends then.
    epoch: of the partition. RedisRefused, PartitionStopped; O(the log)."""
    offset = await session.offset(p)
    if offset.seq < gap.last_seq:
        begin = await _begin(link, p)
        offset = await _write(session, p, offset, [_gap_row(p, gap, begin, epoch)])
    while page := await ask(link, log_page_call(p, (offset.epoch, offset.seq), ROWS_MAX)):
        rows = rows_behind(p, page, offset)
        await _mark_orphans(session, rows)
        offset = await _write(session, p, offset, rows)
    if offset.seq != await read_last_seq(link, p):
        raise RedisRefused(f"partition {p}: its log ends at seq {offset.seq}, and its head tells another seq")
    return offset


async def _mark_orphans(session: LedgerSession, rows: list[LedgerRow]) -> None:
    """Corrections of grants that are lost become orphans: what they left counts among what is lost. O(rows × log n)."""
    entries = [(row, row.entry) for row in rows if row.entry is not None]
    corrections = [(row, entry) for row, entry in entries if entry.kind == CORRECTION.name]
    if not corrections:
        return
    keys = [(entry.namespace_id, entry.grant_id) for _, entry in corrections]
    recorded = await session.fetch("get_places_of_grants", *map(list, zip(*keys, strict=True)))
    known = {(row["namespace_id"], row["grant_id"]) for row in recorded}
    known |= {(entry.namespace_id, entry.grant_id) for _, entry in entries if entry.kind == GRANT.name}
    for row, entry in corrections:
        if (entry.namespace_id, entry.grant_id) not in known:
            row.entry = msgspec.structs.replace(entry, kind=ORPHAN, verb=None)


async def _begin(link: RedisConnection, p: int) -> LedgerRow | None:
    """The log's first entry; None: it is empty. One without a body, as a rebuild leaves it in front, is none."""
    entries = await ask(link, log_page_call(p, (0, 0), 2))
    return next((read_row(p, place, parts) for place, parts in entries if read_fields(parts).packed), None)


async def _write(session: LedgerSession, p: int, offset: LedgerOffset, rows: list[LedgerRow]) -> LedgerOffset:
    failed = await session.write({p: (offset, rows)})
    if failed:
        raise failed[p]
    return LedgerOffset(rows[-1].epoch, rows[-1].seq, rows[-1].digest)


def _gap_row(p: int, gap: LedgerGap, begin: LedgerRow | None, epoch: int) -> LedgerRow:
    """The row in front of the log's first entry, of that one's moment."""
    name, at = gap_name(*gap), time_ns() // 1_000 if begin is None else begin.recorded_at
    epoch = epoch if begin is None else begin.epoch
    entry = marker_entry(kind_of(GAP), 0, name, at)
    return LedgerRow(p, epoch, gap.last_seq, digest_of(name), _pack(entry), at, None, 0, False, entry)
