"""Every route, in one table. Starlette's routes, the fast path, OpenAPI and the test of rights are made from it."""

import re
from collections.abc import Callable
from typing import Literal, NamedTuple

from starlette.types import ASGIApp

from .admin.key_handlers import KeyRequest, RotateRequest
from .admin.token_handlers import TokenRequest
from .endpoints import Endpoint, ScopeEndpoint
from .handlers import Handlers
from .model.correction import Edit
from .model.grant import Grant, NamedGrant
from .model.namespace import Rules
from .model.profile import NamespaceProfile, Profile
from .model.webhook import WebhookRequest
from .read.activity import UserActivityRequest
from .read.bulk import BoardsRequest, BulkStatsRequest, RanksRequest
from .read.includes import FullEntry
from .read.score_bounds import BOUNDS
from .read.totals import UsersRequest
from .schemas import (
    ACTIVITY,
    BOARD_STATS,
    DELIVERIES,
    EVENT_LIST,
    KEYS,
    NAMESPACE,
    OBJECT,
    RANKED_STATS,
    RECEIPTS,
    STATS,
    TRENDS,
    USERS_ACTIVITY,
    Schema,
    batch_of,
    list_of,
    object_of,
    one_or_batch,
    ref,
)
from .webhooks.handlers import ResendRequest
from .write.correction_handlers import Correction, VoidRequest
from .write.receipts import CorrectionReceipt


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

    handler: a function of a Request, or an object that is an ASGI application. query: names of its parameters.
    answer: the schema of every status but 204, which has no body. has_etag: whether it takes If-None-Match.
    has_csv: whether it answers text/csv, too. is_hot: the fast path answers it, so the handler is an ASGI application.
    is_described: whether OpenAPI names it. is_stream: it answers text/event-stream, without an end.
    """

    method: str
    path: str
    required: RequiredScope
    handler: Callable[[Handlers], Endpoint | ASGIApp]
    summary: str
    query: tuple[str, ...] = ()
    body: Schema | None = None
    answer: Schema = OBJECT
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
_BOARDS = object_of(boards=list_of(ref("Board")))
_CREATED = ("200", "201")
# 202: a change is recorded, and the boards follow.
_CHANGED = ("200", "202")

#: The busiest routes come first, because the router tries them in this order.
# fmt: off
ROUTES = (
    Route("POST", f"{_NAMESPACE}/grants", _WRITE, lambda h: h.grants,  # `admin` with ?backfill=true
          "Grant points", query=("rank", "backfill", "dry_run", "ack"), body=one_or_batch(Grant), answer=RECEIPTS,
          statuses=_CREATED, is_hot=True),
    Route("GET", _BOARD, _PUBLIC, lambda h: ScopeEndpoint(h.boards.get),
          "A board", query=_BOARD_QUERY, answer=ref("Board"), has_etag=True, has_csv=True, is_hot=True),
    Route("GET", f"{_NAMESPACE}/grants", _WRITE, lambda h: h.grant_lists.get,
          "Grants that count, in quarantine, or of one source",
          query=("state", "source", "source_id", *_RANGE, *_PAGE), has_csv=True),
    Route("POST", "/v1/grants", _WRITE_EACH, lambda h: h.grants,  # `admin` with ?backfill=true
          "Grant across namespaces", query=("atomic", "rank", "backfill", "dry_run", "ack"),
          body=one_or_batch(NamedGrant), answer=RECEIPTS, statuses=_CREATED),
    Route("GET", f"{_BOARD}/stats", _PUBLIC, lambda h: h.stats.get,
          "Its statistics", query=("category", *BOUNDS, "histogram", "percentiles", "interpolate"),
          answer=BOARD_STATS, has_etag=True),
    Route("GET", f"{_BOARD}/events", _PUBLIC, lambda h: ScopeEndpoint(h.event_streams.get),
          "The board, and then each change of it, as Server-Sent Events",
          query=("limit", "around", "radius", "user", "stats", "category"), is_stream=True),
    Route("GET", "/v1/stats", _PUBLIC_EACH, lambda h: h.stats.everywhere,
          "The statistics of many namespaces", query=("prefix", "window", "band"),
          answer=object_of(namespaces=list_of(RANKED_STATS))),
    Route("POST", "/v1/stats", _PUBLIC_EACH, lambda h: h.bulk.stats,
          "The statistics of many boards", body=ref(BulkStatsRequest), answer=object_of(boards=list_of(STATS))),
    Route("GET", f"{_BOARD}/count", _PUBLIC, lambda h: h.questions.count,
          "How many", query=("category", *BOUNDS), has_etag=True),
    Route("GET", f"{_BOARD}/random", _PUBLIC, lambda h: h.questions.random,
          "Some by chance", query=("n", *_ONE), answer=ref("Board")),
    Route("GET", f"{_BOARD}/at/{{position}}", _PUBLIC, lambda h: h.questions.at,
          "Who stands there", query=_ONE, answer=ref(FullEntry), has_etag=True),
    Route("GET", f"{_BOARD}/percentile/{{percentile}}", _PUBLIC, lambda h: h.questions.percentile,
          "The score there", query=_ONE, has_etag=True),
    Route("GET", f"{_BOARD}/rank-of/{{score}}", _PUBLIC, lambda h: h.questions.rank_of,
          "A score's rank", query=_ONE, has_etag=True),
    Route("POST", f"{_NAMESPACE}/totals", _PUBLIC, lambda h: h.totals.get,
          "What many users have", body=ref(UsersRequest)),
    Route("POST", f"{_NAMESPACE}/ranks", _PUBLIC, lambda h: h.bulk.ranks,
          "Many users on many boards", body=ref(RanksRequest), answer=_BOARDS),
    Route("POST", "/v1/boards", _PUBLIC_EACH, lambda h: h.bulk.boards,
          "Stretches of many boards", body=ref(BoardsRequest), answer=_BOARDS),
    Route("GET", f"{_NAMESPACE}/users", _PUBLIC, lambda h: h.search.get,
          "Users by the beginning of an id or a name", query=("q", *_PAGE)),
    Route("GET", _USER, _PUBLIC, lambda h: h.user_ranks.get, "Where a user stands", has_etag=True),
    Route("PUT", _USER, _WRITE, lambda h: h.profiles.put_in,
          "What they are called there", body=ref(NamespaceProfile), statuses=_CHANGED),
    Route("POST", f"{_USER}/hide", _ADMIN, lambda h: h.users.hide_in, "Take a user off its boards", statuses=_CHANGED),
    Route("POST", f"{_USER}/unhide", _ADMIN, lambda h: h.users.unhide_in, "Show them there again", statuses=_CHANGED),
    Route("GET", f"{_USER}/grants", _READ, lambda h: h.grant_history.of_user,
          "A user's grants", query=(*_RANGE, *_PAGE), has_csv=True),
    Route("GET", f"{_USER}/explain", _READ, lambda h: h.grant_history.explain,
          "Why a score is what it is", query=("window", *_PAGE)),
    Route("GET", f"{_USER}/activity", _PUBLIC, lambda h: h.activity.of_user,
          "Their grants by time", query=(*_RANGE, "by"), answer=ACTIVITY),
    Route("GET", f"{_NAMESPACE}/activity", _PUBLIC, lambda h: h.activity.of_all,
          "All grants by time", query=(*_RANGE, "by"), answer=ACTIVITY),
    Route("POST", f"{_NAMESPACE}/activity", _PUBLIC, lambda h: h.activity.of_users,
          "Many users' grants by time", body=ref(UserActivityRequest), answer=USERS_ACTIVITY),
    Route("GET", f"{_NAMESPACE}/trends", _PUBLIC, lambda h: h.activity.trends,
          "Hours or days, bucket by bucket", query=("bucket", *_RANGE, "limit", "cursor"), answer=TRENDS),
    Route("GET", _GRANT, _READ, lambda h: h.grant_history.get, "One grant, from the ledger"),
    Route("PATCH", _GRANT, _WRITE, lambda h: h.corrections.patch,  # `admin` with ?backfill=true
          "Edit it", query=("dry_run", "backfill", "ack"), body=ref(Edit), answer=ref(CorrectionReceipt)),
    Route("DELETE", _GRANT, _WRITE, lambda h: h.corrections.delete,
          "Void it", query=("dry_run", "reason", "revision", "ack"), answer=ref(CorrectionReceipt)),
    Route("POST", f"{_GRANT}/restore", _WRITE, lambda h: h.corrections.restore,
          "Restore it", query=("dry_run", "ack"), body=ref(VoidRequest), answer=ref(CorrectionReceipt)),
    Route("POST", f"{_NAMESPACE}/corrections", _WRITE, lambda h: h.corrections.many,
          "Correct many", query=("backfill", "ack"), body=batch_of(Correction), answer=ref("Batch")),
    Route("GET", f"{_NAMESPACE}/events", _READ, lambda h: h.events.get,
          "What happened", query=("after", "type", "actor", "session_id", "limit"), answer=EVENT_LIST),
    Route("GET", _NAMESPACE, _PUBLIC, lambda h: h.namespaces.get, "Its rules", answer=NAMESPACE),
    Route("PUT", _NAMESPACE, _ADMIN, lambda h: h.namespaces.put,
          "Create or change", body=ref(Rules), statuses=_CREATED),
    Route("DELETE", _NAMESPACE, _ADMIN, lambda h: h.namespaces.delete, "Delete", query=("confirm",), statuses=("204",)),
    Route("PUT", f"{_NAMESPACE}/imports/{{import_id}}", _ADMIN, lambda h: h.import_leases.put,
          "Keep its windows open while something is imported"),
    Route("DELETE", f"{_NAMESPACE}/imports/{{import_id}}", _ADMIN, lambda h: h.import_leases.delete,
          "Let them be closed again", statuses=("204",)),
    Route("GET", "/v1/namespaces", _PUBLIC_EACH, lambda h: h.namespaces.list,
          "The namespaces that the key may read", query=("prefix",)),
    Route("GET", "/v1/users/{user}", _READ_ALL, lambda h: h.profiles.get, "A user's profile"),
    Route("PUT", "/v1/users/{user}", _WRITE_ALL, lambda h: h.profiles.put,
          "Replace it", body=ref(Profile), statuses=_CHANGED),
    Route("DELETE", "/v1/users/{user}", _ADMIN_ALL, lambda h: h.users.erase, "Erase a user", statuses=("202", "204")),
    Route("POST", "/v1/users/{user}/hide", _ADMIN_ALL, lambda h: h.users.hide,
          "Take a user off every board", statuses=_CHANGED),
    Route("POST", "/v1/users/{user}/unhide", _ADMIN_ALL, lambda h: h.users.unhide,
          "Show them again", statuses=_CHANGED),
    Route("GET", "/v1/users/{user}/standings", _PUBLIC_EACH, lambda h: h.user_ranks.everywhere,
          "Where a user stands everywhere", query=_PAGE),
    Route("GET", "/v1/webhooks", _ADMIN_EACH, lambda h: h.webhooks.list,
          "The webhooks whose namespaces the key covers", answer=object_of(webhooks=list_of(ref("Webhook")))),
    Route("GET", _WEBHOOK, _ADMIN_EACH, lambda h: h.webhooks.get, "One webhook", answer=ref("Webhook")),
    Route("PUT", _WEBHOOK, _ADMIN_EACH, lambda h: h.webhooks.put,
          "Have events sent to a URL", body=ref(WebhookRequest), answer=ref("Webhook"), statuses=_CREATED),
    Route("DELETE", _WEBHOOK, _ADMIN_EACH, lambda h: h.webhooks.delete, "End that", statuses=("204",)),
    Route("GET", f"{_WEBHOOK}/deliveries", _ADMIN_EACH, lambda h: h.webhooks.deliveries,
          "What was sent", query=("state", *_PAGE), answer=DELIVERIES),
    Route("POST", f"{_WEBHOOK}/resend", _ADMIN_EACH, lambda h: h.webhooks.resend,
          "Send it once more", body=ref(ResendRequest), answer=object_of(message_ids=list_of({"type": "string"})),
          statuses=("202",)),
    Route("POST", "/v1/tokens", _WRITE_EACH, lambda h: h.tokens,  # and `read`
          "A client token for a user", body=ref(TokenRequest), answer=ref("ClientToken"), statuses=("201",)),
    Route("GET", "/v1/keys", _ADMIN_ALL, lambda h: h.keys.list,
          "The API keys, revoked ones too, without their secrets", query=_PAGE, answer=KEYS),
    Route("POST", "/v1/keys", _ADMIN_ALL, lambda h: h.keys.post,
          "An API key, which is shown once", body=ref(KeyRequest), answer=ref("NewKey"), statuses=("201", "202")),
    Route("DELETE", _KEY, _ADMIN_ALL, lambda h: h.keys.delete,
          "Revoke it, for good", query=("confirm",), statuses=("204",)),
    Route("POST", f"{_KEY}/rotate", _ADMIN_ALL, lambda h: h.keys.rotate,
          "A new secret for it, which is shown once", body=ref(RotateRequest), answer=ref("NewKey"), statuses=_CHANGED),
    Route("GET", "/healthz", _ANYBODY, lambda h: h.health.alive, "The process is up"),
    Route("GET", "/readyz", _ANYBODY, lambda h: h.health.ready, "Writes are taken", statuses=("200", "503")),
    Route("GET", "/metrics", _ANYBODY, lambda h: h.health.metrics, "What Prometheus reads", is_described=False),
    Route("GET", "/openapi.json", _ANYBODY, lambda h: h.openapi, "This document", has_etag=True,
          is_described=False),
    Route("GET", "/asyncapi.json", _ANYBODY, lambda h: h.asyncapi, "What is live, as AsyncAPI", has_etag=True,
          is_described=False),
    Route("GET", "/", _ANYBODY, lambda h: h.page, "A page that shows boards", is_described=False),
    Route("GET", "/wall/{namespace}/{window}", _ANYBODY, lambda h: h.wall, "A board for a screen on a wall",
          is_described=False),
    Route("GET", "/docs", _ANYBODY, lambda h: h.docs, "A page that shows these calls", is_described=False),
    Route("GET", "/console", _ANYBODY, lambda h: h.console, "A page for moderators and operators", is_described=False),
)
# fmt: on
