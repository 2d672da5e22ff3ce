"""The handlers of all routes, built from a server's services."""

from dataclasses import dataclass

from .access.rate_limit import RateLimit
from .access.secret_box import read_secret_box
from .admin.erasures import Erasures
from .admin.import_leases import ImportLeases
from .admin.key_handlers import KEY_CHANGES_A_SECOND_MAX, KEY_CHANGES_BURST_MAX, KeyHandlers
from .admin.namespace_handlers import NamespaceHandlers
from .admin.profile_handlers import ProfileHandlers
from .admin.state_gate import StateGate
from .admin.token_handlers import TokenHandlers
from .admin.user_handlers import UserHandlers, user_rate_limit
from .admin.visibility_intents import VisibilityIntents
from .endpoints import Endpoint
from .health import Health
from .live.event_stream_handler import EventStreamHandler
from .read.activity import ActivityHandlers
from .read.authorizer import ReadAuthorizer
from .read.board_handlers import BoardHandlers
from .read.board_questions import BoardQuestions
from .read.bulk import BulkHandlers
from .read.events import EventHandlers
from .read.grant_history import GrantHistory
from .read.grant_lists import GrantLists
from .read.historical_boards import HistoricalBoards
from .read.response_cache import ResponseCache
from .read.search import SearchLimits, UserSearch
from .read.stats import StatsHandlers
from .read.totals import TotalsHandlers
from .read.user_ranks import UserRankHandlers
from .services import Services
from .store.board_reader import BoardReader
from .store.rules_lock import RulesLock
from .webhooks.handlers import WebhookHandlers
from .webhooks.webhook_registry import WebhookRegistry
from .write.correction_handlers import CorrectionHandlers
from .write.corrections import Corrector
from .write.grant_handlers import GrantHandlers
from .write.grant_preview import GrantPreview
from .write.ledger_dedup import LedgerDedup
from .write.plan_attempts import RulesReader
from .write.receipt_ranks import ReceiptRanks
from .write.uncounted_grants import UncountedLookup


@dataclass(frozen=True, kw_only=True)
class Handlers:
    """What answers the routes."""

    grants: GrantHandlers
    corrections: CorrectionHandlers
    boards: BoardHandlers
    questions: BoardQuestions
    stats: StatsHandlers
    event_streams: EventStreamHandler
    bulk: BulkHandlers
    totals: TotalsHandlers
    grant_history: GrantHistory
    grant_lists: GrantLists
    user_ranks: UserRankHandlers
    search: UserSearch
    activity: ActivityHandlers
    events: EventHandlers
    namespaces: NamespaceHandlers
    profiles: ProfileHandlers
    users: UserHandlers
    import_leases: ImportLeases
    webhooks: WebhookHandlers
    tokens: Endpoint
    keys: KeyHandlers
    health: Health
    openapi: Endpoint
    asyncapi: Endpoint
    page: Endpoint
    console: Endpoint
    wall: Endpoint
    docs: Endpoint


def build_handlers(
    services: Services,
    *,
    openapi: Endpoint,
    asyncapi: Endpoint,
    page: Endpoint,
    console: Endpoint,
    wall: Endpoint,
    docs: Endpoint,
) -> Handlers:
    """Builds the handlers, and what several of them share. openapi, asyncapi, page, console, wall, docs: of their
    paths."""
    s = services
    rules_lock = RulesLock(s.postgres.writes, s.publisher)
    authorizer = ReadAuthorizer(s.namespace_cache, s.keyring)
    cache = ResponseCache(s.batcher, s.profile_cache)
    stats = _stats(s, authorizer)
    gate = StateGate(s.postgres.writes.fetch, s.batcher.call, s.partitions)
    intents = VisibilityIntents(s.postgres.writes, s.batcher.call, s.committer.submit, s.partitions, gate)
    rate_limit = user_rate_limit() if s.settings.quotas == "on" else None
    return Handlers(
        grants=_grants(s, rules_lock),
        corrections=_corrections(s, rules_lock),
        boards=BoardHandlers(
            batcher=s.batcher,
            boards=s.boards,
            historical_boards=HistoricalBoards(s.postgres, s.batcher),
            authorizer=authorizer,
            cache=cache,
            profiles=s.profile_cache,
            clock=s.clock,
        ),
        questions=BoardQuestions(
            boards=s.boards, authorizer=authorizer, cache=cache, profiles=s.profile_cache, clock=s.clock
        ),
        stats=stats,
        event_streams=EventStreamHandler(hub=s.hub, live=s.live, namespace_cache=s.namespace_cache, keyring=s.keyring),
        bulk=BulkHandlers(boards=s.boards, stats=stats, authorizer=authorizer, profiles=s.profile_cache, clock=s.clock),
        totals=TotalsHandlers(s.batcher, authorizer),
        grant_history=GrantHistory(postgres=s.postgres, batcher=s.batcher, authorizer=authorizer, clock=s.clock),
        grant_lists=GrantLists(s.postgres, s.batcher, authorizer),
        user_ranks=_user_ranks(s, authorizer),
        search=UserSearch(s.postgres, authorizer, SearchLimits() if s.settings.quotas == "on" else None),
        activity=ActivityHandlers(s.postgres, s.batcher, authorizer),
        events=EventHandlers(s.postgres, s.batcher, s.keyring),
        namespaces=_namespaces(s, gate),
        profiles=ProfileHandlers(
            postgres=s.postgres,
            batcher=s.batcher,
            publisher=s.publisher,
            namespace_cache=s.namespace_cache,
            keyring=s.keyring,
            intents=intents,
            rate_limit=rate_limit,
        ),
        users=UserHandlers(
            intents=intents,
            erasures=Erasures(s.postgres.writes, gate),
            namespace_cache=s.namespace_cache,
            keyring=s.keyring,
            rate_limit=rate_limit,
        ),
        import_leases=ImportLeases(s.postgres.writes, s.namespace_cache, s.keyring),
        webhooks=_webhooks(s),
        tokens=TokenHandlers(s.keyring).post,
        keys=_keys(s, gate),
        health=_health(s),
        openapi=openapi,
        asyncapi=asyncapi,
        page=page,
        console=console,
        wall=wall,
        docs=docs,
    )


def _grants(s: Services, rules_lock: RulesLock) -> GrantHandlers:
    return GrantHandlers(
        committer=s.committer,
        namespace_cache=s.namespace_cache,
        keyring=s.keyring,
        dedup=LedgerDedup(s.postgres.writes),
        rules=RulesReader(s.namespace_cache, rules_lock),
        profiles=s.profile_cache,
        ranks=ReceiptRanks(s.batcher, s.namespace_cache),
        uncounted=UncountedLookup(s.batcher, s.ledger),
        clock=s.clock,
        acks=s.acks,
        preview=GrantPreview(s.postgres.writes, s.clock),
        digest_key=s.digest_key,
    )


def _corrections(s: Services, rules_lock: RulesLock) -> CorrectionHandlers:
    corrector = Corrector(
        committer=s.committer,
        namespace_cache=s.namespace_cache,
        batcher=s.batcher,
        boards=BoardReader(s.batcher, s.postgres.writes),
        ledger=s.ledger,
        rules=RulesReader(s.namespace_cache, rules_lock),
        profiles=s.profile_cache,
        clock=s.clock,
        ack=s.acks.standard,
        digest_key=s.digest_key,
    )
    return CorrectionHandlers(corrector, s.namespace_cache, s.keyring, s.acks)


def _user_ranks(s: Services, authorizer: ReadAuthorizer) -> UserRankHandlers:
    return UserRankHandlers(
        postgres=s.postgres, batcher=s.batcher, authorizer=authorizer, profiles=s.profile_cache, clock=s.clock
    )


def _stats(s: Services, authorizer: ReadAuthorizer) -> StatsHandlers:
    return StatsHandlers(
        reader=s.stats, boards=s.boards, namespace_cache=s.namespace_cache, authorizer=authorizer, clock=s.clock
    )


def _namespaces(s: Services, gate: StateGate) -> NamespaceHandlers:
    return NamespaceHandlers(
        postgres=s.postgres.writes,
        batcher=s.batcher,
        publisher=s.publisher,
        namespace_cache=s.namespace_cache,
        keyring=s.keyring,
        partitions=s.partitions,
        clock=s.clock,
        gate=gate,
        key_namespaces_max=s.settings.key_namespaces_max if s.settings.quotas == "on" else None,
    )


def _webhooks(s: Services) -> WebhookHandlers:
    takes_loopback = s.settings.webhook_loopback == "on"
    registry = WebhookRegistry(s.postgres.writes, read_secret_box(s.settings), takes_loopback=takes_loopback)
    return WebhookHandlers(registry, s.keyring)


def _keys(s: Services, gate: StateGate) -> KeyHandlers:
    has_quotas = s.settings.quotas == "on"
    return KeyHandlers(
        postgres=s.postgres.writes,
        gate=gate,
        publisher=s.publisher,
        namespace_cache=s.namespace_cache,
        keyring=s.keyring,
        clock=s.clock,
        rate_limit=RateLimit(KEY_CHANGES_A_SECOND_MAX, KEY_CHANGES_BURST_MAX, "changes of API keys")
        if has_quotas
        else None,
    )


def _health(s: Services) -> Health:
    return Health(
        committer=s.committer,
        batcher=s.batcher,
        postgres=s.postgres.writes,
        partitions=s.partitions,
        clock=s.clock,
        capacity=s.capacity,
        node_watch=s.node_watch,
    )
