"""A queue that serves clients in turns, by deficit round robin: a long queue of one does not delay the others."""

from collections import deque
from collections.abc import Callable, Hashable, Iterable
from typing import Generic, TypeVar

T = TypeVar("T")


class _ClientQueue(Generic[T]):
    """One client's queue. Its jobs take turns as well: each turn takes the next part of a job."""

    __slots__ = ("credit", "jobs", "name")

    def __init__(self, name: Hashable) -> None:
        self.name = name
        self.jobs: deque[deque[tuple[int, T]]] = deque()
        self.credit = 0


class FairQueue(Generic[T]):
    """A queue for each client, all of them in a ring.

    A job has one or more parts, which keep their order. At its turn a client gets a `quantum` of credit. If its next
    part costs more, it saves credit over several turns. A client that waits alone needs no credit.
    """

    def __init__(self, quantum: int) -> None:
        self._quantum = quantum
        self._ring: deque[_ClientQueue[T]] = deque()
        self._queues: dict[Hashable, _ClientQueue[T]] = {}

    def __bool__(self) -> bool:
        return bool(self._ring)

    def push(self, name: Hashable, parts: Iterable[tuple[int, T]]) -> None:
        """Adds a job behind the client's others. parts: each with its cost. O(parts)."""
        queue = self._queues.get(name)
        if queue is None:
            queue = self._queues[name] = _ClientQueue(name)
            self._ring.append(queue)
        queue.jobs.append(deque(parts))

    def peek(self) -> T:
        """The part whose turn it is; it stays in the queue. O(clients) at most, O(cost / quantum) on average."""
        ring = self._ring
        queue = ring[0]
        cost, part = queue.jobs[0][0]
        while cost > queue.credit and len(ring) > 1:
            ring.rotate(-1)
            queue = ring[0]
            queue.credit += self._quantum
            cost, part = queue.jobs[0][0]
        return part

    def pop(self) -> T:
        """Takes the part whose turn it is."""
        if len(self._ring) > 1:
            self.peek()
        queue = self._ring[0]
        job = queue.jobs.popleft()
        cost, part = job.popleft()
        queue.credit = max(0, queue.credit - cost)
        if job:
            queue.jobs.append(job)
        elif not queue.jobs:
            self._ring.popleft()
            del self._queues[queue.name]
        return part

    def remove(self, is_due: Callable[[T], bool]) -> list[T]:
        """Removes every job whose next part is due. Returns all parts of these jobs, in order. O(jobs)."""
        removed: list[T] = []
        for queue in list(self._ring):
            due = [is_due(job[0][1]) for job in queue.jobs]
            if not any(due):
                continue
            removed += [part for job, is_over in zip(queue.jobs, due, strict=True) if is_over for _, part in job]
            queue.jobs = deque(job for job, is_over in zip(queue.jobs, due, strict=True) if not is_over)
            if not queue.jobs:
                self._ring.remove(queue)
                del self._queues[queue.name]
        return removed
