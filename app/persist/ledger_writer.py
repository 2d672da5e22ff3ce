"""Writes rows of several partitions to the ledger, so that a fault of one partition does not stop the others."""

from collections.abc import Mapping

import asyncpg
import structlog

from ..metrics import PERSISTED_ROWS
from ..store.ledger_offset import LedgerOffset
from .failure import EpochBegan
from .faults import LEDGER, LOG, Faults, WorkUnit
from .ledger_row import LedgerRow
from .ledger_session import LedgerSession

log = structlog.get_logger()

RowsByPartition = Mapping[int, tuple[LedgerOffset, list[LedgerRow]]]


class LedgerWriter:
    """Remembers which partitions must wait, and with which the connection was lost: those are written alone."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self._suspects: set[int] = set()

    async def write(self, session: LedgerSession, by_partition: RowsByPartition) -> set[int]:
        """Writes the rows of some partitions. Returns the partitions whose rows the store did not take, or not all:
        they stay where they are, and wait, unless an epoch began. Superseded; asyncpg's errors if the connection is
        gone."""
        failed: set[int] = set()
        alone = sorted(by_partition.keys() & self._suspects)
        for group in (
            {p: by_partition[p] for p in by_partition if p not in alone},
            *({p: by_partition[p]} for p in alone),
        ):
            if group:
                failed |= await self._write_group(session, group)
        return failed

    async def _write_group(self, session: LedgerSession, group: RowsByPartition) -> set[int]:
        try:
            failed = await session.write(dict(group))
        except Exception as error:
            if len(group) == 1 and group.keys() <= self._suspects:
                self._faults.note(WorkUnit(min(group), LEDGER), error)
            self._suspects |= group.keys()
            raise
        self._suspects -= group.keys()
        for p, (_, rows) in group.items():
            if isinstance(failed.get(p), EpochBegan):
                log.info("an epoch began", partition=p)
            elif p in failed:
                self._faults.note(WorkUnit(p, LEDGER), failed[p])
            else:
                PERSISTED_ROWS.inc(len(rows))
                self._faults.clear(WorkUnit(p, LEDGER))
                self._faults.clear(WorkUnit(p, LOG))
        return set(failed)


async def report_faults(faults: Faults, session: LedgerSession) -> None:
    """Records failures in Postgres, where servers read them. If that fails, they are still in the log and the
    metric."""
    reports = faults.take()
    try:
        for unit, cause in reports:
            await session.report_fault(unit, cause)
    except asyncpg.PostgresError as error:
        faults.requeue([unit for unit, _ in reports])
        log.warning("failures cannot be recorded in Postgres", error=f"{type(error).__name__}: {error}")
