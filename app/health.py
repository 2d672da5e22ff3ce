"""/healthz, /readyz, /metrics: the routes for orchestrators and dashboards."""

import asyncio
from collections.abc import Collection, Mapping
from typing import NamedTuple

import asyncpg
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from .drivers.postgres import Postgres
from .model.errors import Problem
from .model.partition_lines import partition_lines, partitions_text
from .model.text import count_text
from .persist.faults import LEDGER, LOG, is_plural
from .store.apply import MARK_REFUSALS
from .store.capacity import Capacity
from .store.clock import StoreClock
from .store.log import lag_of
from .store.node_watch import NodeWatch
from .store.partitions import LEDGER_BEHIND, last_seq_call
from .store.read_batcher import ReadBatcher
from .write.committer import Committer

#: Seconds that an answer waits for the ledger. An orchestrator's probe gives up after a few.
LAG_S_MAX = 2.0
#: Lines of /readyz about failing work: one screen. The persister's log has all of it.
FAULT_LINES_MAX = 20
#: Faults that are read to make these lines: partitions with the same fault share one.
FAULTS_READ_MAX = 1_000


class _FaultText(NamedTuple):
    """What partitions with the same fault share: the kind and the name of the work, and why it fails."""

    kind: str
    name: str
    cause: str


class _LedgerState(NamedTuple):
    """What Postgres tells, compared with Redis. faults: the work of persisters that fails now; letters: how many
    entries could not be recorded; lag: what the ledger lacks, in entries (None: unknown); unread: by partition, why its
    lag is unknown."""

    faults: list[asyncpg.Record]
    letters: int
    lag: int | None
    unread: Mapping[int, str]


class Health:
    """Ready means that writes are taken. Without Postgres the server is degraded and stays ready."""

    def __init__(
        self,
        committer: Committer,
        batcher: ReadBatcher,
        postgres: Postgres,
        partitions: int,
        clock: StoreClock,
        capacity: Capacity,
        node_watch: NodeWatch,
    ) -> None:
        self._committer = committer
        self._capacity = capacity
        self._node_watch = node_watch
        self._clock = clock
        self._batcher = batcher
        self._postgres = postgres
        self._partitions = partitions
        self._check: asyncio.Task[tuple[list[str], list[str], int | None]] | None = None

    async def alive(self, request: Request) -> Response:
        """`GET /healthz`: the process is up."""
        return JSONResponse({"status": "ok"})

    async def ready(self, request: Request) -> Response:
        """`GET /readyz`: 503 only if writes would be refused. Simultaneous requests share one check."""
        if self._check is None or self._check.done():
            self._check = asyncio.create_task(self._check_stores())
        refused, degraded, lag = await asyncio.shield(self._check)
        if (clock := self._clock.problem()) is not None and self._clock.refusal() is None:
            degraded = [*degraded, clock]
        body = {
            "status": "unavailable" if refused else "ready",
            "degraded": [*refused, *degraded, *self._capacity.warnings()],
            "lag_seq": lag,
            "capacity": self._capacity.lines(),
            "nodes": self._node_watch.lines,
        }
        return JSONResponse(body, 503 if refused else 200, {"Retry-After": "1"} if refused else {})

    async def _check_stores(self) -> tuple[list[str], list[str], int | None]:
        """Why grants would be refused, what else is missing, and the ledger's lag in entries (None: unknown)."""
        contacts = (self._committer.contact(p) for p in range(self._partitions))
        ledger, *problems = await asyncio.gather(
            asyncio.wait_for(self._ledger(), LAG_S_MAX), *contacts, return_exceptions=True
        )
        details = {p: problem.detail for p, problem in enumerate(problems) if isinstance(problem, Problem)}
        refused = partition_lines(details, self._partitions)
        if isinstance(ledger, _LedgerState):
            unread = {p: detail for p, detail in ledger.unread.items() if p not in details}
            degraded = [*partition_lines(unread, self._partitions), *_fault_lines(ledger, details)]
            return refused, degraded, ledger.lag
        if isinstance(ledger, Problem):
            return refused, [ledger.detail], None
        if isinstance(ledger, TimeoutError):
            return refused, [self._postgres.contact.silence], None
        assert ledger is not None
        raise ledger

    async def _ledger(self) -> _LedgerState:
        """What the ledger and its persisters tell. StoreUnavailable where Postgres is away."""
        (letters,) = await self._postgres.fetch("count_dead_letters")
        faults = await self._postgres.fetch("get_faults", FAULTS_READ_MAX)
        offsets = {row["partition"]: row["seq"] for row in await self._postgres.fetch("get_offsets")}
        lags = await asyncio.gather(
            *(self._lag(p, offsets.get(p, 0)) for p in range(self._partitions)), return_exceptions=True
        )
        unread: dict[int, str] = {}
        for p, lag in enumerate(lags):
            if isinstance(lag, Problem):
                unread[p] = lag.detail
            elif isinstance(lag, BaseException):
                raise lag
        known = [lag for lag in lags if isinstance(lag, int)]
        return _LedgerState(faults, letters["count"], None if unread else sum(known), unread)

    async def _lag(self, p: int, ledger_seq: int) -> int:
        return lag_of(p, await self._batcher.call(last_seq_call(p)), ledger_seq)

    async def metrics(self, request: Request) -> Response:
        """`GET /metrics`."""
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)


def _fault_lines(ledger: _LedgerState, refusals: Mapping[int, str]) -> list[str]:
    """A line for each fault; partitions with the same one share it. A fault that only repeats one of the refusals is
    left out. refusals: by partition, why it takes no grants."""
    by_fault: dict[_FaultText, list[int]] = {}
    for row in ledger.faults:
        if not _repeats(row, refusals.values()):
            by_fault.setdefault(_FaultText(row["kind"], row["name"], row["cause"]), []).append(row["partition"])
    lines = [_fault_line(fault, partitions) for fault, partitions in by_fault.items()][:FAULT_LINES_MAX]
    if ledger.letters:
        entries = count_text(ledger.letters, "entry", "entries")
        lines.append(f"{entries} could not be recorded: run leaderboard dead-letters list")
    return lines


def _repeats(row: asyncpg.Record, refusals: Collection[str]) -> bool:
    """Whether a refusal tells the cause of a fault, of which Postgres has the beginning. What a mark says the server
    has just read itself: a persister that was refused by it tries again some seconds later."""
    cause = row["cause"]
    is_mark = (row["kind"] == LOG and cause.startswith(MARK_REFUSALS)) or cause.startswith(LEDGER_BEHIND)
    return is_mark or any(cause in refusal for refusal in refusals)


def _fault_line(fault: _FaultText, partitions: list[int]) -> str:
    kind, name, cause = fault
    where = "" if partitions[0] < 0 else f" of {partitions_text(partitions)}"
    if kind in (LEDGER, LOG):
        return f"the {kind}{where} stops: {cause}"
    return f"{f'{kind} {name}'.strip()}{where} {'fail' if is_plural(kind) else 'fails'}: {cause}"
