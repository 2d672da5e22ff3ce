"""Writing what was read of several logs so that one partition's fault is no other's."""

from collections.abc import Mapping

import asyncpg
import structlog

from ..metrics import PERSISTED_ROWS
from .faults import LEDGER, LOG, Faults, Unit
from .row import Row
from .sink import Offset, Sink

log = structlog.get_logger()

Batches = Mapping[int, tuple[Offset, list[Row]]]


class LedgerWriter:
    """Remembers which partitions have to wait, and in which the connection was lost: those are written alone."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self._suspects: set[int] = set()

    async def write(self, sink: Sink, batches: Batches) -> set[int]:
        """Writes the rows of some partitions; those that the store did not take, or not all of: each keeps its place
        and waits. Superseded, and asyncpg's errors where the connection is gone."""
        failed: set[int] = set()
        alone = sorted(batches.keys() & self._suspects)
        for group in ({p: batches[p] for p in batches if p not in alone}, *({p: batches[p]} for p in alone)):
            if group:
                failed |= await self._write_group(sink, group)
        return failed

    async def _write_group(self, sink: Sink, group: Batches) -> set[int]:
        try:
            failed = await sink.write(dict(group))
        except Exception as error:
            if len(group) == 1 and group.keys() <= self._suspects:
                self._faults.note(Unit(min(group), LEDGER), error)
            self._suspects |= group.keys()
            raise
        self._suspects -= group.keys()
        for p, (_, rows) in group.items():
            if p in failed:
                self._faults.note(Unit(p, LEDGER), failed[p])
            else:
                PERSISTED_ROWS.inc(len(rows))
                self._faults.clear(Unit(p, LEDGER))
                self._faults.clear(Unit(p, LOG))
        return set(failed)


async def tell_faults(faults: Faults, sink: Sink) -> None:
    """Postgres learns what fails, and servers by it; where it cannot, the log and the metric have told it."""
    told = faults.take()
    try:
        for unit, cause in told:
            await sink.tell_fault(*unit, cause)
    except asyncpg.PostgresError as error:
        faults.put_back([unit for unit, _ in told])
        log.warning("what fails cannot be told to Postgres", error=f"{type(error).__name__}: {error}")
