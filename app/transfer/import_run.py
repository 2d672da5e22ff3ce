"""Imports a source: rows in, grants out, several batches in flight, and a state from which it goes on."""

import asyncio
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol
from urllib.parse import quote

from .import_client import ImportClient, ImportStop, MemberResult, grants_path, problem_of
from .import_lease import ImportLeases
from .import_mapping import GrantMapping
from .import_refusals import Refusal, RefusalFile
from .import_replacement import Replacement
from .import_state import ImportState, Refusals, StateFile
from .source_row import RowRefused, SourceRow

#: Rows of a batch: the server plans so many in some 50 ms, and a refusal is found soon.
BATCH_ROWS_MAX = 1_000
#: Bytes of a batch: within what the server takes of lines.
BATCH_BYTES_MAX = 8 << 20
#: Batches in flight: more do not make the server faster, and each is memory on both sides.
IN_FLIGHT_MAX = 4
#: Seconds between two writes of the state: what a kill costs is sent again, and is there already.
STATE_EVERY_S = 0.2
#: Namespaces that are looked at for the order in which they want their grants.
_NAMESPACES_MAX = 10_000


class ImportProgress(Protocol):
    """What shows how far it is: a bar or lines."""

    def begin(self, users: int) -> None: ...  # noqa: D102

    def step(self, users: int) -> None: ...  # noqa: D102


class Position(Protocol):
    """A source that knows how far it is read: bytes of `size`, which is 0 where nobody knows it."""

    size: int

    @property
    def position(self) -> int: ...  # noqa: D102


@dataclass(slots=True)
class Batch:
    """Grants that are sent together, with their rows. rows: rows of the source up to its end."""

    rows: int = 0
    sources: list[SourceRow] = field(default_factory=list)
    own_ids: list[str] = field(default_factory=list)
    ids: set[str] = field(default_factory=set)
    bodies: list[bytes] = field(default_factory=list)
    names: set[str] = field(default_factory=set)
    refusals: list[Refusal] = field(default_factory=list)
    left_out: int = 0
    size: int = 0


class ImportRun:
    """One import. What became of its rows is in its state."""

    def __init__(
        self,
        rows: Iterator[SourceRow],
        mapping: GrantMapping,
        client: ImportClient,
        *,
        state: ImportState,
        state_file: StateFile | None,
        refused: RefusalFile | None,
        progress: ImportProgress,
        position: Position | None = None,
        is_dry: bool = False,
        replaces: bool = False,
        in_flight: int = IN_FLIGHT_MAX,
    ) -> None:
        self._rows = rows
        self._mapping = mapping
        self._client = client
        self._namespace = mapping.namespace
        self._state = state
        self._state_file = state_file
        self._refused = refused
        self._progress = progress
        self._position = position
        self._in_flight_max = in_flight
        self._query = {"backfill": "true", **({"dry_run": "true"} if is_dry else {})}
        self._leases = ImportLeases(client, is_dry=is_dry)
        self._replacement = Replacement(client, mapping.namespace) if replaces and not is_dry else None
        self._known: set[str] = set()
        self._is_in_order = False
        self._counts: Counter[str] = Counter(state.counts)

    async def run(self) -> None:
        """Imports all rows behind the state's. ImportStop, SourceFault: the state is kept."""
        in_flight: deque[tuple[Batch, asyncio.Task[list[MemberResult]]]] = deque()
        saved_at = asyncio.get_running_loop().time()
        batches = self._batches()
        try:
            if self._namespace is not None:
                await self._look_at(self._namespace)
            while (batch := await asyncio.to_thread(next, batches, None)) is not None:
                for name in batch.names - self._known:
                    await self._look_at(name)
                most = 1 if self._is_in_order else self._in_flight_max
                # Two rows with one id: the first one counts, so it is there before the other is sent.
                while in_flight and (
                    len(in_flight) >= most or any(not batch.ids.isdisjoint(other.ids) for other, _ in in_flight)
                ):
                    await self._settle(in_flight)
                in_flight.append((batch, asyncio.create_task(self._send(batch))))
                if asyncio.get_running_loop().time() > saved_at + STATE_EVERY_S:
                    self._save()
                    saved_at = asyncio.get_running_loop().time()
            while in_flight:
                await self._settle(in_flight)
        finally:
            for _, task in in_flight:
                task.cancel()
            await asyncio.gather(*(task for _, task in in_flight), return_exceptions=True)
            self._save()
            await self._leases.end()

    def _batches(self) -> Iterator[Batch]:
        """The rows behind the state's, in batches. Runs in a thread. O(rows)."""
        batch, number = Batch(), 0
        for row in self._rows:
            number += 1
            is_done = number <= self._state.rows
            try:
                grant = self._mapping.grant(row)
            except RowRefused as refusal:
                if not is_done:
                    batch.refusals.append(Refusal(row, refusal.code, refusal.reason, self._mapping.own_id))
            else:
                if is_done:
                    continue
                if grant is None:
                    batch.left_out += 1
                else:
                    batch.sources.append(row)
                    batch.own_ids.append(self._mapping.own_id)
                    batch.ids.add(f"{grant.namespace}\n{grant.grant_id}")
                    batch.bodies.append(grant.body)
                    batch.names.add(grant.namespace)
                    batch.size += len(grant.body)
            batch.rows = number
            whole = len(batch.bodies) + len(batch.refusals) + batch.left_out // 100
            if whole >= BATCH_ROWS_MAX or batch.size >= BATCH_BYTES_MAX:
                yield batch
                batch = Batch()
        if batch.rows:
            yield batch

    async def _look_at(self, name: str) -> None:
        """Takes a lease of a namespace, and learns whether its boards depend on the order in which grants come: who was
        first, or which of two grants of one moment is the latest. Then one batch goes after the other."""
        if len(self._known) >= _NAMESPACES_MAX:
            return
        self._known.add(name)
        answer = await self._client.ask("GET", f"/v1/namespaces/{quote(name, safe='')}")
        if answer.status_code == 200:
            rules = answer.json()
            depends = rules.get("aggregation") == "latest" or rules.get("tie_break") != "none"
            self._is_in_order = self._is_in_order or depends
            await self._leases.begin(name)
        elif name == self._namespace:
            raise ImportStop(problem_of(answer))

    async def _send(self, batch: Batch) -> list[MemberResult]:
        results = await self._client.send(grants_path(self._namespace), batch.bodies, **self._query)
        return results if self._replacement is None else await self._replacement.replace(batch.bodies, results)

    async def _settle(self, in_flight: deque[tuple[Batch, asyncio.Task[list[MemberResult]]]]) -> None:
        """Waits for the earliest batch, and counts what became of it."""
        batch, task = in_flight[0]
        results = await task
        in_flight.popleft()
        refusals = list(batch.refusals)
        for row, own_id, result in zip(batch.sources, batch.own_ids, results, strict=True):
            if result.error is None:
                self._counts[result.status] += 1
            else:
                refusals.append(Refusal(row, result.error.code, result.error.reason, own_id))
        self._counts["left_out"] += batch.left_out
        for refusal in sorted(refusals, key=lambda one: one.row.line):
            self._refuse(refusal)
        done = batch.rows - self._state.rows
        self._state.rows = batch.rows
        if self._position is not None and self._position.size:
            self._progress.begin(self._state.rows * self._position.size // max(1, self._position.position))
        self._progress.step(done)

    def _refuse(self, refusal: Refusal) -> None:
        self._counts["refused"] += 1
        reason = self._state.reasons.get(refusal.code)
        if reason is None:
            self._state.reasons[refusal.code] = Refusals(1, refusal.row.line, refusal.reason)
        else:
            reason.count += 1
        if self._refused is not None:
            self._refused.add(refusal)

    def _save(self) -> None:
        """Writes the state, behind the refused rows that it counts."""
        if self._refused is not None:
            self._refused.flush()
            self._state.refused_bytes = self._refused.size
        self._state.counts = dict(self._counts)
        if self._state_file is not None:
            self._state_file.save(self._state)
