"""Keeps children running: starts them in order, restarts those that died, ends all of them within a bound.

One thread runs one loop, and each step looks at every child. So no wait for one child hides another's death.
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
#: Seconds before a dead part is restarted: at first, and at most. Each death doubles them.
BACKOFF_S_MIN, BACKOFF_S_MAX = 0.1, 2.0
#: Seconds that a child must run, and be ready, before its next death begins with the shortest delay again.
SETTLED_S = 1.0
#: Deaths before a child was ready, and the seconds within which they must fall, for it to count as unable to start.
DEATHS_MAX, DEATHS_WITHIN_S = 5, 10.0
#: Seconds in which all parts together must end. After them they are killed.
STOP_S_MAX = 4.0
#: Seconds between two checks of the logs' sizes.
LOG_CHECK_S = 5.0


class StopRequestedError(Exception):
    """The user requested a stop."""


@dataclass(slots=True)
class _ChildState:
    child: Child
    started: float = 0.0
    ready: bool = False
    due: float | None = None  # when to restart it; None: it was started
    backoff_s: float = BACKOFF_S_MIN
    early_deaths: deque[float] = field(default_factory=lambda: deque(maxlen=DEATHS_MAX))

    def spawn(self) -> None:
        self.child.spawn()
        self.started, self.ready, self.due = time.monotonic(), False, None


class Supervisor:
    """Watches children from the one thread that calls it.

    Each step calls `stopping`; true ends the run with StopRequestedError. `say` takes a line for the user. Set
    `adopt_orphans` only in a process without other children: it kills and reaps the processes that a dead child leaves
    behind (a worker that still uses its port).
    """

    def __init__(
        self, *, stopping: Callable[[], bool], say: Callable[[str], None], adopt_orphans: bool = False
    ) -> None:
        self._stopping = stopping
        self._say = say
        self._states: list[_ChildState] = []
        self._step: Child | None = None
        self._logs_checked = time.monotonic()
        self._adopts = adopt_orphans and orphans.adopt()

    def run(self, step: Child, timeout_s: float = READY_S_MAX) -> None:
        """Run a child to its end. EmbeddedError with its log's last lines unless it ends in time with exit code 0."""
        self._step = step
        step.spawn()
        deadline = time.monotonic() + timeout_s
        while step.returncode is None:
            if time.monotonic() > deadline:
                raise EmbeddedError(f"{step.name} has not ended after {timeout_s:g} s{step.log_end()}")
            self._tick()
        self._step = None
        if step.returncode != 0:
            raise EmbeddedError(step.death_report())

    def bring_up(self, *children: Child, timeout_s: float = READY_S_MAX) -> None:
        """Prepare and spawn children, and wait until all are ready. From then on they are restarted when they die.
        EmbeddedError if one does not become ready in time."""
        for child in children:
            for step in child.preparation():
                self.run(step, timeout_s)
            state = _ChildState(child)
            state.spawn()
            self._states.append(state)
        deadline = time.monotonic() + timeout_s
        while waiting := [state.child for state in self._states if not state.ready]:
            if time.monotonic() > deadline:
                late = waiting[0]
                raise EmbeddedError(f"{late.name} is not ready after {timeout_s:g} s{late.log_end()}")
            self._tick()

    def watch(self, restarted: Callable[[Sequence[Child]], None]) -> NoReturn:
        """Keep them running until a stop is requested. Calls `restarted` with those that are ready again."""
        while True:
            if ready := self._tick():
                restarted(ready)

    def stop(self, *order: Sequence[Child], hurry: Callable[[], bool]) -> None:
        """End the children, group after group. Each group has its share of four seconds; then all that remain are
        killed. As soon as `hurry` returns true they are killed at once."""
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
        """Looks at every child once, then sleeps shortly. Returns the children that became ready."""
        if self._stopping():
            raise StopRequestedError
        became_ready = [state.child for state in self._states if self._look(state)]
        if self._adopts:
            orphans.reap(self._child_pids())
        if time.monotonic() - self._logs_checked > LOG_CHECK_S:
            self._logs_checked = time.monotonic()
            for state in self._states:
                state.child.rotate_log()
        time.sleep(TICK_S)
        return became_ready

    def _look(self, state: _ChildState) -> bool:
        """Restarts the child if that is due, and notes its death. Returns whether it became ready just now."""
        now = time.monotonic()
        if state.due is not None:
            if now >= state.due:
                state.spawn()
            return False
        if state.child.returncode is not None:
            self._note_death(state, now)
            return False
        if not state.ready and state.child.is_ready():
            state.ready = True
            return True
        return False

    def _child_pids(self) -> list[int]:
        return [state.child.pid for state in self._states] + [self._step.pid if self._step else 0]

    def _note_death(self, state: _ChildState, now: float) -> None:
        if self._adopts:
            orphans.kill(self._child_pids())
        deaths = state.early_deaths
        if state.ready:
            deaths.clear()
        else:
            deaths.append(now)
        if state.ready and now - state.started > SETTLED_S:
            state.backoff_s = BACKOFF_S_MIN
        if len(deaths) == DEATHS_MAX and now - deaths[0] <= DEATHS_WITHIN_S:
            raise EmbeddedError(
                f"{state.child.name} died {DEATHS_MAX} times at its start: {state.child.death_report()}"
            )
        wait_s = state.backoff_s
        state.due = now + wait_s
        state.backoff_s = min(2 * wait_s, BACKOFF_S_MAX)
        self._say(f"{state.child.name} {state.child.ending()}; starting it again in {wait_s:g} s")
