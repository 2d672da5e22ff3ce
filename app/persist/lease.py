"""A partition that belongs to this persister."""

from collections import deque
from dataclasses import dataclass, field
from time import monotonic

from ..store.ledger_offset import LedgerOffset

#: Marks that a partition's tail keeps: one per transaction; beyond it the tail is cut more coarsely.
MARKS_MAX = 10_000


@dataclass(slots=True)
class Lease:
    """offset: written so far; read: read so far, at most one read ahead; checked: the log holds the offset's entry;
    fence_epoch: the epoch that was over when the partition was taken.

    marks: earlier offsets, each with the time at which it was reached (seconds of the monotonic clock), oldest first.
    """

    offset: LedgerOffset
    read: LedgerOffset
    checked: bool = False
    fence_epoch: int = 0
    marks: deque[tuple[float, LedgerOffset]] = field(default_factory=deque)

    @classmethod
    def taken(cls, offset: LedgerOffset) -> "Lease":
        """The lease of a partition whose ledger is at `offset`."""
        return cls(offset, offset, fence_epoch=offset.fence_epoch, marks=deque([(monotonic(), offset)]))

    def advance(self, offset: LedgerOffset) -> None:
        """Records that the ledger is at `offset` now."""
        self.offset = offset
        self.marks.append((monotonic(), offset))
        while len(self.marks) > MARKS_MAX:
            del self.marks[1]

    def tail_begin(self, tail_s: float) -> tuple[int, int]:
        """Epoch and seq of the oldest entry to keep in the log: the last one of `tail_s` seconds ago; (0, 0): none."""
        begin = (0, 0)
        while self.marks and self.marks[0][0] <= monotonic() - tail_s:
            _, mark = self.marks.popleft()
            begin = (mark.epoch, mark.seq)
        return begin
