"""A receiver of webhooks on loopback that does what a test says: it answers, fails, hangs, ends."""

import json
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, NamedTuple, Self

from standardwebhooks import Webhook


class Delivery(NamedTuple):
    """One request, as it came."""

    headers: dict[str, str]
    body: bytes
    at: float

    @property
    def message_id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def message(self) -> dict[str, Any]:
        return dict(json.loads(self.body))

    def verify(self, secret: str) -> dict[str, Any]:
        """The message, if the library of Standard Webhooks finds its signature right."""
        return dict(Webhook(secret).verify(self.body, self.headers))


Behaviour = Callable[[BaseHTTPRequestHandler], None]


def status(code: int, **headers: str) -> Behaviour:
    """Answers a status, without a body."""

    def behave(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(code)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("content-length", "0")
        handler.end_headers()

    return behave


def slow(seconds: float) -> Behaviour:
    """Answers 204 after a while."""

    def behave(handler: BaseHTTPRequestHandler) -> None:
        time.sleep(seconds)
        status(204)(handler)

    return behave


def endless(code: int) -> Behaviour:
    """Answers a status with a body that never ends."""

    def behave(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(code)
        handler.end_headers()
        while True:
            handler.wfile.write(b"x" * 65_536)

    return behave


def hang_up(handler: BaseHTTPRequestHandler) -> None:
    """Closes at once."""
    handler.close_connection = True


class Receiver:
    """Listens on a port of its own. behave: how it answers now; deliveries: all that came, in order."""

    def __init__(self, port: int = 0) -> None:
        self.behave: Behaviour = status(204)
        self.deliveries: list[Delivery] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                headers = {name.lower(): value for name, value in self.headers.items()}
                receiver.deliveries.append(Delivery(headers, body, time.monotonic()))
                try:
                    receiver.behave(self)
                except OSError:
                    pass  # The sender has hung up.

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def messages(self) -> list[dict[str, Any]]:
        return [delivery.message for delivery in self.deliveries]

    def grant_ids(self) -> list[str]:
        """Of the messages about grants, in the order in which they came."""
        return [message["data"]["grant_id"] for message in self.messages]
