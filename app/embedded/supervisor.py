"""Keeps children running: brings them up in order, starts the dead again, ends all within a bound.

One thread and one loop: every step looks at each child, so no wait for one of them hides another's death.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NoReturn

from . import orphans
from .child import READY_S_MAX, Child, EmbeddedError

#: Seconds between two looks at all parts.
TICK_S = 0.05
#: Seconds before a dead part is started again: at first, and at most, as each death doubles them.
BACKOFF_S_MIN, BACKOFF_S_MAX = 0.1, 2.0
#: A child that was ready and lived this long is started again without growing delay.
SETTLED_S = 1.0
#: So many deaths before it was ready, within so long: it cannot be started.
DEATHS_MAX, DEATHS_WITHIN_S = 5, 10.0
#: Seconds in which all parts together have to end; then they are killed.
STOP_S_MAX = 4.0
#: Seconds between two looks at how large the logs are.
LOG_CHECK_S = 5.0


class StopRequestedError(Exception):
    """The user asked for an end."""


@dataclass(slots=True)
class _Watched:
    child: Child
    started: float = 0.0
    ready: bool = False
    due: float | None = None  # when to start it again; None: it was started
    backoff_s: float = BACKOFF_S_MIN
    early_deaths: deque[float] = field(default_factory=lambda: deque(maxlen=DEATHS_MAX))

    def spawn(self) -> None:
        self.child.spawn()
        self.started, self.ready, self.due = time.monotonic(), False, None


class Supervisor:
    """Watches children from the one thread that calls it.

    `stopping` is asked at every step; `say` takes a line for the user. `adopt_orphans` is for a process that has no
    other children: whatever a dead child leaves behind (a worker that holds its port) is killed and reaped.
    """

    def __init__(
        self, *, stopping: Callable[[], bool], say: Callable[[str], None], adopt_orphans: bool = False
    ) -> None:
        self._stopping = stopping
        self._say = say
        self._watched: list[_Watched] = []
        self._step: Child | None = None
        self._logs_checked = time.monotonic()
        self._adopts = adopt_orphans and orphans.adopt()

    def run(self, step: Child, timeout_s: float = READY_S_MAX) -> None:
        """Run a child to its end; raises EmbeddedError with its log's end unless that is 0."""
        self._step = step
        step.spawn()
        deadline = time.monotonic() + timeout_s
        while step.returncode is None:
            if time.monotonic() > deadline:
                raise EmbeddedError(f"{step.name} has not ended after {timeout_s:g} s{step.log_end()}")
            self._tick()
        self._step = None
        if step.returncode != 0:
            raise EmbeddedError(step.obituary())

    def bring_up(self, *children: Child, timeout_s: float = READY_S_MAX) -> None:
        """Prepare and spawn children, and wait until all are ready; from then on they are kept running."""
        for child in children:
            for step in child.preparation():
                self.run(step, timeout_s)
            watched = _Watched(child)
            watched.spawn()
            self._watched.append(watched)
        deadline = time.monotonic() + timeout_s
        while waiting := [watched.child for watched in self._watched if not watched.ready]:
            if time.monotonic() > deadline:
                late = waiting[0]
                raise EmbeddedError(f"{late.name} is not ready after {timeout_s:g} s{late.log_end()}")
            self._tick()

    def watch(self, restarted: Callable[[Sequence[Child]], None]) -> NoReturn:
        """Keep them running until a stop is asked for; `restarted` is told which came back, once they are ready."""
        while True:
            if back := self._tick():
                restarted(back)

    def stop(self, *order: Sequence[Child], hurry: Callable[[], bool]) -> None:
        """End the children, group after group, each group given its share of four seconds, then kill what remains.

        `hurry` is asked while waiting: true kills at once.
        """
        begun = time.monotonic()
        if self._step is not None:
            self._step.kill()
        for index, group in enumerate(order):
            limit = begun + STOP_S_MAX * (index + 2) / (len(order) + 1)
            for child in group:
                child.request_stop()
            while any(child.returncode is None for child in group) and time.monotonic() < limit and not hurry():
                time.sleep(TICK_S / 5)
        for child in (child for group in order for child in group):
            child.kill()
        if self._adopts:
            orphans.kill(known=())

    def _tick(self) -> list[Child]:
        """One look at every child, then a short sleep; those that became ready."""
        if self._stopping():
            raise StopRequestedError
        became_ready = [watched.child for watched in self._watched if self._look(watched)]
        if self._adopts:
            orphans.reap(self._known())
        if time.monotonic() - self._logs_checked > LOG_CHECK_S:
            self._logs_checked = time.monotonic()
            for watched in self._watched:
                watched.child.rotate_log()
        time.sleep(TICK_S)
        return became_ready

    def _look(self, watched: _Watched) -> bool:
        """Start it if that is due, note its death, or tell whether it became ready just now."""
        now = time.monotonic()
        if watched.due is not None:
            if now >= watched.due:
                watched.spawn()
            return False
        if watched.child.returncode is not None:
            self._died(watched, now)
            return False
        if not watched.ready and watched.child.is_ready():
            watched.ready = True
            return True
        return False

    def _known(self) -> list[int]:
        return [watched.child.pid for watched in self._watched] + [self._step.pid if self._step else 0]

    def _died(self, watched: _Watched, now: float) -> None:
        if self._adopts:
            orphans.kill(self._known())
        deaths = watched.early_deaths
        if watched.ready:
            deaths.clear()
        else:
            deaths.append(now)
        if watched.ready and now - watched.started > SETTLED_S:
            watched.backoff_s = BACKOFF_S_MIN
        if len(deaths) == DEATHS_MAX and now - deaths[0] <= DEATHS_WITHIN_S:
            raise EmbeddedError(
                f"{watched.child.name} died {DEATHS_MAX} times at its start: {watched.child.obituary()}"
            )
        wait_s = watched.backoff_s
        watched.due = now + wait_s
        watched.backoff_s = min(2 * wait_s, BACKOFF_S_MAX)
        self._say(f"{watched.child.name} {watched.child.ending()}; starting it again in {wait_s:g} s")
