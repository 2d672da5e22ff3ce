"""What the committers of all nodes share."""

from collections.abc import Callable
from dataclasses import dataclass, field

from ..store.apply import StorageLimits
from ..store.clock import StoreClock
from ..store.nodes import PartitionNodes
from ..store.partitions import Renew


@dataclass(frozen=True, kw_only=True)
class CommitterServices:
    """bounds: the storage that grants may use in a partition. known: by partition, epoch, seq and digest of the last
    entry that this process knows to be acknowledged."""

    nodes: PartitionNodes
    bounds: Callable[[int], StorageLimits]
    clock: StoreClock
    renew_marks: Renew
    known: dict[int, tuple[int, int, bytes]] = field(default_factory=dict)
