"""What the committers of all nodes share."""

from dataclasses import dataclass, field

from ..store.apply import StorageLimits
from ..store.clock import StoreClock
from ..store.nodes import PartitionNodes
from ..store.partitions import Renew


@dataclass(frozen=True, kw_only=True)
class CommitterServices:
    """known: by partition, epoch, seq and digest of the last entry that this process knows to be acknowledged."""

    nodes: PartitionNodes
    bounds: StorageLimits
    clock: StoreClock
    renew_marks: Renew
    known: dict[int, tuple[int, int, bytes]] = field(default_factory=dict)
