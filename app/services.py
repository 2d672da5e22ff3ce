"""The parts of a server process that its handlers share, built in one place."""

from collections.abc import Callable
from dataclasses import dataclass

from .access.client import address_of
from .access.client_tokens import ClientTokens
from .access.cors import Cors
from .access.digest_key import read_digest_key
from .access.keys import Keyring
from .access.token_keys import read_token_keys
from .drivers.postgres import Postgres
from .drivers.redis import NodeMap, RedisConnection, RedisLink
from .http.connections import ConnectionLimits, Connections
from .live.hub import Hub
from .live.live_server import LiveServer
from .live.websocket import LiveLimits
from .model.micros import now_micros
from .model.origins import parse_origins
from .settings import Settings
from .store.announcements import Announcer, apart
from .store.apply import APPLY, StorageLimits
from .store.board_reader import BoardReader
from .store.boards import READS
from .store.capacity import Capacity, StoreBounds
from .store.changes import ANNOUNCE_CHANGE, WRITE_PROFILE
from .store.clock import StoreClock
from .store.deployment_reads import DeploymentReads
from .store.ledger import Ledger
from .store.marks import MARK_SCRIPTS, Marks
from .store.namespace_cache import PUBLISH_KEY, SET_IF_NEWER, NamespaceCache
from .store.node_reader import WAIT_S_MAX
from .store.node_watch import NodeWatch
from .store.nodes import PartitionNodes
from .store.partitions import CHECK_ACL, check_store, probe
from .store.profile_cache import ProfileCache
from .store.publications import Publisher
from .store.read_batcher import ReadBatcher
from .store.replicas import REWRITE_SEQ, ReplicaNeed
from .store.stats_reader import READ_BOARD_STATS, StatsReader
from .store.visibility import SET_USER_STATE
from .write.acknowledgements import Acknowledgements
from .write.committer import Committer
from .write.entry_wait import EntryWait
from .write.replica_wait import ReplicaWait

#: What every answer stands for, by LEADERBOARD_REDIS_DURABILITY.
STANDARD_ACKS = {"always": "fsync", "everysec": "everysec", "none": "memory"}


@dataclass(frozen=True, kw_only=True)
class RedisConnections:
    """A server's connections to Redis: for writes, for waits for its replicas, for reads, for checks of its
    configuration, for its marks, and for the figures of its capacity."""

    writes: RedisConnection
    waits: RedisConnection
    reads: RedisConnection
    checks: RedisConnection
    marks: RedisConnection
    figures: RedisConnection

    async def close(self) -> None:
        """Ends all of them."""
        for connection in (self.writes, self.waits, self.reads, self.checks, self.marks, self.figures):
            await connection.close()


@dataclass(frozen=True, kw_only=True)
class Services:
    """The parts of which a server has one each. Nothing is set later; each handler takes what it needs by keyword."""

    settings: Settings
    digest_key: bytes
    partitions: int
    clock: StoreClock
    capacity: Capacity
    node_watch: NodeWatch
    connections: Connections
    redis: RedisConnections
    postgres: Postgres
    marks: Marks
    batcher: ReadBatcher
    publisher: Publisher
    namespace_cache: NamespaceCache
    profile_cache: ProfileCache
    keyring: Keyring
    cors: Cors
    ledger: Ledger
    committer: Committer
    acks: Acknowledgements
    boards: BoardReader
    stats: StatsReader
    hub: Hub
    live: LiveServer

    async def close(self) -> None:
        """Ends the connections to both stores."""
        await self.marks.close()
        await self.redis.close()
        await self.postgres.close()


def build_services(
    settings: Settings,
    partitions: int,
    *,
    clock: Callable[[], int] = now_micros,
    limits: ConnectionLimits | None = None,
    live_limits: LiveLimits | None = None,
) -> Services:
    """Builds the parts from the settings, without a connection so far. clock: the process's own, used until Redis' time
    is known."""
    limits = limits or ConnectionLimits()
    redis, postgres = _redis_connections(settings, partitions), Postgres(settings.postgres_url)
    marks = Marks(redis.marks, settings.postgres_url)
    store_clock, capacity = StoreClock(clock), Capacity(StoreBounds.of(settings), partitions)

    def limits_of(p: int) -> StorageLimits:
        return storage_limits(settings, capacity.log_entries(p))

    batcher = ReadBatcher(redis.reads, marks.renew)
    deployment = DeploymentReads(batcher, postgres.writes, PartitionNodes(redis.reads), partitions)
    announcer = Announcer(postgres.writes.fetch, apart(batcher.call), partitions, is_cluster=redis.reads.is_cluster)
    publisher = Publisher(batcher.call, announcer, has_several_nodes=redis.reads.is_cluster)
    namespace_cache, profile_cache = NamespaceCache(deployment.call), ProfileCache(deployment.call)
    batcher.subscribe_changes(namespace_cache.notice)
    batcher.subscribe_profiles(profile_cache.notice)
    namespace_cache.subscribe(profile_cache.forget_namespaces)
    cors = Cors(parse_origins(settings.cors_origins), namespace_cache.is_open)
    client_tokens = ClientTokens(read_token_keys(settings), store_clock, deployment.deployment_id)
    keyring = Keyring(namespace_cache, settings.api_key, client_tokens)
    ledger = Ledger(postgres.writes)
    boards, stats = BoardReader(batcher, postgres), StatsReader(batcher, postgres)
    committer = Committer(PartitionNodes(redis.writes), limits_of, store_clock, marks.renew)
    hub = Hub(batcher, boards, stats, namespace_cache, profile_cache, store_clock)
    return Services(
        settings=settings,
        digest_key=read_digest_key(settings),
        partitions=partitions,
        clock=store_clock,
        capacity=capacity,
        node_watch=NodeWatch(settings.ack_replicas, partitions),
        connections=Connections(limits, address_of),
        redis=redis,
        postgres=postgres,
        marks=marks,
        batcher=batcher,
        publisher=publisher,
        namespace_cache=namespace_cache,
        profile_cache=profile_cache,
        keyring=keyring,
        cors=cors,
        ledger=ledger,
        committer=committer,
        acks=_acknowledgements(settings, committer, redis.waits, ledger),
        boards=boards,
        stats=stats,
        hub=hub,
        live=LiveServer(hub, keyring, live_limits or _live_limits(settings, limits), cors),
    )


def _acknowledgements(
    settings: Settings, committer: Committer, waits: RedisConnection, ledger: Ledger
) -> Acknowledgements:
    need = ReplicaNeed(settings.ack_replicas, is_on_disk=settings.redis_durability != "none")
    return Acknowledgements(
        committer=committer,
        replicas=ReplicaWait(PartitionNodes(waits), need),
        ledger=EntryWait(ledger),
        standard=STANDARD_ACKS[settings.redis_durability],
        wait_s=settings.ack_wait_s,
    )


def _live_limits(settings: Settings, limits: ConnectionLimits) -> LiveLimits:
    return LiveLimits(
        key_sockets_max=settings.key_sockets_max,
        address_sockets_max=settings.address_sockets_max,
        anonymous_sockets_max=limits.connections_max // 2,
    )


def _redis_connections(settings: Settings, partitions: int) -> RedisConnections:
    async def check(connection: RedisLink) -> None:
        await check_store(connection, settings.redis_durability)
        await probe(connection, partitions)

    reads = [*READS, READ_BOARD_STATS, SET_IF_NEWER, PUBLISH_KEY, ANNOUNCE_CHANGE, WRITE_PROFILE, SET_USER_STATE]
    url, nodes = settings.redis_url, NodeMap.of_url(settings.redis_url)
    return RedisConnections(
        writes=RedisConnection(url, [APPLY, CHECK_ACL], check, nodes=nodes),
        waits=RedisConnection(url, [REWRITE_SEQ], nodes=nodes),
        reads=RedisConnection(url, reads, timeout_s=WAIT_S_MAX, nodes=nodes),
        checks=RedisConnection(url, [], nodes=nodes),
        marks=RedisConnection(url, MARK_SCRIPTS, nodes=nodes),
        figures=RedisConnection(url, [], nodes=nodes),
    )


def storage_limits(settings: Settings, log_entries: int) -> StorageLimits:
    """The storage that grants may use in a partition whose log takes so many entries, from the settings."""
    if settings.quotas == "off":
        return StorageLimits(log_entries)
    share = settings.namespace_log_share_max
    return StorageLimits(
        log_entries,
        settings.namespace_users_max,
        settings.namespace_boards_max,
        0 if share == 1 else max(2, int(share * log_entries)),
    )
