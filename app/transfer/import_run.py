"""Imports a source: rows in, grants out, several batches in flight, and a state from which it goes on."""

import asyncio
from collections import Counter, deque
from collections.abc import Iterator
from time import monotonic
from typing import Protocol

import msgspec

from .import_batches import BATCH_ROWS_MAX, PORTION_ROWS, Batch, Order, Portion, PortionReader, batches_of
from .import_client import ImportClient, ImportStop, MemberResult, grants_path, path_segment, problem_of
from .import_grant_ids import GrantIds
from .import_lease import ImportLeases
from .import_mapping import GrantMapping
from .import_reasons import count_refusal, reason_of
from .import_refusals import Refusal, RefusalFile
from .import_replacement import Replacement
from .import_state import ImportState, StateFile
from .source import Position
from .source_row import SourceRow

#: Batches in flight: more do not make the server faster, and each is memory on both sides.
IN_FLIGHT_MAX = 4
#: Seconds between two writes of the state: what a kill costs is sent again, and is there already.
STATE_EVERY_S = 0.2
#: Aggregations that come to the same in any order of grants.
_ANY_ORDER = ("sum", "best")
#: Namespaces that are looked at for the order in which they want their grants.
_NAMESPACES_MAX = 10_000


class _Rules(msgspec.Struct):
    """What of a namespace's rules decides whether order matters."""

    aggregation: str
    tie_break: str


def _order_of(rules: _Rules) -> Order:
    """What decides between two scores: the order of coming in, the moment and then that order, or neither."""
    if rules.tie_break == "earliest":
        return Order.AS_READ
    is_any_order = rules.aggregation in _ANY_ORDER and rules.tie_break == "none"
    return Order.ABOUT_TIME if is_any_order else Order.EXACT_TIME


_read_rules = msgspec.json.Decoder(_Rules).decode


class ImportProgress(Protocol):
    """What shows how far it is: a bar or lines."""

    def begin(self, users: int) -> None: ...  # noqa: D102

    def resume(self, users: int) -> None: ...  # noqa: D102

    def step(self, users: int) -> None: ...  # noqa: D102


#: Batches on their way, the earliest first.
Flights = deque[tuple[Batch, asyncio.Task[list[MemberResult]]]]


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
        ids: GrantIds | None = None,
    ) -> None:
        self._client = client
        self._namespace = mapping.namespace
        self._state = state
        self._state_file = state_file
        self._refused = refused
        self._progress = progress
        self._position = position
        # Its batches stay in the order of rows: so a row meets one of the same id that stands close to it.
        self._is_dry = is_dry
        self._in_flight_max = in_flight
        self._query = {"backfill": "true", **({"dry_run": "true"} if is_dry else {})}
        if not state.rows:
            state.instances.clear()  # All rows are sent: none can be missing in another namespace.
        self._leases = ImportLeases(client, state.instances, is_dry=is_dry)
        self._replacement = Replacement(client, mapping.namespace) if replaces and not is_dry else None
        self._known: set[str] = set()
        self._order = Order.ABOUT_TIME
        self._reader = PortionReader(rows, mapping, state.rows, ids)
        self._counts: Counter[str] = Counter(state.counts)
        self._portion_counts: Counter[str] = Counter()
        self._portion_refusals: list[Refusal] = []
        self._saved_at = 0.0

    async def run(self) -> None:
        """Imports all rows behind the state's. ImportStop, SourceFault: the state is kept."""
        in_flight: Flights = deque()
        reading: asyncio.Task[Portion | None] | None = None
        if self._state.rows:
            self._progress.resume(self._state.rows)
        try:
            if self._namespace is not None:
                await self._look_at(self._namespace)
            for name in self._state.instances.keys() - self._known:
                await self._look_at(name)
            # The first portion is small: the first refusals show at once, and the names of namespaces come with it.
            reading = self._read(BATCH_ROWS_MAX)
            while (portion := await reading) is not None:
                for name in portion.names - self._known:
                    await self._look_at(name)
                reading = self._read(BATCH_ROWS_MAX if self._order is Order.AS_READ else PORTION_ROWS)
                for batch in batches_of(portion, Order.AS_READ if self._is_dry else self._order):
                    await self._make_room(in_flight, batch)
                    in_flight.append((batch, asyncio.create_task(self._send(batch))))
            while in_flight:
                await self._settle(in_flight)
        finally:
            tasks = [task for _, task in in_flight]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, *([reading] if reading else []), return_exceptions=True)
            try:
                self._save()
            finally:
                await self._leases.end()

    def _read(self, rows_max: int) -> asyncio.Task[Portion | None]:
        return asyncio.create_task(asyncio.to_thread(self._read_portion, rows_max))

    def _read_portion(self, rows_max: int) -> Portion | None:
        portion = self._reader.read(rows_max)
        if portion is not None and self._position is not None:
            portion.position = self._position.position
        return portion

    async def _make_room(self, in_flight: Flights, batch: Batch) -> None:
        """Waits until a batch may be sent. Of two rows with one id the first one counts, so it is there before the
        other is sent."""
        most = self._in_flight_max if self._order is Order.ABOUT_TIME else 1
        while in_flight and (
            len(in_flight) >= most or any(not batch.ids.isdisjoint(other.ids) for other, _ in in_flight)
        ):
            await self._settle(in_flight)

    async def _look_at(self, name: str) -> None:
        """Takes a lease of a namespace, and learns whether its boards depend on the order in which grants come: who was
        first, or which of two grants of one moment is the latest. Then one batch goes after the other."""
        if len(self._known) >= _NAMESPACES_MAX:
            return
        self._known.add(name)
        answer = await self._client.ask("GET", f"/v1/namespaces/{path_segment(name)}")
        if answer.status_code == 200:
            rules = self._client.read(_read_rules, answer)
            self._order = max(self._order, _order_of(rules), key=lambda order: order.value)
            await self._leases.begin(name)
        elif name == self._namespace or name in self._state.instances:
            raise ImportStop(problem_of(answer))

    async def _send(self, batch: Batch) -> list[MemberResult]:
        bodies = [item.grant.body for item in batch.items]
        results = await self._client.send(grants_path(self._namespace), bodies, **self._query)
        return results if self._replacement is None else await self._replacement.replace(bodies, results)

    async def _settle(self, in_flight: Flights) -> None:
        """Waits for the earliest batch. What became of its rows counts once its portion is at its end."""
        batch, task = in_flight[0]
        results = await task
        in_flight.popleft()
        for item, result in zip(batch.items, results, strict=True):
            if result.error is None:
                self._portion_counts[result.status] += 1
            else:
                error = result.error
                reason = reason_of(error, item.grant.body)
                self._portion_refusals.append(Refusal(item.row, error.code, reason, item.own_id))
        self._progress.step(len(batch.items))
        if batch.portion is not None:
            self._complete(batch.portion)

    def _complete(self, portion: Portion) -> None:
        """Counts a portion. SourceFault; ImportStop if its rows went elsewhere than those before."""
        self._leases.check()
        self._counts.update(self._portion_counts)
        self._portion_counts.clear()
        self._counts["left_out"] += portion.left_out
        refusals = [*portion.refusals, *self._portion_refusals]
        self._portion_refusals.clear()
        for refusal in sorted(refusals, key=lambda one: one.row.line):
            self._refuse(refusal)
        # Rows that were refused here or left out were in no batch.
        self._progress.step(portion.rows - self._state.rows - len(portion.items))
        self._state.rows = portion.rows
        if self._position is not None and self._position.size:
            rows = portion.rows * self._position.size // max(1, portion.position)
            self._progress.begin(rows)
        if monotonic() > self._saved_at + STATE_EVERY_S:
            self._save()

    def _refuse(self, refusal: Refusal) -> None:
        self._counts["refused"] += 1
        count_refusal(self._state.reasons, refusal.code, refusal.row.line, refusal.reason)
        if self._refused is not None:
            self._refused.add(refusal)

    def _save(self) -> None:
        """Writes the state, behind the refused rows that it counts."""
        if self._refused is not None:
            self._refused.flush()
            self._state.refused_bytes = self._refused.size
        self._state.counts = dict(self._counts)
        self._saved_at = monotonic()
        if self._state_file is not None:
            self._state_file.save(self._state)
