"""/healthz, /readyz, /metrics: what orchestrators and dashboards ask."""

import asyncio

import asyncpg
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from .drivers.postgres import Postgres
from .model.errors import Problem
from .store import fields, keys
from .store.clock import StoreClock
from .store.read_batcher import ReadBatcher
from .write.committer import Committer

#: Seconds for which the answer waits for the ledger: a probe of an orchestrator gives up after a few.
LAG_S_MAX = 2.0
#: Lines of /readyz about work that fails: a screen; the log of the persister has all of it.
FAULTS_TOLD_MAX = 20


class Health:
    """Ready means that writes are taken; a missing Postgres degrades, it does not stop."""

    def __init__(
        self, committer: Committer, batcher: ReadBatcher, postgres: Postgres, partitions: int, clock: StoreClock
    ) -> None:
        self._committer = committer
        self._clock = clock
        self._batcher = batcher
        self._postgres = postgres
        self._partitions = partitions
        self._look: asyncio.Task[tuple[list[str], list[str], int | None]] | None = None

    async def alive(self, request: Request) -> Response:
        """`GET /healthz`: the process is up."""
        return JSONResponse({"status": "ok"})

    async def ready(self, request: Request) -> Response:
        """`GET /readyz`: 503 only where writes would be refused. Several who ask at once share one look."""
        if self._look is None or self._look.done():
            self._look = asyncio.create_task(self._looked())
        refused, degraded, lag = await asyncio.shield(self._look)
        if (clock := self._clock.problem()) is not None and self._clock.refusal() is None:
            degraded = [*degraded, clock]
        if refused:
            return JSONResponse(
                {"status": "unavailable", "degraded": refused + degraded, "lag_seq": lag}, 503, {"Retry-After": "1"}
            )
        return JSONResponse({"status": "ready", "degraded": degraded, "lag_seq": lag})

    async def _looked(self) -> tuple[list[str], list[str], int | None]:
        """Why grants would be refused, what else is missing, and how far behind the ledger is (None: unknown)."""
        contacts = (self._committer.contact(p) for p in range(self._partitions))
        ledger, *found = await asyncio.gather(
            asyncio.wait_for(self._ledger(), LAG_S_MAX), *contacts, return_exceptions=True
        )
        refused = list(dict.fromkeys(problem.detail for problem in found if isinstance(problem, Problem)))
        if isinstance(ledger, tuple):
            return refused, *ledger
        if isinstance(ledger, Problem):
            return refused, [ledger.detail], None
        if isinstance(ledger, TimeoutError):
            return refused, [self._postgres.contact.silence], None
        assert ledger is not None
        raise ledger

    async def _ledger(self) -> tuple[list[str], int]:
        """What the persisters cannot do, and how far behind the ledger is."""
        return await self._faults(), await self._lag()

    async def _lag(self) -> int:
        offsets = {row["partition"]: row["seq"] for row in await self._postgres.fetch("get_offsets")}
        held = range(self._partitions)
        seqs = await asyncio.gather(*(self._batcher.call(("HGET", keys.meta(p), fields.SEQ)) for p in held))
        return sum(max(0, int(seq or 0) - offsets.get(p, 0)) for p, seq in zip(held, seqs, strict=True))

    async def _faults(self) -> list[str]:
        """What the persisters cannot do at present, as they told Postgres: each of it in a line."""
        (letters,) = await self._postgres.fetch("count_dead_letters")
        told = [_told(row) for row in await self._postgres.fetch("get_faults", FAULTS_TOLD_MAX)]
        if letters["count"]:
            told.append(f"{letters['count']} entries could not be recorded: run leaderboard dead-letters list")
        return told

    async def metrics(self, request: Request) -> Response:
        """`GET /metrics`."""
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)


def _told(row: asyncpg.Record) -> str:
    if row["kind"] in ("ledger", "log"):
        return f"the {row['kind']} of partition {row['partition']} stops: {row['cause']}"
    where = "" if row["partition"] < 0 else f" of partition {row['partition']}"
    return f"{' '.join((row['kind'], row['name'])).strip()}{where} fails: {row['cause']}"
