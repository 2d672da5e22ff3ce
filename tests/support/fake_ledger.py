"""A ledger and the Redis in front of it, as corrections meet them: what is counted is recorded when a test says so."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from app.drivers.redis import Call
from app.model.cell_ops import Cell
from app.model.correction import GrantState, IdempotencyRecord, state_from_entry
from app.model.entry import PlannedEntry
from app.model.entry_kinds import CORRECTION, GRANT
from app.model.entry_names import entry_id
from app.model.errors import Problem
from app.model.namespace import Namespace
from app.model.ops import render_ops
from app.store.apply import Outcome
from tests.support.grant_history import cells_made_by

#: An outcome's code, or the problem of a whole call.
Answer = str | Problem


@dataclass
class FakeLedger:
    """What Postgres holds. lag: looks at `seq` until it is as far as Redis; letters: by place (epoch, seq), whether a
    dead letter is settled."""

    grants: dict[str, GrantState] = field(default_factory=dict)
    records: dict[str, list[IdempotencyRecord]] = field(default_factory=dict)
    dead: dict[tuple[int, int], bool] = field(default_factory=dict)
    recorded_seq: int = 0
    reads: int = 0
    before_read: Callable[[int], None] = lambda reads: None

    async def seq(self, p: int) -> int:
        """Up to where it holds the log."""
        self._read()
        return self.recorded_seq

    async def get_grants(self, namespace: Namespace, grant_ids: Sequence[str]) -> dict[str, GrantState]:
        """Some grants."""
        self._read()
        return {grant_id: self.grants[grant_id] for grant_id in grant_ids if grant_id in self.grants}

    async def find_by_idempotency_key(
        self, namespace: Namespace, keys: Sequence[str]
    ) -> dict[str, list[IdempotencyRecord]]:
        """What was done with some keys."""
        return {key: self.records[key] for key in keys if key in self.records}

    async def letters(self, p: int, places: Sequence[tuple[int, int]]) -> dict[tuple[int, int], bool]:
        """Dead letters at some places."""
        return {place: self.dead[place] for place in places if place in self.dead}

    async def others(
        self, namespace: Namespace, user: str, grant_ids: Collection[str], cells: Sequence[str]
    ) -> dict[str, Cell]:
        """What the user's other grants make of some cells."""
        rest = [one for one in self.grants.values() if one.user == user and one.grant_id not in grant_ids]
        return {cell: made for cell, made in cells_made_by(namespace, rest).items() if cell in cells}

    def _read(self) -> None:
        self.reads += 1
        self.before_read(self.reads)


@dataclass
class FakeRedis:
    """What corrections read of Redis. counted: by entry id, epoch and seq; changes: by user, the seqs of the last
    change and of the last that was no grant; generations: None where the partition lost its head."""

    counted: dict[bytes, tuple[int, int]] = field(default_factory=dict)
    changes: dict[str, tuple[int, int]] = field(default_factory=dict)
    generations: bytes | None = b"1"

    def count(self, namespace: Namespace, grant_id: str, revision: int, seq: int) -> None:
        """A revision of a grant counts, at a seq of epoch 1."""
        kind = GRANT if revision == 1 else CORRECTION
        self.counted[entry_id(kind, namespace.id, grant_id, revision)] = (1, seq)

    async def call(self, call: Call) -> Any:
        """One reply."""
        match call:
            case ("HGET", _, "generations"):
                return self.generations
            case ("HMGET", key, "seq", "corrected"):
                return self.changes.get(str(key).rpartition(":")[2], (None, None))
            case ("HMGET", _, *names):
                return [self._hit(name) for name in names]
        raise AssertionError(call)

    def _hit(self, name: Any) -> bytes | None:
        place = self.counted.get(name)
        return None if place is None else b"d" * 16 + b"%d-%d" % place


class FakeCommitter:
    """Counts what is submitted and records it at once, unless `answers` say otherwise: one for each entry to come, in
    order, and a Problem for a call. meanwhile: runs before each call."""

    def __init__(self, ledger: FakeLedger, redis: FakeRedis) -> None:
        self._ledger, self._redis = ledger, redis
        self.answers: list[Answer] = []
        self.calls: list[list[PlannedEntry]] = []
        self.ops: list[list[str]] = []
        self.together: list[bool] = []
        self.meanwhile: Callable[[], None] = lambda: None

    async def submit(
        self, p: int, entries: list[PlannedEntry], atomic: bool = False, together: bool = False
    ) -> list[Outcome]:
        """The outcomes, in order; what follows one that stands on others and was refused is stale."""
        self.calls.append(entries)
        self.together.append(together)
        self.ops.append([render_ops(entry.kind, entry.ops) for entry in entries])
        self.meanwhile()
        if self.answers and isinstance(self.answers[0], Problem):
            problem = self.answers.pop(0)
            assert isinstance(problem, Problem)
            raise problem
        return [self._outcome(entry) for entry in entries]

    def _outcome(self, entry: PlannedEntry) -> Outcome:
        code = self.answers.pop(0) if self.answers else "applied"
        assert isinstance(code, str)
        if code != "applied":
            return Outcome(code, None, None, None, None, None)
        ledger, body = self._ledger, entry.body
        ledger.recorded_seq += 1
        seq = ledger.recorded_seq
        self._redis.count(entry.namespace, body.grant_id, body.revision, seq)
        self._redis.changes[body.user] = seq, seq
        before = ledger.grants[body.grant_id]
        after = msgspec.structs.replace(state_from_entry(body, before.seq), voided=body.voided)
        ledger.grants[body.grant_id] = after
        if body.idempotency_key is not None:
            record = IdempotencyRecord(body.grant_id, body.revision, body.request_digest)
            ledger.records.setdefault(body.idempotency_key, []).append(record)
        return Outcome("applied", 1, seq, seq * 10, seq, None)
