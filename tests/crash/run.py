"""Faults one after the other, in an order that follows from a seed, and what was seen."""

from __future__ import annotations

import random
import shlex
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median

from tests.crash.faults import Fault
from tests.crash.field import Field


@dataclass
class Figures:
    """What was seen of one kind of fault. seconds: from the beginning of its healing until clients were acknowledged
    again; lost: entries that neither ledger nor log had; notes: what the faults themselves measured."""

    seconds: list[float] = field(default_factory=list)
    lost: int = 0
    notes: list[str] = field(default_factory=list)

    @property
    def count(self) -> int:
        """How often it was met."""
        return len(self.seconds)

    def line(self) -> str:
        """In words, for the table."""
        times = f"{self.count} ×, {median(self.seconds):.1f} s, at most {max(self.seconds):.1f} s"
        words = [times, *filter(None, self.notes[-1:])]
        if self.lost:
            words.append(f"{self.lost} entries lost that neither had")
        return "; ".join(words)


class Run:
    """Some faults in turn. grants: how many were acknowledged and compared."""

    def __init__(self, seed: int, faults: Sequence[type[Fault]]) -> None:
        self._seed, self._faults = seed, list(faults)
        self.figures: dict[type[Fault], Figures] = {}
        self.grants = 0
        self._rounds = 0
        #: Faults between two comparisons. One that may lose entries is always followed by one.
        self._stride = 1
        self._since: list[type[Fault]] = []

    def once(self, place: Field) -> None:
        """Each fault once, in an order of the seed. Only each third one is followed by a comparison."""
        self._stride = 3
        self._round(place)
        place.check()

    def last(self, place: Field, seconds: float) -> None:
        """Until the time is over."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self._round(place, end)

    def _round(self, place: Field, end: float = float("inf")) -> None:
        self._rounds += 1
        order = random.Random(f"{self._seed}-{self._rounds}").sample(self._faults, len(self._faults))
        for fault in order:
            if time.monotonic() > end:
                return
            try:
                self._meet(place, fault)
            except BaseException as error:
                names = ", ".join(one.__name__ for one in self._since)
                error.add_note(f"behind {names}; to meet them again: {repeat(self._seed, self._since)}")
                raise
            finally:
                self.grants = place.book.count()

    def _meet(self, place: Field, kind: type[Fault]) -> None:
        at_first = time.monotonic()
        self._since.append(kind)
        place.more(place.chance.randrange(10, 60))
        fault, figures = kind(), self.figures.setdefault(kind, Figures())
        fault.inject(place)
        began = time.monotonic()
        fault.heal(place)
        place.more(10)
        figures.seconds.append(time.monotonic() - began)
        ways, place.ways_back = place.ways_back, []
        figures.notes += [", ".join([*fault.notes, *(f"by `{way}`" for way in ways)])]
        if place.book.is_losing or len(self._since) >= self._stride:
            lost_before = place.lost
            place.check()
            figures.lost += place.lost - lost_before
            self._since = []
        print(f"{time.monotonic() - at_first:5.1f} s  {kind.name}: {figures.line()}", flush=True)


def repeat(seed: int, faults: Sequence[type[Fault]]) -> str:
    """The command that runs the same again."""
    chosen = (word for one in faults for word in ("--fault", one.__name__))
    return shlex.join(["python", "-m", "tests.crash", "--seed", str(seed), *chosen])
