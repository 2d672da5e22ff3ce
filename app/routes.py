"""Every route, in one table. Starlette's routes, the fast path, OpenAPI and the test of rights are made from it."""

import re
from collections.abc import Callable
from typing import Literal, NamedTuple

from starlette.types import ASGIApp

from .admin.key_handlers import KeyRequest, RotateRequest
from .admin.token_handlers import TokenRequest
from .description.schema import Schema, batch_of, list_of, ref
from .endpoints import Endpoint, ScopeEndpoint
from .handlers import Handlers
from .model.correction import Edit
from .model.namespace import Rules
from .model.profile import NamespaceProfile, Profile
from .model.webhook import WebhookRequest
from .read.activity import UserActivityRequest
from .read.bulk import BoardsRequest, BulkStatsRequest, RanksRequest
from .read.score_bounds import BOUNDS
from .read.totals import UsersRequest
from .webhooks.handlers import ResendRequest
from .write.correction_handlers import Correction, VoidRequest


class RequiredScope(NamedTuple):
    """The scope that a route needs.

    scope: of the key; None: no key is asked for. over: the name that the scope has to cover: `name` the namespace in
    the path, `each` every namespace that the request names or the answer lists, one by one, `all` the whole
    deployment (the pattern `*`). is_public: whether a public namespace opens the route without a key.
    """

    scope: Literal["read", "write", "admin"] | None
    over: Literal["name", "each", "all"] = "name"
    is_public: bool = False


class Route(NamedTuple):
    """One method of one path. The handler itself checks scope, query and body; tests compare it with the table.

    handler: a function of a Request, or an object that is an ASGI application. name: that of the operation, by which
    generated clients call it. query: names of its parameters. answer: the schema of every status but 204 and 304.
    has_etag: whether it takes If-None-Match.
    has_csv: whether it answers text/csv, too. is_hot: the fast path answers it, so the handler is an ASGI application.
    is_described: whether OpenAPI names it. is_stream: it answers text/event-stream, without an end.
    """

    method: str
    path: str
    required: RequiredScope
    handler: Callable[[Handlers], Endpoint | ASGIApp]
    name: str
    query: tuple[str, ...] = ()
    body: Schema | None = None
    answer: Schema | None = None
    statuses: tuple[str, ...] = ("200",)
    has_etag: bool = False
    has_csv: bool = False
    is_hot: bool = False
    is_described: bool = True
    is_stream: bool = False

    @property
    def parameters(self) -> list[str]:
        """The names of the parameters in the path, in order."""
        return re.findall(r"{(\w+)}", self.path)


_PUBLIC = RequiredScope("read", is_public=True)
_PUBLIC_EACH = RequiredScope("read", "each", is_public=True)
_READ, _READ_ALL = RequiredScope("read"), RequiredScope("read", "all")
_WRITE, _WRITE_EACH, _WRITE_ALL = RequiredScope("write"), RequiredScope("write", "each"), RequiredScope("write", "all")
_ADMIN, _ADMIN_ALL = RequiredScope("admin"), RequiredScope("admin", "all")
_ADMIN_EACH = RequiredScope("admin", "each")
_ANYBODY = RequiredScope(None)

_NAMESPACE = "/v1/namespaces/{namespace}"
_BOARD = f"{_NAMESPACE}/boards/{{window}}"
_GRANT = f"{_NAMESPACE}/grants/{{grant_id}}"
_USER = f"{_NAMESPACE}/users/{{user}}"
_WEBHOOK = "/v1/webhooks/{id}"
_KEY = "/v1/keys/{id}"

_PAGE = ("cursor", "limit")
_RANGE = ("since", "until")
_ONE = ("category", "ranking")
_BOARD_QUERY = (
    *("limit", "offset", "cursor", "around", "radius", "user", "category", "ranking", "include"),
    *("as_of", "compare_to", *BOUNDS),
)
_RECEIPTS = ref("GrantAnswer")
_CORRECTED = ref("CorrectionAnswer")
_CREATED = ("200", "201")
# 202: a change is recorded, and the boards follow.
_CHANGED = ("200", "202")

#: The busiest routes come first, because the router tries them in this order.
# fmt: off
ROUTES = (
    Route("POST", f"{_NAMESPACE}/grants", _WRITE, lambda h: h.grants,  # `admin` with ?backfill=true
          "createGrants", query=("rank", "backfill", "dry_run", "ack"), body=ref("Grants"), answer=_RECEIPTS,
          statuses=_CREATED, is_hot=True),
    Route("GET", _BOARD, _PUBLIC, lambda h: ScopeEndpoint(h.boards.get),
          "getBoard", query=_BOARD_QUERY, answer=ref("Board"), has_etag=True, has_csv=True, is_hot=True),
    Route("GET", f"{_NAMESPACE}/grants", _WRITE, lambda h: h.grant_lists.get,
          "listGrants", answer=ref("GrantList"),
          query=("state", "source", "source_id", *_RANGE, *_PAGE), has_csv=True),
    Route("POST", "/v1/grants", _WRITE_EACH, lambda h: h.grants,  # `admin` with ?backfill=true
          "createGrantsAcrossNamespaces", query=("atomic", "rank", "backfill", "dry_run", "ack"),
          body=ref("NamedGrants"), answer=_RECEIPTS, statuses=_CREATED),
    Route("GET", f"{_BOARD}/stats", _PUBLIC, lambda h: h.stats.get,
          "getBoardStats", query=("category", *BOUNDS, "histogram", "percentiles", "interpolate"),
          answer=ref("BoardStats"), has_etag=True),
    Route("GET", f"{_BOARD}/events", _PUBLIC, lambda h: ScopeEndpoint(h.event_streams.get),
          "watchBoard",
          query=("limit", "around", "radius", "user", "stats", "category"), is_stream=True),
    Route("GET", "/v1/stats", _PUBLIC_EACH, lambda h: h.stats.everywhere,
          "compareNamespaces", query=("prefix", "window", "band"),
          answer=ref("RankedStatsList")),
    Route("POST", "/v1/stats", _PUBLIC_EACH, lambda h: h.bulk.stats,
          "getManyBoardStats", body=ref(BulkStatsRequest), answer=ref("BoardStatsList")),
    Route("GET", f"{_BOARD}/count", _PUBLIC, lambda h: h.questions.count,
          "countBoardUsers", answer=ref("BoardCount"), query=("category", *BOUNDS), has_etag=True),
    Route("GET", f"{_BOARD}/random", _PUBLIC, lambda h: h.questions.random,
          "sampleBoard", query=("n", *_ONE), answer=ref("BoardSample")),
    Route("GET", f"{_BOARD}/at/{{position}}", _PUBLIC, lambda h: h.questions.at,
          "getBoardRow", query=_ONE, answer=ref("BoardRow"), has_etag=True),
    Route("GET", f"{_BOARD}/percentile/{{percentile}}", _PUBLIC, lambda h: h.questions.percentile,
          "getScoreAtPercentile", answer=ref("PercentileScore"), query=_ONE, has_etag=True),
    Route("GET", f"{_BOARD}/rank-of/{{score}}", _PUBLIC, lambda h: h.questions.rank_of,
          "getRankOfScore", answer=ref("ScoreRank"), query=_ONE, has_etag=True),
    Route("POST", f"{_NAMESPACE}/totals", _PUBLIC, lambda h: h.totals.get,
          "getTotals", answer=ref("TotalsList"), body=ref(UsersRequest)),
    Route("POST", f"{_NAMESPACE}/ranks", _PUBLIC, lambda h: h.bulk.ranks,
          "rankUsers", body=ref(RanksRequest), answer=ref("UserBoards")),
    Route("POST", "/v1/boards", _PUBLIC_EACH, lambda h: h.bulk.boards,
          "getManyBoards", body=ref(BoardsRequest), answer=ref("BoardList")),
    Route("GET", f"{_NAMESPACE}/users", _PUBLIC, lambda h: h.search.get,
          "searchUsers", answer=ref("UserMatchList"), query=("q", *_PAGE)),
    Route("GET", _USER, _PUBLIC, lambda h: h.user_ranks.get, "getUserRanks", answer=ref("UserRanks"), has_etag=True),
    Route("PUT", _USER, _WRITE, lambda h: h.profiles.put_in,
          "putNamespaceProfile", answer=ref("UserNamespaceProfile"), body=ref(NamespaceProfile), statuses=_CHANGED),
    Route("POST", f"{_USER}/hide", _ADMIN, lambda h: h.users.hide_in,
          "hideUserInNamespace", answer=ref("UserVisibility"), statuses=_CHANGED),
    Route("POST", f"{_USER}/unhide", _ADMIN, lambda h: h.users.unhide_in,
          "unhideUserInNamespace", answer=ref("UserVisibility"), statuses=_CHANGED),
    Route("GET", f"{_USER}/grants", _READ, lambda h: h.grant_history.of_user,
          "listUserGrants", answer=ref("GrantList"), query=(*_RANGE, *_PAGE), has_csv=True),
    Route("GET", f"{_USER}/explain", _READ, lambda h: h.grant_history.explain,
          "explainScore", answer=ref("Explanation"), query=("window", *_PAGE)),
    Route("GET", f"{_USER}/activity", _PUBLIC, lambda h: h.activity.of_user,
          "getUserActivity", query=(*_RANGE, "by"), answer=ref("UserActivity")),
    Route("GET", f"{_NAMESPACE}/activity", _PUBLIC, lambda h: h.activity.of_all,
          "getNamespaceActivity", query=(*_RANGE, "by"), answer=ref("Activity")),
    Route("POST", f"{_NAMESPACE}/activity", _PUBLIC, lambda h: h.activity.of_users,
          "getManyUserActivity", body=ref(UserActivityRequest), answer=ref("UserActivityList")),
    Route("GET", f"{_NAMESPACE}/trends", _PUBLIC, lambda h: h.activity.trends,
          "getTrends", query=("bucket", *_RANGE, "limit", "cursor"), answer=list_of(ref("TrendBucket"))),
    Route("GET", _GRANT, _READ, lambda h: h.grant_history.get, "getGrant", answer=ref("GrantHistory")),
    Route("PATCH", _GRANT, _WRITE, lambda h: h.corrections.patch,  # `admin` with ?backfill=true
          "editGrant", query=("dry_run", "backfill", "ack"), body=ref(Edit), answer=_CORRECTED),
    Route("DELETE", _GRANT, _WRITE, lambda h: h.corrections.delete,
          "voidGrant", query=("dry_run", "reason", "revision", "ack"), answer=_CORRECTED),
    Route("POST", f"{_GRANT}/restore", _WRITE, lambda h: h.corrections.restore,
          "restoreGrant", query=("dry_run", "ack"), body=ref(VoidRequest), answer=_CORRECTED),
    Route("POST", f"{_NAMESPACE}/corrections", _WRITE, lambda h: h.corrections.many,
          "correctGrants", query=("backfill", "ack"), body=batch_of(Correction), answer=ref("CorrectionBatch")),
    Route("GET", f"{_NAMESPACE}/events", _READ, lambda h: h.events.get,
          "listEvents", query=("after", "type", "actor", "session_id", "limit"), answer=ref("EventList")),
    Route("GET", _NAMESPACE, _PUBLIC, lambda h: h.namespaces.get, "getNamespace", answer=ref("Namespace")),
    Route("PUT", _NAMESPACE, _ADMIN, lambda h: h.namespaces.put,
          "putNamespace", answer=ref("Namespace"), body=ref(Rules), statuses=_CREATED),
    Route("DELETE", _NAMESPACE, _ADMIN, lambda h: h.namespaces.delete,
          "deleteNamespace", query=("confirm",), statuses=("204",)),
    Route("PUT", f"{_NAMESPACE}/imports/{{import_id}}", _ADMIN, lambda h: h.import_leases.put,
          "putImportLease", answer=ref("ImportLease")),
    Route("DELETE", f"{_NAMESPACE}/imports/{{import_id}}", _ADMIN, lambda h: h.import_leases.delete,
          "deleteImportLease", statuses=("204",)),
    Route("GET", "/v1/namespaces", _PUBLIC_EACH, lambda h: h.namespaces.list,
          "listNamespaces", answer=ref("NamespaceList"), query=("prefix",)),
    Route("GET", "/v1/users/{user}", _READ_ALL, lambda h: h.profiles.get, "getUserProfile", answer=ref("UserProfile")),
    Route("PUT", "/v1/users/{user}", _WRITE_ALL, lambda h: h.profiles.put,
          "putUserProfile", answer=ref("UserProfile"), body=ref(Profile), statuses=_CHANGED),
    Route("DELETE", "/v1/users/{user}", _ADMIN_ALL, lambda h: h.users.erase,
          "eraseUser", answer=ref("Erasure"), statuses=("202", "204")),
    Route("POST", "/v1/users/{user}/hide", _ADMIN_ALL, lambda h: h.users.hide,
          "hideUser", answer=ref("UserVisibility"), statuses=_CHANGED),
    Route("POST", "/v1/users/{user}/unhide", _ADMIN_ALL, lambda h: h.users.unhide,
          "unhideUser", answer=ref("UserVisibility"), statuses=_CHANGED),
    Route("GET", "/v1/users/{user}/standings", _PUBLIC_EACH, lambda h: h.user_ranks.everywhere,
          "listUserStandings", answer=ref("StandingList"), query=_PAGE),
    Route("GET", "/v1/webhooks", _ADMIN_EACH, lambda h: h.webhooks.list,
          "listWebhooks", answer=ref("WebhookList")),
    Route("GET", _WEBHOOK, _ADMIN_EACH, lambda h: h.webhooks.get, "getWebhook", answer=ref("Webhook")),
    Route("PUT", _WEBHOOK, _ADMIN_EACH, lambda h: h.webhooks.put,
          "putWebhook", body=ref(WebhookRequest), answer=ref("Webhook"), statuses=_CREATED),
    Route("DELETE", _WEBHOOK, _ADMIN_EACH, lambda h: h.webhooks.delete, "deleteWebhook", statuses=("204",)),
    Route("GET", f"{_WEBHOOK}/deliveries", _ADMIN_EACH, lambda h: h.webhooks.deliveries,
          "listWebhookDeliveries", query=("state", *_PAGE), answer=ref("DeliveryList")),
    Route("POST", f"{_WEBHOOK}/resend", _ADMIN_EACH, lambda h: h.webhooks.resend,
          "resendWebhookMessages", body=ref(ResendRequest), answer=ref("MessageIds"),
          statuses=("202",)),
    Route("POST", "/v1/tokens", _WRITE_EACH, lambda h: h.tokens,  # and `read`
          "createToken", body=ref(TokenRequest), answer=ref("ClientToken"), statuses=("201",)),
    Route("GET", "/v1/keys", _ADMIN_ALL, lambda h: h.keys.list,
          "listKeys", query=_PAGE, answer=ref("ApiKeyList")),
    Route("POST", "/v1/keys", _ADMIN_ALL, lambda h: h.keys.post,
          "createKey", body=ref(KeyRequest), answer=ref("IssuedApiKey"), statuses=("201", "202")),
    Route("DELETE", _KEY, _ADMIN_ALL, lambda h: h.keys.delete,
          "revokeKey", query=("confirm",), statuses=("204",)),
    Route("POST", f"{_KEY}/rotate", _ADMIN_ALL, lambda h: h.keys.rotate,
          "rotateKey", body=ref(RotateRequest), answer=ref("IssuedApiKey"), statuses=_CHANGED),
    Route("GET", "/healthz", _ANYBODY, lambda h: h.health.alive, "getHealth", answer=ref("Alive")),
    Route("GET", "/readyz", _ANYBODY, lambda h: h.health.ready,
          "getReadiness", answer=ref("Readiness"), statuses=("200", "503")),
    Route("GET", "/metrics", _ANYBODY, lambda h: h.health.metrics, "getMetrics", is_described=False),
    Route("GET", "/openapi.json", _ANYBODY, lambda h: h.openapi, "getOpenapi", has_etag=True,
          is_described=False),
    Route("GET", "/asyncapi.json", _ANYBODY, lambda h: h.asyncapi, "getAsyncapi", has_etag=True,
          is_described=False),
    Route("GET", "/", _ANYBODY, lambda h: h.page, "getPage", is_described=False),
    Route("GET", "/wall/{namespace}/{window}", _ANYBODY, lambda h: h.wall, "getWall", is_described=False),
    Route("GET", "/docs", _ANYBODY, lambda h: h.docs, "getDocs", is_described=False),
    Route("GET", "/console", _ANYBODY, lambda h: h.console, "getConsole", is_described=False),
)
# fmt: on
