"""/healthz, /readyz, /metrics: the routes for orchestrators and dashboards."""

import asyncio

import asyncpg
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from .drivers.postgres import Postgres
from .model.errors import Problem
from .store.capacity import Capacity
from .store.clock import StoreClock
from .store.log import lag_of
from .store.node_watch import NodeWatch
from .store.partitions import last_seq_call
from .store.read_batcher import ReadBatcher
from .write.committer import Committer

#: Seconds that an answer waits for the ledger. An orchestrator's probe gives up after a few.
LAG_S_MAX = 2.0
#: Lines of /readyz about failing work: one screen. The persister's log has all of it.
FAULT_LINES_MAX = 20
# The option of a command that is for one partition.
_PARTITION = " --partition "


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
        refused = _refusal_lines(
            {p: problem.detail for p, problem in enumerate(problems) if isinstance(problem, Problem)}, self._partitions
        )
        if isinstance(ledger, tuple):
            return refused, *ledger
        if isinstance(ledger, Problem):
            return refused, [ledger.detail], None
        if isinstance(ledger, TimeoutError):
            return refused, [self._postgres.contact.silence], None
        assert ledger is not None
        raise ledger

    async def _ledger(self) -> tuple[list[str], int]:
        """The persisters' failing work, and the ledger's lag in entries."""
        return await self._faults(), await self._lag()

    async def _lag(self) -> int:
        offsets = {row["partition"]: row["seq"] for row in await self._postgres.fetch("get_offsets")}
        partitions = range(self._partitions)
        seqs = await asyncio.gather(*(self._batcher.call(last_seq_call(p)) for p in partitions))
        return sum(lag_of(p, seq, offsets.get(p, 0)) for p, seq in zip(partitions, seqs, strict=True))

    async def _faults(self) -> list[str]:
        """The work that fails now, as the persisters recorded it in Postgres: one line each."""
        (letters,) = await self._postgres.fetch("count_dead_letters")
        lines = [_fault_line(row) for row in await self._postgres.fetch("get_faults", FAULT_LINES_MAX)]
        if letters["count"]:
            lines.append(f"{letters['count']} entries could not be recorded: run leaderboard dead-letters list")
        return lines

    async def metrics(self, request: Request) -> Response:
        """`GET /metrics`."""
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)


def _refusal_lines(details: dict[int, str], total: int) -> list[str]:
    """Why partitions refuse grants: a line for each cause, because most of the time all have the same one. A command
    for one partition is for all without its option. total: how many partitions there are."""
    by_cause: dict[str, list[int]] = {}
    for p, detail in details.items():
        by_cause.setdefault(_cause(p, detail), []).append(p)
    return [_refusal_line(details, cause, partitions, total) for cause, partitions in by_cause.items()]


def _cause(p: int, detail: str) -> str:
    """A detail without its partition: `N` stands for it."""
    text = detail.removeprefix(f"partition {p}: ")
    return text.replace(f"{_PARTITION}{p}", f"{_PARTITION}N").replace(f"{{{p}}}", "{N}")


def _refusal_line(details: dict[int, str], cause: str, partitions: list[int], total: int) -> str:
    first = details[partitions[0]]
    if len(partitions) == total and first == cause:
        return first
    if len(partitions) == 1:
        return first if first != cause else f"partition {partitions[0]}: {cause}"
    if len(partitions) == total:
        cause = cause.replace(f"{_PARTITION}N", "")
    return f"partitions {_numbers(partitions)}: {cause}"


def _numbers(partitions: list[int]) -> str:
    first, last = partitions[0], partitions[-1]
    if len(partitions) > 2 and last - first == len(partitions) - 1:
        return f"{first} to {last}"
    return ", ".join(map(str, partitions))


def _fault_line(row: asyncpg.Record) -> str:
    if row["kind"] in ("ledger", "log"):
        return f"the {row['kind']} of partition {row['partition']} stops: {row['cause']}"
    where = "" if row["partition"] < 0 else f" of partition {row['partition']}"
    return f"{' '.join((row['kind'], row['name'])).strip()}{where} fails: {row['cause']}"
