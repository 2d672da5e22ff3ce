"""`GET …/boards/{window}/events`: a board, and then each change of it, as Server-Sent Events."""

from urllib.parse import parse_qsl

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from ..access.client import address_of
from ..access.guard import no_key, principal_of, readable_namespace
from ..access.keys import ANONYMOUS, Keyring
from ..http.answer_stream import StreamProtocol
from ..http.bodies import check_names, header, int_of
from ..http.connections import CONNECTION
from ..model.errors import Invalid
from ..model.text import check_label
from ..model.views import Around, Top, Users
from ..store.namespace_cache import NamespaceCache
from .event_stream import EventStream
from .hub import Hub
from .live_server import LiveServer
from .protocol import Resume
from .subscriber import Subscriber, Viewer
from .views import RADIUS_MAX, TOP_MAX, LiveView, StatsView, check_view

MEDIA_TYPE = "text/event-stream"
QUERY = ("limit", "around", "radius", "user", "stats", "category")
#: Which parameters go with the one that chooses the view; `limit` chooses the first rows, as none does.
_VIEWS = {"user": {"user"}, "around": {"around", "radius"}, "stats": {"stats"}, "limit": {"limit"}}
_HEADERS = {
    "Cache-Control": "no-store",
    "X-Accel-Buffering": "no",  # nginx would wait until its buffer is full.
    "Connection": "close",
}


class EventStreamHandler:
    """Makes event streams. They count as live connections, beside WebSockets."""

    def __init__(self, *, hub: Hub, live: LiveServer, namespace_cache: NamespaceCache, keyring: Keyring) -> None:
        self._hub = hub
        self._live = live
        self._namespace_cache = namespace_cache
        self._keyring = keyring

    async def get(self, scope: Scope) -> Response:
        """For a request's scope with its `path_params`. The problems of a board read, as long as nothing is sent; later
        ones are events. HEAD: the head alone."""
        view, category = parse_query(scope["query_string"])
        params = scope["path_params"]
        principal = await principal_of(scope, self._keyring)
        await readable_namespace(principal, self._namespace_cache, params["namespace"])
        viewer = Viewer(self._keyring, address_of(scope), no_key().detail)
        if principal is not ANONYMOUS:
            await viewer.enter(header(scope, b"authorization").partition(" ")[2])
        connection: StreamProtocol = scope["state"][CONNECTION]
        connection.check_stream()
        subscriber = Subscriber(0, viewer, params["window"], Resume.of_event_id(header(scope, b"last-event-id")))
        answer = _EventAnswer(self._hub, self._live, subscriber)
        await answer.subscribe(params["namespace"], window=params["window"], view=view, category=category)
        if scope["method"] == "HEAD":
            answer.release()
            return Response(None, 200, _HEADERS, MEDIA_TYPE)
        return answer


class _EventAnswer(Response):
    """The head of a stream, which becomes one once the head is sent."""

    def __init__(self, hub: Hub, live: LiveServer, subscriber: Subscriber) -> None:
        super().__init__(None, 200, _HEADERS, MEDIA_TYPE)
        del self.headers["content-length"]
        self._hub = hub
        self._live = live
        self._subscriber = subscriber

    async def subscribe(self, name: str, *, window: str, view: LiveView, category: str | None) -> None:
        """Counts the stream and subscribes. RateLimited and the problems of a board read."""
        self._live.quota.take(self._subscriber.owner)
        self._hub.viewers.add(self._subscriber.viewer)
        try:
            await self._hub.subscribe(
                self._subscriber, name, window, view, category=category, fields=("{window}", "?category")
            )
        except BaseException:
            self.release()
            raise

    def release(self) -> None:
        """Ends what `subscribe` began."""
        self._hub.unsubscribe(self._subscriber)
        self._hub.viewers.discard(self._subscriber.viewer)
        self._live.quota.give_back(self._subscriber.owner)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Sends the head and hands the connection over: the request's task ends here, the answer does not."""
        try:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            await send({"type": "http.response.body", "body": b"", "more_body": True})
            connection: StreamProtocol = scope["state"][CONNECTION]
            stream = connection.begin_stream()
        except BaseException:
            self.release()
            raise
        if stream is None:
            self.release()
            return
        self._live.stream(
            EventStream(
                stream,
                self._subscriber,
                hub=self._hub,
                sweep=self._live.sweep,
                send_s_max=self._live.limits.send_s_max,
                release=self.release,
            )
        )


def parse_query(query_string: bytes) -> tuple[LiveView, str | None]:
    """The view and the category that a query asks for. Invalid."""
    pairs = parse_qsl(query_string.decode("latin-1"), keep_blank_values=True) if query_string else []
    params = dict(pairs)
    check_names(params, *QUERY)
    category = params.pop("category", None)
    if category is not None:
        check_label(category, "?category")
    kind = next((name for name in ("user", "around", "stats") if name in params), "limit")
    for name in params:
        if name not in _VIEWS[kind]:
            raise Invalid(f"cannot be combined with {kind}" if kind in params else "needs around", field=f"?{name}")
    match kind:
        case "user":
            view: LiveView = Users(tuple(value for name, value in pairs if name == "user"))
        case "around":
            view = Around(params["around"], int_of(params, "radius", 5, low=0, high=RADIUS_MAX))
        case "stats":
            if params["stats"] not in ("", "true"):
                raise Invalid("must be true", field="?stats")
            view = StatsView()
        case _:
            view = Top(int_of(params, "limit", 10, low=1, high=TOP_MAX))
    return check_view(view, is_query=True), category
