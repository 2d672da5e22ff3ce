"""The composition root: builds the parts, hands them to each other, and turns errors into HTTP."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import structlog
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import BaseRoute, Mount
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from . import asyncapi, openapi
from .access.client import TRUSTED_PROXIES
from .admin.store_agreement import find_partitions
from .client_files import ClientFiles
from .drivers.redis import REDIS_ERRORS, RedisRefused
from .drivers.store_contact import log_outages
from .endpoints import Endpoint, method_route
from .fast_path import EXCEPTION_ANSWERS, FastPath
from .handlers import build_handlers
from .http.answer_stream import StreamProtocol
from .http.connections import CONNECTIONS, ConnectionLimits, connections_max
from .live.websocket_protocol import DRAIN, LiveProtocol
from .logs import configure
from .loops import forever
from .model.address import parse_networks
from .model.errors import Problem
from .model.origins import frame_ancestors
from .routes import ROUTES
from .services import Services, build_services
from .settings import Settings, read_settings
from .store.clock import TIME
from .store.partitions import check_store
from .task_end import complete, end_all
from .tune_gc import tune_gc

log = structlog.get_logger()

WEB = Path(__file__).parent / "web"
#: Seconds between two checks of Redis' configuration, which may change while it runs.
CHECK_S = 60.0
#: Seconds between two checks for changed keys and rules if nobody reads. A revoked key may write for so long. What it
#: watches ends within a second, which leaves time for the hub's tick, both stores and a busy machine.
FOLLOW_S = 0.4
#: Seconds between two questions for Redis' time if nobody writes.
ASK_TIME_S = 1.0
#: Seconds between two measurements of what Redis holds: in that time a log at 10,000 entries/s grows by 10 MB.
MEASURE_S = 5.0
#: Seconds that a server waits for Redis' time, also before it serves. After them it uses its own clock.
TIME_S_MAX = 1.0
#: Seconds in which a worker answers the process that watches all workers. One that does not is killed, and its clients
#: lose their connections. A worker answers only once it has imported the application: where many start at a time on few
#: cores, or the machine is busy, that takes longer than uvicorn's own 5 s.
WORKER_ANSWER_S_MAX = 30
# uvicorn's options. Its own keep-alive time and limit of connections are not used: see `Connections`.
UVICORN: dict[str, Any] = {
    "loop": "uvloop",
    "http": StreamProtocol,
    "ws": LiveProtocol,
    "ws_max_size": 64 * 1024,
    "ws_per_message_deflate": False,
    "access_log": False,
    "server_header": False,
    "date_header": False,
    "proxy_headers": False,
    "log_config": None,
    "timeout_graceful_shutdown": 2,
    "timeout_worker_healthcheck": WORKER_ANSWER_S_MAX,
}
_POLICY = (
    "default-src 'self'; connect-src 'self' ws: wss:; img-src 'self' data: https:; base-uri 'none'; form-action 'none'"
)
#: The console acts with a key of rank: it loads nothing from elsewhere, and nobody may frame it. The page of calls
#: needs no more than that.
CONSOLE_POLICY = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
}
#: The folders of pages with this policy.
STRICT = ("console", "docs")


class Server:
    """One process: its services, its loops and its application."""

    def __init__(self, services: Services) -> None:
        self.services = services
        policy = _policy_of(services.settings)
        pages = {"page": _page_of("index.html", policy), "wall": _page_of("wall/index.html", policy)}
        pages |= {name: _page_of(f"{name}/index.html", CONSOLE_POLICY) for name in STRICT}
        pages |= {"openapi": openapi.serve, "asyncapi": asyncapi.serve}
        self.handlers = build_handlers(services, **pages)

    @asynccontextmanager
    async def lifespan(self, app: Starlette) -> AsyncIterator[dict[str, Any]]:
        """Runs the loops while the application is served."""
        services = self.services
        loops = (
            *(services.committer.run, services.batcher.run, services.connections.run),
            *(services.hub.run, services.live.sweep.run),
            *(self._check, self._follow, self._keep_time, self._measure),
        )
        tasks = [asyncio.create_task(forever(loop)) for loop in loops]
        try:
            await asyncio.gather(self._ask_time(), services.marks.renew_all())
            yield {
                DRAIN: services.live.drain,
                CONNECTIONS: services.connections,
                TRUSTED_PROXIES: parse_networks(services.settings.trusted_proxies),
            }
        finally:
            await complete(end_all(tasks))
            await services.close()

    async def _check(self) -> None:
        """Every minute: eviction and durability may have been changed under a running server, or one of the stores been
        replaced by an older one."""
        while True:
            await asyncio.sleep(CHECK_S)
            try:
                for node in await self.services.redis.checks.links():
                    await check_store(node, self.services.settings.redis_durability)
            except RedisRefused as refused:
                log.warning("redis refused", detail=str(refused))
                await self.services.redis.writes.close()
            except REDIS_ERRORS:
                pass
            await self.services.marks.renew_all()

    async def _keep_time(self) -> None:
        """Every second: a server without writes must learn of the time."""
        while True:
            await asyncio.sleep(ASK_TIME_S)
            await self._ask_time()

    async def _follow(self) -> None:
        """Every FOLLOW_S asks for changes: a server that nobody reads from must learn of revoked keys."""
        while True:
            await asyncio.sleep(FOLLOW_S)
            try:
                await self.services.namespace_cache.refresh()
            except Problem:
                pass

    async def _measure(self) -> None:
        """Every few seconds: what Redis holds, how long it lasts, and what its nodes lack."""
        while True:
            try:
                await self.services.capacity.measure(self.services.redis.figures)
                await self.services.node_watch.measure(self.services.redis.figures)
            except REDIS_ERRORS:
                pass
            await asyncio.sleep(MEASURE_S)

    async def _ask_time(self) -> None:
        """Reads Redis' clock. While Redis is away, the last answer stays valid."""
        start = self.services.clock.elapsed()
        try:
            self.services.clock.learn(await asyncio.wait_for(self.services.batcher.call(TIME), TIME_S_MAX), start)
        except (Problem, TimeoutError):
            pass

    def routes(self) -> list[BaseRoute]:
        """Every path with its methods, in the order of the table; the files of the page and of the client."""
        by_path: dict[str, dict[str, Endpoint | ASGIApp]] = {}
        for route in ROUTES:
            by_path.setdefault(route.path, {})[route.method] = route.handler(self.handlers)
        return [
            *(method_route(path, endpoints) for path, endpoints in by_path.items()),
            Mount("/web", PageFiles(_policy_of(self.services.settings))),
            Mount("/clients", ClientFiles()),
        ]

    def app(self) -> ASGIApp:
        """The ASGI application."""
        app = Starlette(routes=self.routes(), lifespan=self.lifespan, exception_handlers=EXCEPTION_ANSWERS)
        app.router.redirect_slashes = False
        return FastPath(app, self.handlers, self.services.live, self.services.cors)


class PageFiles(StaticFiles):
    """The files of all pages. headers: the policy of the page of boards. Each page is one of the files, too, and has
    its own policy there as well."""

    def __init__(self, headers: Mapping[str, str]) -> None:
        super().__init__(directory=WEB)
        self._headers = headers

    def file_response(self, full_path: Any, *args: Any, **options: Any) -> Response:
        """The answer with a file, or that it has not changed."""
        response = super().file_response(full_path, *args, **options)
        is_strict = any(Path(full_path).is_relative_to(WEB / name) for name in STRICT)
        response.headers.update(CONSOLE_POLICY if is_strict else self._headers)
        return response


def _policy_of(settings: Settings) -> dict[str, str]:
    return {"Content-Security-Policy": f"{_POLICY}; frame-ancestors {frame_ancestors(settings.frame_ancestors)};"}


def _page_of(file: str, headers: Mapping[str, str]) -> Endpoint:
    async def page(request: Request) -> Response:
        return FileResponse(WEB / file, headers=headers)

    return page


def from_environment() -> ASGIApp:
    """Builds the application of one of uvicorn's workers."""
    settings = read_settings()
    configure(settings.log_level)
    log_outages()
    # uvicorn calls this inside its loop, so the question is asked in a loop of its own.
    with ThreadPoolExecutor(1) as threads:
        partitions = threads.submit(asyncio.run, find_partitions(settings)).result()
    limits = ConnectionLimits(connections_max=connections_max())
    app = Server(build_services(settings, partitions, limits=limits)).app()
    tune_gc()
    return app
