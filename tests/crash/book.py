"""What clients know to count: each grant and correction that was acknowledged, and the boards that follow from them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from tests.crash.spaces import AGGREGATION, ICE, PACER

#: An entry of the ledger: namespace, grant_id, revision.
Name = tuple[str, str, int]


class Version(NamedTuple):
    """A grant as an acknowledgement left it. sent_at: when the request was sent that was acknowledged."""

    amount: int
    is_voided: bool
    sent_at: float


#: What a correction makes of a grant.
Change = Callable[[Version], Version]


@dataclass
class Fact:
    """A grant. versions: by revision, 1 is the grant itself."""

    space: str
    grant_id: str
    user: str
    at: str
    day: str | None
    versions: dict[int, Version] = field(default_factory=dict)

    @property
    def last(self) -> Version:
        """What counts."""
        return self.versions[max(self.versions)]


class Book:
    """The clients' book. Several threads write to it.

    entries: how many were acknowledged; is_losing: a fault is under way that may take what neither ledger nor log has.
    """

    def __init__(self) -> None:
        self.entries = 0
        self.is_losing = False
        self.hidden: dict[str, int] = {}
        self._hides = 0
        self._facts: dict[tuple[str, str], Fact] = {}
        self._lock = threading.RLock()
        self._floors: dict[str, int] = {}
        self._checked_floors: dict[str, int] = {}

    def add(self, space: str, body: dict[str, Any], sent_at: float) -> None:
        """A grant was acknowledged."""
        with self._lock:
            name = space, body["grant_id"]
            at = body.get("granted_at", "")
            has_day = AGGREGATION[space] == "days" and not body.get("opening")
            fact = Fact(space, name[1], body["user_id"], at, at[:10] if has_day else None)
            known = self._facts.setdefault(name, fact)
            first = known.versions.setdefault(1, Version(body["amount"], False, sent_at))
            known.versions[1] = first._replace(sent_at=sent_at)
            self.entries += 1
            if known.user == PACER:
                self._floors[space] = max(self._floors.get(space, 0), self._score(space, body["amount"]))

    def replace(self, space: str, body: dict[str, Any], sent_at: float) -> None:
        """A lost grant's id was taken by another one."""
        with self._lock:
            self._facts.pop((space, body["grant_id"]), None)
            self.add(space, body, sent_at)

    def correct(self, fact: Fact, revision: int, change: Change, sent_at: float) -> None:
        """A correction was acknowledged, or what it asks for was so already."""
        with self._lock:
            if revision not in fact.versions or self.is_losing:
                # What it was made of is lost, and what came after that: it has their revisions now.
                fact.versions = {r: version for r, version in fact.versions.items() if r <= revision}
                before = fact.versions.get(revision - 1) or fact.versions[revision]
                fact.versions[revision] = change(before)._replace(sent_at=sent_at)
            self.entries += 1

    def grants(self) -> list[Fact]:
        """Those that may be corrected at any time."""
        with self._lock:
            return [fact for fact in self._facts.values() if fact.user != PACER and fact.space != ICE]

    def count(self) -> int:
        """How many grants were acknowledged."""
        return len(self._facts)

    def hide(self, user: str) -> None:
        """A user was said to be hidden everywhere."""
        self._hides += 1
        self.hidden = {**self.hidden, user: self._hides}

    def show(self, user: str) -> None:
        """A user may be shown again from now on."""
        self.hidden = {name: count for name, count in self.hidden.items() if name != user}

    def floor(self, space: str) -> int:
        """The least score that the pacer may be shown with."""
        return (self._checked_floors if self.is_losing else self._floors).get(space, 0)

    def names(self) -> set[Name]:
        """All that was acknowledged."""
        with self._lock:
            return {(*name, revision) for name, fact in self._facts.items() for revision in fact.versions}

    def sent_after(self, moment: float) -> set[Name]:
        """What was sent, and acknowledged, after a moment."""
        with self._lock:
            return {
                (*name, revision)
                for name, fact in self._facts.items()
                for revision, version in fact.versions.items()
                if version.sent_at > moment
            }

    def drop(self, lost: Iterable[Name]) -> None:
        """Some entries are lost, as the fault may do."""
        with self._lock:
            for space, grant_id, revision in lost:
                fact = self._facts[space, grant_id]
                del fact.versions[revision]
                if not fact.versions:
                    del self._facts[space, grant_id]

    def settle(self) -> None:
        """Everything was compared with the stores: from here on nothing of it may be missing."""
        with self._lock:
            self._floors = {space: self.scores(space).get(PACER, 0) for space in AGGREGATION}
            self._checked_floors = dict(self._floors)
            self.is_losing = False

    def days(self, space: str) -> set[str]:
        """The days that a grant lies on, or lay on."""
        with self._lock:
            return {fact.day for fact in self._facts.values() if fact.space == space and fact.day}

    def scores(self, space: str, day: str | None = None) -> dict[str, int]:
        """The board of all of the time, or of a day, hidden users on it."""
        with self._lock:
            live: dict[str, list[Fact]] = {}
            for fact in self._facts.values():
                if fact.space == space and day in (None, fact.day) and not fact.last.is_voided:
                    live.setdefault(fact.user, []).append(fact)
        return {user: _fold(AGGREGATION[space], facts) for user, facts in live.items()}

    def _score(self, space: str, amount: int) -> int:
        if AGGREGATION[space] in ("best", "latest"):
            return amount
        return self._floors.get(space, 0) + amount


def _fold(aggregation: str, facts: list[Fact]) -> int:
    if aggregation == "best":
        return max(fact.last.amount for fact in facts)
    if aggregation == "latest":
        return max(facts, key=lambda fact: fact.at).last.amount
    return sum(fact.last.amount for fact in facts)


def now() -> float:
    """The clock of `sent_at`."""
    return time.monotonic()
