"""/healthz, /readyz, /metrics: what orchestrators and dashboards ask."""

import asyncio

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from .model.errors import Problem
from .store import keys
from .store.gather import Gatherer
from .store.postgres import Postgres
from .write.committer import Committer


class Health:
    """Ready means that writes are taken; a missing Postgres degrades, it does not stop."""

    def __init__(self, committer: Committer, gatherer: Gatherer, postgres: Postgres, partitions: int) -> None:
        self._committer = committer
        self._gatherer = gatherer
        self._postgres = postgres
        self._partitions = partitions

    async def alive(self, request: Request) -> Response:
        """`GET /healthz`: the process is up."""
        return JSONResponse({"status": "ok"})

    async def ready(self, request: Request) -> Response:
        """`GET /readyz`: 503 only where writes would be refused."""
        contacts = [self._committer.contact(p) for p in range(self._partitions)]
        found = await asyncio.gather(*contacts, return_exceptions=True)
        refused = list(dict.fromkeys(problem.detail for problem in found if isinstance(problem, Problem)))
        degraded, lag = [], None
        try:
            lag = await self._lag()
        except Problem as problem:
            degraded.append(problem.detail)
        if refused:
            return JSONResponse(
                {"status": "unavailable", "degraded": refused + degraded, "lag_seq": lag}, 503, {"Retry-After": "1"}
            )
        return JSONResponse({"status": "ready", "degraded": degraded, "lag_seq": lag})

    async def _lag(self) -> int:
        offsets = {row["partition"]: row["seq"] for row in await self._postgres.fetch("offsets")}
        lag = 0
        for p in range(self._partitions):
            seq = await self._gatherer.call(("HGET", keys.meta(p), "seq"))
            lag += max(0, int(seq or 0) - offsets.get(p, 0))
        return lag

    async def metrics(self, request: Request) -> Response:
        """`GET /metrics`."""
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)
