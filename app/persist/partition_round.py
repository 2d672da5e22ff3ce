"""One round of entries that a persister applies of its own accord: heals, seals, decisions, moves of hidden users."""

from collections.abc import Sequence

from ..drivers.redis import RedisConnection
from ..model.entry import PlannedEntry
from ..store import apply
from ..store.apply import CallRefused, Outcome, PartitionHead
from ..store.ledger_offset import LedgerOffset
from ..store.partitions import read_head


class PartitionRound:
    """Applies entries to one partition whose log must hold the ledger's last entry, `offset`. The head is read once."""

    def __init__(self, link: RedisConnection, p: int, offset: LedgerOffset) -> None:
        self.offset = offset
        self.link = link
        self.partition = p
        self._head: PartitionHead | None = None

    async def submit(self, entries: Sequence[PlannedEntry]) -> list[Outcome]:
        """The outcomes, in order. CallRefused if the script refuses the call with a fresh head. A head that was read
        earlier is read again once."""
        is_known = self._head is not None
        try:
            return await self._apply(entries)
        except CallRefused:
            self._head = None
            if not is_known:
                raise
            return await self._apply(entries)

    async def _apply(self, entries: Sequence[PlannedEntry]) -> list[Outcome]:
        if self._head is None:
            self._head = await read_head(self.link, self.partition)
            self._head.known = (self.offset.epoch, self.offset.seq, self.offset.digest)
        (reply,) = await self.link.run([apply.pack(self.partition, entries, self._head)])
        return apply.read(reply)
