"""Sends grants in the background: a queue with a bound, and one thread that empties it, batch by batch, in order.

A grant leaves the queue when the server has answered for it. While the server is away it stays, and is sent again with
the same grant_id, so it counts once. At the exit of the program what is left is sent within a deadline; what is not
taken even then is given to `on_unsent`.
"""

import atexit
import logging
import os
import random
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Protocol, Self

from .answers import BatchResult, Result
from .batches import BATCH_MAX, batch_call
from .calls import Call
from .errors import BadRequest, Closed, Conflict, Forbidden, Invalid, NotFound, Problem, TooLarge, problem_of_body
from .grant import Grant
from .tries import full_jitter

#: Grants that wait at most, if nobody says otherwise: ten full batches, some MB.
QUEUE_MAX = 10_000
#: Seconds for which a batch waits for more grants.
LINGER_S = 0.05
#: Seconds in which the rest is sent when the program ends: longer than a restart of the server takes.
EXIT_S = 30.0
#: Seconds: bounds of the first wait after a batch that could not be sent, and of the longest.
RETRY_WAITS = (0.2, 10.0)
#: Problems of a whole batch that may be those of one member: the batch is halved to find it.
_OF_MEMBERS = (BadRequest, Forbidden, NotFound, Conflict, TooLarge, Invalid)
_log = logging.getLogger("leaderboard_client")

OnRefused = Callable[[Grant, Problem], None]
OnUnsent = Callable[[Sequence[Grant]], None]


class QueueFull(Exception):
    """The queue took no grant in time: the server is away, or slower than you are."""


class Sender(Protocol):
    """What sends a batch: a transport that blocks."""

    def send(self, call: Call[BatchResult], /) -> BatchResult:
        """One call. Problem."""


def log_refusal(grant: Grant, problem: Problem) -> None:
    """What happens to a refused grant if you do not say otherwise."""
    _log.error("grant %s for %s was refused: %s", grant.grant_id, grant.user_id, problem)


def log_unsent(grants: Sequence[Grant]) -> None:
    """What happens to grants that could not be sent before the exit, if you do not say otherwise."""
    ids = [grant.grant_id for grant in grants]
    _log.critical("%d grants were not sent: %s", len(ids), ids)


class Batcher:
    """A queue of grants and the thread that sends them. It may be used by many threads.

    Make it after a fork: threads do not survive one. Python runs no exit handler on SIGTERM unless the program makes an
    exit of it, such as `signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))`; web servers do so.
    """

    def __init__(
        self,
        sender: Sender,
        *,
        queue_max: int = QUEUE_MAX,
        linger_s: float = LINGER_S,
        exit_s: float = EXIT_S,
        on_refused: OnRefused = log_refusal,
        on_unsent: OnUnsent = log_unsent,
        chance: Callable[[], float] = random.random,
    ) -> None:
        """on_refused: called in the thread with each grant that the server does not take, and why; on_unsent: with
        those that are left when the deadline of the exit, exit_s, is over."""
        self._sender = sender
        self._queue_max = queue_max
        self._linger_s = linger_s
        self._exit_s = exit_s
        self._on_refused = on_refused
        self._on_unsent = on_unsent
        self._chance = chance
        self._queue: deque[Grant] = deque()
        self._change = threading.Condition()
        self._thread: threading.Thread | None = None
        self._process = os.getpid()
        self._ends_at: float | None = None
        self._has_ended = False
        self._flushes = 0
        self.problem: Problem | None = None
        """Why the last batch could not be sent; None when one was."""

    def __len__(self) -> int:
        """Grants that wait, with those on their way."""
        return len(self._queue)

    def add(self, grant: Grant, *, namespace: str | None = None, timeout_s: float | None = None) -> None:
        """Takes a grant. It gets the time of now if it has none, since it may wait. Waits while the queue is full, for
        timeout_s at most (None: for ever); QueueFull then, and nothing was taken. Closed."""
        grant = grant.stamped(namespace)
        if grant.namespace is None:
            raise ValueError("namespace: of the grant, or as a parameter")
        with self._change:
            self._check()
            if not self._change.wait_for(lambda: self._has_room, timeout_s):
                raise QueueFull(f"{len(self._queue)} grants wait: {self.problem or 'the server is slower'}")
            self._check()
            self._queue.append(grant)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="leaderboard-batcher", daemon=True)
                self._thread.start()
                atexit.register(self.close)
            self._change.notify_all()

    def flush(self, timeout_s: float | None = None) -> bool:
        """Waits until all that was added is answered for; False if that takes longer than timeout_s seconds."""
        with self._change:
            self._flushes += 1
            self._change.notify_all()
            try:
                return self._change.wait_for(lambda: not self._queue, timeout_s)
            finally:
                self._flushes -= 1

    def close(self) -> None:
        """Takes no more, and sends what is left within exit_s seconds. What was not taken is given to `on_unsent`."""
        with self._change:
            if self._process != os.getpid() or self._has_ended:
                return
            if self._ends_at is None:
                self._ends_at = time.monotonic() + self._exit_s
            self._change.notify_all()
            self._change.wait_for(lambda: not self._queue or self._is_late, self._exit_s)
            self._has_ended = True
            unsent = list(self._queue)
            self._queue.clear()
            self._change.notify_all()
        atexit.unregister(self.close)
        if unsent:
            self._on_unsent(unsent)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def _has_room(self) -> bool:
        return len(self._queue) < self._queue_max or self._ends_at is not None

    @property
    def _is_late(self) -> bool:
        return self._ends_at is not None and time.monotonic() >= self._ends_at

    def _check(self) -> None:
        if self._process != os.getpid():
            raise Closed("closed", "this batcher was made before a fork: make one in each process")
        if self._ends_at is not None:
            raise Closed("closed", "this batcher is closed")

    def _run(self) -> None:
        tries = 0
        while batch := self._next():
            problem = self._send(batch)
            self.problem = problem
            tries = 0 if problem is None else tries + 1
            if problem is not None:
                self._pause((problem.retry_after_s or 0) + full_jitter(tries - 1, RETRY_WAITS, self._chance))

    def _pause(self, seconds: float) -> None:
        """Waits before the next try. That the program begins to end is a reason to try at once."""
        with self._change:
            was_open = self._ends_at is None
            self._change.wait_for(lambda: self._has_ended or (was_open and self._ends_at is not None), seconds)

    def _next(self) -> list[Grant]:
        """The first grants of the queue, which stay there; none: it is over."""
        with self._change:
            self._change.wait_for(lambda: self._queue or self._ends_at is not None)
            if len(self._queue) < BATCH_MAX:
                self._change.wait_for(
                    lambda: len(self._queue) >= BATCH_MAX or self._ends_at is not None or self._flushes > 0,
                    self._linger_s,
                )
            return [self._queue[i] for i in range(min(len(self._queue), BATCH_MAX))]

    def _send(self, batch: list[Grant]) -> Problem | None:
        """Sends grants, and takes those out of the queue that are answered for. Why some are not: a problem that
        passes, or None. Halves a batch that is refused for one of its members: log2(batch) calls for each such
        member."""
        left = None if self._ends_at is None else max(0.1, self._ends_at - time.monotonic())
        try:
            results = self._sender.send(batch_call(batch, None, deadline_s=left)).results
        except Problem as problem:
            if problem.passes:
                return problem
            if len(batch) > 1 and isinstance(problem, _OF_MEMBERS):
                middle = len(batch) // 2
                return self._send(batch[:middle]) or self._send(batch[middle:])
            self._settle(batch, [problem] * len(batch))
            return None
        except Exception as error:
            _log.exception("a defect of the client: the batch is sent again")
            return Problem("internal", str(error))
        open_ = [result for result in results if result.error is not None and result.error.retryable]
        self._settle(batch, [_refusal(result) for result in results], results)
        return None if not open_ else _refusal(open_[0])

    def _settle(
        self, batch: Sequence[Grant], refusals: Sequence[Problem | None], results: Sequence[Result] = ()
    ) -> None:
        """Takes grants out of the queue, but those that are to be sent again, and tells of those that were refused."""
        again = {
            id(grant)
            for grant, result in zip(batch, results, strict=False)
            if result.error is not None and result.error.retryable
        }
        members = {id(grant) for grant in batch}
        for grant, problem in zip(batch, refusals, strict=True):
            if problem is not None and id(grant) not in again:
                try:
                    self._on_refused(grant, problem)
                except Exception:
                    _log.exception("on_refused failed")
        with self._change:
            if self._has_ended:
                return  # The rest was given to on_unsent.
            head = [self._queue.popleft() for _ in range(min(len(self._queue), BATCH_MAX))]
            self._queue.extendleft(grant for grant in reversed(head) if id(grant) not in members or id(grant) in again)
            self._change.notify_all()


def _refusal(result: Result) -> Problem | None:
    if result.error is None:
        return None
    error = result.error
    body = {"code": error.code, "detail": error.detail, "field": error.field}
    return problem_of_body(body, status=error.status)
