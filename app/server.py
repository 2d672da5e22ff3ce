"""The composition root: builds the parts, hands them to each other, and turns errors into HTTP."""

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import structlog
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import BaseRoute, Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from . import openapi
from .access.client import TRUSTED_PROXIES, address_of
from .access.keys import Keyring
from .admin.erasures import Erasures
from .admin.namespace_handlers import NamespaceHandlers
from .admin.profile_handlers import ProfileHandlers
from .admin.store_agreement import find_partitions
from .admin.user_handlers import UserHandlers, user_rate_limit
from .admin.visibility_intents import VisibilityIntents
from .drivers.postgres import Postgres
from .drivers.redis import REDIS_ERRORS, RedisConnection, RedisRefused
from .fast_path import HANDLERS, FastPath, by_method
from .health import Health
from .http.connections import CONNECTIONS, ConnectionLimits, Connections, connections_max
from .http.protocol import HttpProtocol
from .live.hub import Hub
from .live.socket import LiveLimits, LiveServer
from .live.websocket_protocol import DRAIN, LiveProtocol
from .logs import configure
from .loops import forever
from .model.address import parse_networks
from .model.errors import Problem
from .model.micros import now_micros
from .read.activity import ActivityHandlers
from .read.authorizer import ReadAuthorizer
from .read.board_handlers import BoardHandlers
from .read.board_queries import BoardQueries
from .read.bulk import BulkHandlers
from .read.events import EventHandlers
from .read.grant_history import GrantHistory
from .read.grant_lists import GrantLists
from .read.historical_boards import HistoricalBoards
from .read.response_cache import ResponseCache
from .read.search import UserSearch
from .read.stats import StatsHandlers
from .read.user_ranks import UserRankHandlers
from .settings import Settings, read_settings
from .store.apply import APPLY, StorageLimits
from .store.board_reader import BoardReader
from .store.boards import READS
from .store.changes import BUMP, NAME
from .store.clock import TIME, StoreClock
from .store.ledger import Ledger
from .store.namespace_cache import PUBLISH, NamespaceCache
from .store.partitions import PROBE, check_store, probe
from .store.profile_cache import ProfileCache
from .store.read_batcher import WAIT_S_MAX, ReadBatcher
from .store.rules_lock import RulesLock
from .store.stats_reader import STATS, StatsReader
from .store.visibility import SET_STATE
from .tune_gc import tune_gc
from .write.committer import Committer
from .write.correction_handlers import CorrectionHandlers
from .write.corrections import Corrector
from .write.grant_handlers import GrantHandlers
from .write.ledger_dedup import LedgerDedup
from .write.receipt_ranks import ReceiptRanks
from .write.uncounted_grants import UncountedLookup

log = structlog.get_logger()

WEB = Path(__file__).parent / "web"
#: Seconds between two looks at how Redis is set up: somebody may change it while it runs.
CHECK_S = 60.0
#: Seconds between two looks for changed keys and rules where nobody reads: for so long a revoked key may write on.
FOLLOW_S = 1.0
#: Seconds that a server waits for Redis to tell the time, also before it serves: then it goes by its own clock.
TIME_S_MAX = 1.0
# What uvicorn is told. Its own keep-alive time and bound of connections are not used: see `Connections`.
UVICORN: dict[str, Any] = {
    "loop": "uvloop",
    "http": HttpProtocol,
    "ws": LiveProtocol,
    "ws_max_size": 64 * 1024,
    "ws_per_message_deflate": False,
    "access_log": False,
    "server_header": False,
    "date_header": False,
    "proxy_headers": False,
    "log_config": None,
    "timeout_graceful_shutdown": 2,
}
_POLICY = (
    "default-src 'self'; connect-src 'self' ws: wss:; img-src 'self' data: https:; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)


class Server:
    """One process: its connections, its loops and its application."""

    def __init__(
        self,
        settings: Settings,
        partitions: int,
        clock: Callable[[], int] = now_micros,
        limits: ConnectionLimits | None = None,
        live_limits: LiveLimits | None = None,
    ) -> None:
        self._settings = settings
        self.clock = StoreClock(clock)
        self.connections = Connections(limits or ConnectionLimits(), address_of)
        self.postgres = Postgres(settings.postgres_url)
        self.namespace_cache = NamespaceCache()
        self.names = ProfileCache()

        async def greet(link: RedisConnection) -> None:
            await check_store(link, settings.redis_durability)
            await probe(link, partitions)

        self._write_link = RedisConnection(settings.redis_url, [APPLY, PROBE], greet)
        self._read_link = RedisConnection(
            settings.redis_url, [*READS, STATS, PUBLISH, BUMP, NAME, SET_STATE], timeout_s=WAIT_S_MAX
        )
        self._check_link = RedisConnection(settings.redis_url, [])
        self.batcher = ReadBatcher(self._read_link, self.namespace_cache.notice, self.names.notice)
        self.namespace_cache.call = self.names.call = self.batcher.call
        self.namespace_cache.on_change.append(self.names.forget_named)
        self.committer = Committer(self._write_link, self._offsets, storage_limits(settings), self.clock)
        self.keyring = Keyring(self.namespace_cache, settings.api_key)
        boards = BoardReader(self.batcher, self.postgres)
        stats = StatsReader(self.batcher, self.postgres)
        self.hub = Hub(self.batcher, boards, stats, self.namespace_cache, self.names, self.clock)
        live_limits = live_limits or LiveLimits(
            key_sockets_max=settings.key_sockets_max,
            address_sockets_max=settings.address_sockets_max,
            anonymous_sockets_max=self.connections.limits.connections_max // 2,
        )
        self.live = LiveServer(self.hub, self.keyring, live_limits)
        memory = LedgerDedup(self.postgres.writes)
        ack = {"always": "fsync", "everysec": "everysec", "none": "memory"}[settings.redis_durability]
        ledger = Ledger(self.postgres.writes)
        rules_lock = RulesLock(self.postgres.writes, self.batcher.call)
        kept = BoardReader(self.batcher, self.postgres.writes)
        corrector = Corrector(
            *(self.committer, self.namespace_cache, self.batcher, kept, ledger, rules_lock, self.names, self.clock, ack)
        )
        self.corrections = CorrectionHandlers(corrector, self.namespace_cache, self.keyring)
        places, voided = ReceiptRanks(self.batcher, self.namespace_cache), UncountedLookup(self.batcher, ledger)
        self.writer = GrantHandlers(
            *(self.committer, self.namespace_cache, self.keyring, memory, rules_lock, self.names),
            *(places, voided, self.clock, ack),
        )
        history = GrantHistory(self.postgres, self.batcher, self.clock)
        self.standings = UserRankHandlers(
            self.postgres, self.batcher, self.namespace_cache, self.keyring, self.names, self.clock
        )
        past = HistoricalBoards(self.postgres, self.batcher)
        authorizer, answers = (
            ReadAuthorizer(self.namespace_cache, self.keyring),
            ResponseCache(self.batcher, self.names),
        )
        self.grant_lists = GrantLists(self.postgres, self.batcher, authorizer)
        self.stats = StatsHandlers(stats, boards, self.namespace_cache, self.keyring, self.clock)
        self.reader = BoardHandlers(
            *(
                self.batcher,
                boards,
                authorizer,
                answers,
                history,
                self.standings,
                self.names,
                past,
                self.stats,
                self.clock,
            )
        )
        self.lookups = BoardQueries(boards, authorizer, answers, self.batcher, self.names, self.clock)
        self.many = BulkHandlers(boards, self.stats, authorizer, self.names, self.clock)
        intents = VisibilityIntents(self.postgres.writes, self.batcher.call, self.committer.submit, partitions)
        pace = user_rate_limit() if settings.quotas == "on" else None
        self.people = UserHandlers(intents, Erasures(self.postgres.writes), self.namespace_cache, self.keyring, pace)
        self.profiles = ProfileHandlers(self.postgres, self.batcher, self.namespace_cache, self.keyring, intents, pace)
        self.activities = ActivityHandlers(self.postgres, self.batcher, authorizer)
        self.events = EventHandlers(self.postgres, self.batcher, self.keyring)
        self.search = UserSearch(self.postgres, authorizer)
        self.namespaces = NamespaceHandlers(
            *(self.postgres.writes, self.batcher, self.namespace_cache, self.keyring, partitions, self.clock),
            key_namespaces_max=settings.key_namespaces_max if settings.quotas == "on" else None,
        )
        self.health = Health(self.committer, self.batcher, self.postgres.writes, partitions, self.clock)

    async def _offsets(self) -> dict[int, tuple[int, int, bytes]]:
        rows = await self.postgres.writes.fetch("get_offsets")
        return {row["partition"]: (row["epoch"], row["seq"], bytes(row["digest"])) for row in rows}

    @asynccontextmanager
    async def lifespan(self, app: Starlette) -> AsyncIterator[dict[str, Any]]:
        """Runs the loops while the application is served."""
        loops = (
            self.committer.run,
            self.batcher.run,
            self.hub.run,
            self.connections.run,
            self._check,
            self._follow,
        )
        tasks = [asyncio.create_task(forever(loop)) for loop in loops]
        try:
            await self._ask_time()
            yield {
                DRAIN: self.live.drain,
                CONNECTIONS: self.connections,
                TRUSTED_PROXIES: parse_networks(self._settings.trusted_proxies),
            }
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            for link in (self._write_link, self._read_link, self._check_link):
                await link.close()
            await self.postgres.close()

    async def _check(self) -> None:
        """Every minute: eviction and durability may have been changed under a running server."""
        while True:
            await asyncio.sleep(CHECK_S)
            try:
                await self._check_link.connect()
                await check_store(self._check_link, self._settings.redis_durability)
            except RedisRefused as refused:
                log.warning("redis refused", detail=str(refused))
                await self._write_link.close()
            except REDIS_ERRORS:
                pass

    async def _follow(self) -> None:
        """Every second: a server that gets nothing but writes must hear of revoked keys too, one that gets no writes of
        the time."""
        while True:
            await asyncio.sleep(FOLLOW_S)
            await self._ask_time()
            try:
                await self.namespace_cache.refresh()
            except Problem:
                pass

    async def _ask_time(self) -> None:
        """Learns what Redis' clock says; while Redis is away the last answer holds."""
        asked = self.clock.elapsed()
        try:
            self.clock.learn(await asyncio.wait_for(self.batcher.call(TIME), TIME_S_MAX), asked)
        except (Problem, TimeoutError):
            pass

    def routes(self) -> list[BaseRoute]:
        """Every path, the hottest first."""
        reader, corrections, namespaces, health = self.reader, self.corrections, self.namespaces, self.health
        space = "/v1/namespaces/{namespace:id}"
        grant = f"{space}/grants/{{grant_id:id}}"
        return [
            Route(f"{space}/grants", self.grant_lists.get, methods=["GET"]),
            Route(f"{space}/grants", self.writer),
            Route("/v1/grants", self.writer),
            Route(f"{space}/boards/{{window:id}}", reader.board),
            Route(f"{space}/boards/{{window:id}}/stats", reader.stats),
            by_method("/v1/stats", GET=self.stats.everywhere, POST=self.many.stats),
            *self.lookups.routes(f"{space}/boards/{{window:id}}"),
            Route(f"{space}/totals", reader.totals, methods=["POST"]),
            Route(f"{space}/ranks", self.many.ranks, methods=["POST"]),
            Route("/v1/boards", self.many.boards, methods=["POST"]),
            Route(f"{space}/users", self.search.get, methods=["GET"]),
            by_method(f"{space}/users/{{user:id}}", GET=reader.standing, PUT=self.profiles.put_in),
            Route(f"{space}/users/{{user:id}}/hide", self.people.hide_in, methods=["POST"]),
            Route(f"{space}/users/{{user:id}}/unhide", self.people.unhide_in, methods=["POST"]),
            Route(f"{space}/users/{{user:id}}/grants", reader.grants),
            Route(f"{space}/users/{{user:id}}/explain", reader.explain),
            Route(f"{space}/users/{{user:id}}/activity", self.activities.of_user, methods=["GET"]),
            by_method(f"{space}/activity", GET=self.activities.of_all, POST=self.activities.of_users),
            Route(f"{space}/trends", self.activities.trends, methods=["GET"]),
            by_method(grant, GET=reader.grant, PATCH=corrections.patch, DELETE=corrections.delete),
            Route(f"{grant}/restore", corrections.restore, methods=["POST"]),
            Route(f"{space}/corrections", corrections.many, methods=["POST"]),
            Route(f"{space}/events", self.events.get, methods=["GET"]),
            by_method(space, GET=namespaces.get, PUT=namespaces.put, DELETE=namespaces.delete),
            Route("/v1/namespaces", namespaces.list),
            by_method("/v1/users/{user:id}", GET=self.profiles.get, PUT=self.profiles.put, DELETE=self.people.erase),
            Route("/v1/users/{user:id}/hide", self.people.hide, methods=["POST"]),
            Route("/v1/users/{user:id}/unhide", self.people.unhide, methods=["POST"]),
            Route("/v1/users/{user:id}/standings", self.standings.everywhere),
            WebSocketRoute("/v1/live", self.live.endpoint),
            Route("/healthz", health.alive),
            Route("/readyz", health.ready),
            Route("/metrics", health.metrics),
            Route("/openapi.json", openapi.serve),
            Route("/", _page),
            Mount("/web", StaticFiles(directory=WEB)),
        ]

    def app(self) -> ASGIApp:
        """The ASGI application."""
        handlers = HANDLERS
        app = Starlette(routes=self.routes(), lifespan=self.lifespan, exception_handlers=handlers)
        app.router.redirect_slashes = False
        return FastPath(app, self.writer, self.reader)


def storage_limits(settings: Settings) -> StorageLimits:
    """What grants may fill, by the settings."""
    if settings.quotas == "off":
        return StorageLimits(settings.log_entries_max)
    share = settings.namespace_log_share_max
    return StorageLimits(
        settings.log_entries_max,
        settings.namespace_users_max,
        settings.namespace_boards_max,
        0 if share == 1 else max(2, int(share * settings.log_entries_max)),
    )


async def _page(request: Request) -> Response:
    return FileResponse(WEB / "index.html", headers={"Content-Security-Policy": _POLICY})


def from_environment() -> ASGIApp:
    """What uvicorn's workers build."""
    settings = read_settings()
    configure(settings.log_level)
    # uvicorn calls this inside its loop, so the question is asked in a loop of its own.
    with ThreadPoolExecutor(1) as threads:
        partitions = threads.submit(asyncio.run, find_partitions(settings)).result()
    app = Server(settings, partitions, limits=ConnectionLimits(connections_max=connections_max())).app()
    tune_gc()
    return app
