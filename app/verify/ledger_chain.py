"""Verifies the ledger chain of every partition, and compares it with an earlier head that was kept elsewhere."""

from collections.abc import Mapping, Sequence

import asyncpg

from ..drivers.postgres import PLANNER_SETTINGS, connect, queries
from ..drivers.postgres_micros import use_micros
from ..model.chain_anchor import ChainAnchor
from ..model.ledger_chain import LedgerChain
from .chain_walk import ChainHead, ChainWalk
from .report import FINDINGS_MAX, Progress, Report

#: Rows that one statement reads: some MB, so that no ledger is too large, and no snapshot is old.
ROWS_A_PAGE_MAX = 5_000
#: Seconds that one statement may take.
STATEMENT_S_MAX = 60.0
#: A page is read in the order of its index, also of rows that nobody has counted, or each page would sort all others.
PLANS = {**PLANNER_SETTINGS, "enable_bitmapscan": "off", "enable_sort": "off"}


class ChainVerifier:
    """One verification. anchors: earlier heads, by partition. Rows that come meanwhile are left to the next one."""

    def __init__(self, url: str, chain: LedgerChain, progress: Progress, anchors: Mapping[int, ChainAnchor]) -> None:
        self._url = url
        self._chain = chain
        self._progress = progress
        self._anchors = anchors
        self.report = Report()
        self.unchained: dict[int, int] = {}
        self.lost: dict[int, int] = {}

    async def run(self) -> Report:
        """Walks every partition. asyncpg's errors. O(rows), in memory of one page."""
        connection = await connect(self._url, STATEMENT_S_MAX, PLANS)
        try:
            await use_micros(connection)
            heads = await read_heads(connection)
            self._progress.begin(sum(head.seq for head in heads))
            for head in heads:
                self._progress.at(f"partition {head.partition}")
                await self._walk(connection, head)
        finally:
            connection.terminate()
        for p in self._anchors.keys() - {head.partition for head in heads}:
            self.report.note(_where(p), "the anchor tells of this partition, and the deployment has none")
        return self.report

    async def _walk(self, connection: asyncpg.Connection, head: ChainHead) -> None:
        p, where = head.partition, _where(head.partition)
        walk = ChainWalk(self._chain, p, lambda what: self.report.note(where, what))
        place, anchor = (-1, 0), self._anchors.get(p)
        while rows := await self._page(connection, head, place):
            for row in rows:
                walk.step(row)
                if anchor is not None and anchor.place == (row["epoch"], row["seq"]):
                    self._compare(anchor, row["chain_hash"])
                    anchor = None
            place = rows[-1]["epoch"], rows[-1]["seq"]
            self._progress.step(len(rows))
        walk.end(head)
        if anchor is not None and anchor.place != (0, 0):
            self.report.note(where, f"{anchor.place[0]}-{anchor.place[1]}: the row of the anchor is gone")
        for row in await connection.fetch(queries()["get_rows_beyond_offset"], p, FINDINGS_MAX):
            self.report.note(
                where, f"{row['epoch']}-{row['seq']}: it stands behind the end of the ledger: it was inserted"
            )
        self.report.numbers += walk.rows
        if walk.lost:
            self.lost[p] = walk.lost
        if walk.unchained:
            self.unchained[p] = walk.unchained

    async def _page(
        self, connection: asyncpg.Connection, head: ChainHead, place: tuple[int, int]
    ) -> Sequence[asyncpg.Record]:
        rows = await connection.fetch(queries()["get_chained_rows"], head.partition, *place, ROWS_A_PAGE_MAX)
        return [row for row in rows if (row["epoch"], row["seq"]) <= (head.epoch, head.seq)]

    def _compare(self, anchor: ChainAnchor, actual: bytes | None) -> None:
        if (actual or b"").hex() != anchor.hash:
            what = "the row has another hash than the anchor: it, or one before it, was changed or written again"
            self.report.note(_where(anchor.partition), f"{anchor.epoch}-{anchor.seq}: {what}")


async def read_heads(connection: asyncpg.Connection) -> list[ChainHead]:
    """Where each partition's ledger ends, in order. asyncpg's errors. O(partitions)."""
    return [ChainHead.of_row(row) for row in await connection.fetch(queries()["get_chain_heads"])]


def _where(p: int) -> str:
    return f"ledger, partition {p}"
