"""Turns: what many clients wait for, taken by deficit round robin, so that nobody's queue is another's wait."""

from collections import deque
from collections.abc import Callable, Hashable, Iterable
from typing import Generic, TypeVar

T = TypeVar("T")


class _ClientQueue(Generic[T]):
    """One client's queue. Jobs are taken in turn, too: of each its next part."""

    __slots__ = ("credit", "jobs", "name")

    def __init__(self, name: Hashable) -> None:
        self.name = name
        self.jobs: deque[deque[tuple[int, T]]] = deque()
        self.credit = 0


class FairQueue(Generic[T]):
    """A queue for each client, all of them in a ring.

    A job is one part or several that keep their order. A client whose turn it is gets a `quantum` of cost; what its
    next part costs beyond that, it saves up for over several turns. While one client waits alone it waits for nobody.
    """

    def __init__(self, quantum: int) -> None:
        self._quantum = quantum
        self._ring: deque[_ClientQueue[T]] = deque()
        self._lanes: dict[Hashable, _ClientQueue[T]] = {}

    def __bool__(self) -> bool:
        return bool(self._ring)

    def push(self, name: Hashable, parts: Iterable[tuple[int, T]]) -> None:
        """Puts a job behind the others of a client: its parts, each with its cost. O(parts)."""
        lane = self._lanes.get(name)
        if lane is None:
            lane = self._lanes[name] = _ClientQueue(name)
            self._ring.append(lane)
        lane.jobs.append(deque(parts))

    def peek(self) -> T:
        """The part whose turn it is; it stays. O(clients) at most, O(cost / quantum) on average."""
        ring = self._ring
        lane = ring[0]
        cost, part = lane.jobs[0][0]
        while cost > lane.credit and len(ring) > 1:
            ring.rotate(-1)
            lane = ring[0]
            lane.credit += self._quantum
            cost, part = lane.jobs[0][0]
        return part

    def pop(self) -> T:
        """Takes the part whose turn it is."""
        if len(self._ring) > 1:
            self.peek()
        lane = self._ring[0]
        job = lane.jobs.popleft()
        cost, part = job.popleft()
        lane.credit = max(0, lane.credit - cost)
        if job:
            lane.jobs.append(job)
        elif not lane.jobs:
            self._ring.popleft()
            del self._lanes[lane.name]
        return part

    def remove(self, is_due: Callable[[T], bool]) -> list[T]:
        """Takes out every job whose next part is due: all of its parts, in order. O(jobs)."""
        gone: list[T] = []
        for lane in list(self._ring):
            due = [is_due(job[0][1]) for job in lane.jobs]
            if not any(due):
                continue
            gone += [part for job, is_over in zip(lane.jobs, due, strict=True) if is_over for _, part in job]
            lane.jobs = deque(job for job, is_over in zip(lane.jobs, due, strict=True) if not is_over)
            if not lane.jobs:
                self._ring.remove(lane)
                del self._lanes[lane.name]
        return gone
