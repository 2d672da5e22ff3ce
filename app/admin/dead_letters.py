"""Lists dead letters (entries that counted and could not be recorded), and writes an operator's decisions about them.

A decision is written to Postgres; the persister that holds the partition carries it out
(app/persist/letter_decisions.py).
"""

import asyncio
import re
from collections.abc import Sequence
from datetime import datetime
from time import monotonic
from typing import Any, NamedTuple

import asyncpg
import msgspec

from ..drivers.postgres import Postgres
from ..model.entry import LogEntry
from ..model.entry_kinds import kind_of
from ..model.visibility import visible_name

#: Seconds that a command waits until the persister has carried its decisions out, all of them. The persister looks
#: every 5 s.
DECIDED_S_MAX = 60.0
#: Letters that one query reads.
LISTED_MAX = 10_000
#: Seconds between two checks whether the persister has carried a decision out.
_POLL_S = 0.1
_PLACE = re.compile(r"(\d{1,4}):(\d{1,9})-(\d{1,18})\Z")
_unpack = msgspec.msgpack.Decoder(LogEntry).decode


class LetterPlace(NamedTuple):
    """The place of an entry in the logs, as `list` prints it: `<partition>:<epoch>-<seq>`."""

    partition: int
    epoch: int
    seq: int

    def __str__(self) -> str:
        return f"{self.partition}:{self.epoch}-{self.seq}"


class DeadLetter(NamedTuple):
    """An entry that could not be recorded. user: None if unknown or erased; decision: the one that is being carried
    out."""

    place: LetterPlace
    namespace: str | None
    user: str | None
    kind: str
    grant_id: str | None
    cause: str
    at: datetime | None
    decision: str | None
    attempts: int
    is_readable: bool

    @property
    def why_not_dropped(self) -> str | None:
        """The reason why it cannot be taken off the boards, if there is one."""
        if not self.is_readable:
            return "this version cannot read it"
        return None if kind_of(self.kind).is_revision else f"it is a {self.kind}: only a grant or a correction is"


class DecisionError(Exception):
    """A letter stays as it is. The text says why."""


def parse_letter_place(text: str) -> LetterPlace:
    """Reads a place as `list` prints it. ValueError."""
    match = _PLACE.match(text)
    if match is None:
        raise ValueError(f"{text!r} is not <partition>:<epoch>-<seq>, as list prints it")
    return LetterPlace(*map(int, match.groups()))


class DeadLetters:
    """The dead letters in Postgres. Each method may raise StoreUnavailable."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres

    async def open(self) -> list[DeadLetter]:
        """The open ones, without a decision so far, ordered by place."""
        return [_letter(row) for row in await self._postgres.fetch("get_dead_letters", LISTED_MAX)]

    async def decide(self, letter: DeadLetter, decision: str) -> None:
        """Records a decision. Recording the same one again changes nothing. DecisionError."""
        if decision == "retry" and not letter.is_readable:
            raise DecisionError(f"{letter.place} cannot be retried: this version cannot read it")
        if decision == "drop" and letter.why_not_dropped:
            raise DecisionError(f"{letter.place} cannot be dropped: {letter.why_not_dropped}")
        row = await self._postgres.fetch_one("decide_dead_letter", *letter.place, decision)
        if row is not None and row["decision"] != decision:
            raise DecisionError(
                f"{letter.place} cannot be {_PAST[decision]}: it is to be {_PAST[row['decision']]} already"
            )

    async def outcome(self, letter: DeadLetter, decision: str, until: float) -> str:
        """Waits until a decision is carried out. Returns words for the result. until: the moment by `monotonic` after
        which it looks no more, but once. DecisionError if the decision failed or takes too long."""
        while True:
            row = await self._postgres.fetch_one("get_dead_letter", *letter.place)
            if row is None:
                raise _unknown(letter.place)
            if row["healed_seq"] is not None:
                return f"{_PAST[decision]} by seq {row['healed_seq']}"
            if row["decision"] is None:
                raise DecisionError(f"{letter.place} cannot be recorded: {row['cause']}")
            if monotonic() >= until:
                raise DecisionError(
                    f"{letter.place} is to be {_PAST[decision]} and is not after {DECIDED_S_MAX:.0f} s: "
                    f"{await self._why_waiting(letter.place)}"
                )
            await asyncio.sleep(_POLL_S)

    async def _why_waiting(self, place: LetterPlace) -> str:
        """Why no persister has carried a decision out, as far as they say so."""
        units = [("ledger", ""), ("log", ""), ("dead letter", f"{place.epoch}-{place.seq}")]
        for row in await self._postgres.fetch("get_faults", LISTED_MAX):
            if row["partition"] == place.partition and (row["kind"], row["name"]) in units:
                return f"the {row['kind']} of partition {place.partition} waits: {row['cause']}"
        return "does a persister run, and what does /readyz say?"

    async def is_settled(self, place: LetterPlace) -> bool:
        """Whether a letter was already recorded or dropped. DecisionError if there was never a letter at this
        place."""
        row = await self._postgres.fetch_one("get_dead_letter", *place)
        if row is None:
            raise _unknown(place)
        return row["healed_seq"] is not None


def _unknown(place: LetterPlace) -> DecisionError:
    return DecisionError(f"there is no dead letter {place}: leaderboard dead-letters list shows those there are")


_PAST = {"retry": "recorded", "drop": "taken off the boards"}


def _letter(row: asyncpg.Record) -> DeadLetter:
    entry = _read(row["entry"])
    user = row["user"] if entry is None else entry.user
    return DeadLetter(
        place=LetterPlace(row["partition"], row["epoch"], row["seq"]),
        namespace=row["namespace"],
        user=visible_name(user) if user else None,
        kind="entry" if entry is None else entry.kind,
        grant_id=None if entry is None else entry.grant_id,
        cause=row["cause"] or "unknown",
        at=row["created_at"],
        decision=row["decision"],
        attempts=row["attempts"],
        is_readable=entry is not None,
    )


def _read(packed: bytes) -> LogEntry | None:
    try:
        return _unpack(packed)
    except msgspec.DecodeError:
        return None


def table(letters: Sequence[DeadLetter]) -> list[str]:
    """Lines for a terminal: one for each letter, with aligned columns."""
    rows: list[Any] = [("PLACE", "NAMESPACE", "USER", "KIND", "GRANT", "WHEN", "STATE", "CAUSE")]
    for letter in letters:
        state = f"{letter.decision} under way" if letter.decision else "open"
        when = f"{letter.at:%Y-%m-%dT%H:%M:%SZ}" if letter.at else "?"
        named = (letter.namespace or "?", letter.user or "?", letter.kind, letter.grant_id or "?")
        rows.append((str(letter.place), *named, when, state, letter.cause))
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]) - 1)]
    return ["  ".join([*(f"{cell:<{w}}" for cell, w in zip(row, widths, strict=False)), row[-1]]) for row in rows]
