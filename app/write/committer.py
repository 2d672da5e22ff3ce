"""The one writer of a process: entries go to the committer of the node that holds their partition.

A node that is away stalls its own partitions and no others. A partition that moves to another node takes its queue and
its call under way along: that call is sent again, and the script knows what of it counted.
"""

import asyncio
from collections.abc import Callable, Hashable

from ..drivers.caller import CALLER, OWN
from ..drivers.fair_queue import FairQueue
from ..loops import NamedLoops
from ..model.entry import PlannedEntry
from ..model.errors import Problem
from ..store.apply import Outcome, PartitionHead, StorageLimits
from ..store.call_cost import entries_cost
from ..store.clock import StoreClock
from ..store.nodes import PartitionNodes
from ..store.partitions import Renew
from .committer_services import CommitterServices
from .in_flight import InFlightCall, Submission, SubmissionPart, split_submission
from .node_committer import PART_US_MAX, NodeCommitter


class Committer:
    """Hands entries to the committers of the nodes; `run` runs these."""

    def __init__(
        self, nodes: PartitionNodes, bounds: Callable[[int], StorageLimits], clock: StoreClock, renew_marks: Renew
    ) -> None:
        self._services = CommitterServices(nodes=nodes, bounds=bounds, clock=clock, renew_marks=renew_marks)
        self._by_name: dict[str, NodeCommitter] = {}
        self._by_partition: dict[int, NodeCommitter] = {}
        self._loops = NamedLoops()

    async def submit(
        self, p: int, entries: list[PlannedEntry], atomic: bool = False, together: bool = False
    ) -> list[Outcome]:
        """The outcomes of `entries`, in order, once they are on disk. together: next to each other in one call.

        Overloaded; RateLimited for a client with too much of the backlog; StoreUnavailable, Recovering.
        """
        node = self.at(p)
        node.check()
        work = Submission(entries, asyncio.get_running_loop().create_future(), atomic)
        parts = split_submission(work, PART_US_MAX, whole=atomic or together)
        # A client's batches and its single grants have a queue and a share each.
        lane = CALLER.get(), len(entries) > 1
        cost = parts[0].cost if len(parts) == 1 else sum(part.cost for part in parts)
        node.shares.take(lane, cost)
        try:
            node.queue(p, lane, parts)
            return await work.done
        finally:
            node.shares.give(lane, cost)

    def check_room(self, count: int) -> None:
        """Called before a batch is read: Overloaded, RateLimited if every node would refuse its entries anyway.
        O(nodes)."""
        lane: Hashable = (CALLER.get(), count > 1)
        refusal: Problem | None = None
        for node in self._by_name.values():
            try:
                return node.shares.check(lane, entries_cost(count))
            except Problem as problem:
                refusal = problem
        if refusal is not None:
            raise refusal
        return None

    def head(self, p: int) -> PartitionHead | None:
        """The known head of a partition; None before its first contact."""
        return self.at(p).head(p)

    async def contact(self, p: int) -> None:
        """Asks a partition whether it would take a grant, and learns its head, also if it would not.

        Recovering, StoreUnavailable, Overloaded.
        """
        node = self.at(p)
        node.check()
        done: asyncio.Future[list[Outcome]] = asyncio.get_running_loop().create_future()
        node.queue(p, (OWN, False), [SubmissionPart(Submission([], done), [], 0, 0, None)])
        await done

    def at(self, p: int) -> NodeCommitter:
        """The committer of the node that holds a partition. O(1) but after a change of the map."""
        node = self._by_partition.get(p)
        if node is None:
            node = self._by_partition[p] = self._named(self._services.nodes.of(p))
        elif node.version != self._services.nodes.version:
            node.give_away()
            node = self._by_partition[p]
        return node

    async def run(self) -> None:
        """Runs the committers of all nodes, for ever."""
        await self._loops.run()

    def _named(self, name: str) -> NodeCommitter:
        node = self._by_name.get(name)
        if node is None:
            self._end_former_nodes()
            node = self._by_name[name] = NodeCommitter(name, self._services, self._hand_over)
            self._loops.begin(name, node.run)
        return node

    def _end_former_nodes(self) -> None:
        """Ends the committers that have no partition any more."""
        owners = {id(node) for node in self._by_partition.values()}
        for name, node in list(self._by_name.items()):
            if id(node) not in owners and node.is_idle:
                self._loops.end(name)
                del self._by_name[name]

    def _hand_over(self, p: int, turns: FairQueue[SubmissionPart] | None, flight: InFlightCall | None) -> None:
        node = self._by_partition[p] = self._named(self._services.nodes.of(p))
        node.take(p, turns, flight)
