"""How far a partition's log is in the ledger."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LedgerOffset:
    """The place of the last entry that the ledger has of a partition, and the digest of its content; seq 0: there is
    none. fence_epoch: the epoch that was over when this was read; a Redis that is still in it is a former primary."""

    epoch: int
    seq: int
    digest: bytes
    fence_epoch: int = 0
