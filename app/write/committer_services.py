"""What the committers of all nodes share."""

from dataclasses import dataclass, field

from ..store.apply import StorageLimits
from ..store.clock import StoreClock
from ..store.nodes import PartitionNodes
from .ledger_offsets import Known, Offsets


@dataclass(frozen=True, kw_only=True)
class CommitterServices:
    """known: by partition, the last entry that this process knows to be
    acknowledged."""

    nodes: PartitionNodes
    offsets: Offsets
    bounds: StorageLimits
    clock: StoreClock
    known: dict[int, Known] = field(default_factory=dict)
