"""What we use of uvicorn and websockets that they do not promise. A new version: read what changed, then pin it."""

import inspect
import re
import threading
from pathlib import Path
from typing import Any

import uvicorn
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.supervisors.multiprocess import Multiprocess
from websockets.protocol import State
from websockets.server import ServerProtocol
from websockets.version import version as websockets_version

from app.live.protocol import websocket_bytes
from app.server import UVICORN, WORKER_ANSWER_S_MAX

HTTP_METHODS = {
    *("connection_made", "connection_lost", "data_received", "pause_writing", "resume_writing"),
    *("on_message_begin", "on_url", "on_header", "on_headers_complete", "on_body", "on_message_complete"),
    *("on_response_complete", "handle_websocket_upgrade", "_should_upgrade", "_start_asgi_task", "shutdown"),
}
HTTP_FIELDS = {
    *("parser", "app_state", "server_state", "transport", "flow", "pipeline", "headers", "cycle", "loop", "url"),
}
CYCLE_FIELDS = {
    *("response_complete", "response_started", "disconnected", "message_event", "on_response", "scope", "transport"),
    *("flow", "keep_alive", "body", "more_body", "waiting_for_100_continue", "chunked_encoding"),
    "expected_content_length",
}
SOCKET_METHODS = {
    *("connection_made", "connection_lost", "data_received", "pause_writing", "resume_writing", "shutdown"),
    *("handle_events", "handle_cont", "handle_parser_exception", "stop_keepalive", "receive", "send"),
}
SOCKET_FIELDS = {
    *("conn", "queue", "frames", "transport", "loop", "app_state", "handshake_initiated", "handshake_complete"),
    *("close_sent", "close_timer", "close_timeout", "read_paused", "request", "response", "scope"),
}
CONN = {"events", "parser_exc", "receive_data", "send_close", "data_to_send"}


def fields(kind: type) -> set[str]:
    return set(re.findall(r"self\.(\w+)(?:: [^=\n]+)? = ", inspect.getsource(kind)))


def test_the_versions_are_those_that_were_read() -> None:
    project = Path("pyproject.toml").read_text()
    assert '"uvicorn>=0.54,<0.55"' in project
    assert '"websockets>=17,<18"' in project
    assert uvicorn.__version__.startswith("0.54.")
    assert websockets_version.startswith("17.")


def test_what_we_override_and_read_is_there() -> None:
    assert set(dir(HttpToolsProtocol)) >= HTTP_METHODS
    assert fields(HttpToolsProtocol) >= HTTP_FIELDS
    assert fields(RequestResponseCycle) >= CYCLE_FIELDS
    assert set(dir(WebSocketsSansIOProtocol)) >= SOCKET_METHODS
    assert fields(WebSocketsSansIOProtocol) >= SOCKET_FIELDS
    assert vars(ServerProtocol()).keys() | set(dir(ServerProtocol)) >= CONN


def test_a_frame_may_pass_by_what_websockets_remembers() -> None:
    """`LiveProtocol.push` writes whole frames itself: that is right only without compression, and if nothing of a frame
    waits in the library."""
    assert UVICORN["ws_per_message_deflate"] is False
    config = Config("app:app", **UVICORN)
    assert isinstance(config.ws, type)
    conn = ServerProtocol()
    conn.state = State.OPEN
    conn.send_text(b"whole")
    assert b"".join(conn.data_to_send()) == websocket_bytes(b"whole", packed=False)
    assert not conn.data_to_send()


def test_a_busy_worker_is_not_killed_before_its_time() -> None:
    """uvicorn's own bound is 5 s, in which a machine with many workers does not start them."""
    times: list[float] = []

    class Worker:
        def is_alive(self, timeout: float) -> bool:
            times.append(timeout)
            return True

    supervisor: Any = Multiprocess.__new__(Multiprocess)
    supervisor.config, supervisor.should_exit = Config("app:app", workers=2, **UVICORN), threading.Event()
    supervisor.processes = [Worker(), Worker()]
    supervisor.keep_subprocess_alive()
    assert times == [WORKER_ANSWER_S_MAX] * 2
