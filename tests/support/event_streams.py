"""A client of an event stream, over a plain socket: it reads what it wants, when it wants."""

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple


class Event(NamedTuple):
    """One event. event_id: its id, which stays that of an earlier event if it has none. fields: its lines, `data` not
    among them."""

    kind: str
    event_id: str
    body: dict[str, Any]
    retry_ms: int | None
    fields: dict[str, str]


class EventReader:
    """Reads the events of an answer. status and fields: of its head; over: whether its body has ended."""

    def __init__(self, sock: socket.socket, *, is_chunked: bool = True) -> None:
        self.sock = sock
        self.event_id = ""
        self.over = False
        self._is_chunked = is_chunked
        self._raw, self._text = b"", b""
        head = self._until(b"\r\n\r\n").decode().split("\r\n")
        self.status = int(head[0].split()[1])
        self.fields = {name.lower(): value for name, value in (line.split(": ", 1) for line in head[1:] if line)}

    def next(self) -> Event:
        """The next event. EOFError: the stream is over."""
        while b"\n\n" not in self._text:
            self._text += self._piece()
        text, _, self._text = self._text.partition(b"\n\n")
        fields = dict(line.split(": ", 1) for line in text.decode().split("\n"))
        self.event_id = fields.get("id", self.event_id)
        retry = fields.get("retry")
        body = json.loads(fields.pop("data"))
        assert fields["event"] == body["type"]
        return Event(fields["event"], self.event_id, body, None if retry is None else int(retry), fields)

    def rest(self) -> bytes:
        """What an answer of a known length has for its body."""
        size = int(self.fields["content-length"])
        while len(self._raw) < size:
            self._raw += self._received()
        return self._raw

    def _piece(self) -> bytes:
        if not self._is_chunked:
            piece, self._raw = self._raw or self._received(), b""
            return piece
        size = int(self._until(b"\r\n"), 16)
        while len(self._raw) < size + 2:
            self._raw += self._received()
        piece, self._raw = self._raw[:size], self._raw[size + 2 :]
        if not size:
            self.over = True
            raise EOFError
        return piece

    def _until(self, end: bytes) -> bytes:
        while end not in self._raw:
            self._raw += self._received()
        head, _, self._raw = self._raw.partition(end)
        return head

    def _received(self) -> bytes:
        data = self.sock.recv(65_536)
        if not data:
            self.over = True
            raise EOFError
        return data


@contextmanager
def events(
    port: int, path: str, *, version: str = "1.1", method: str = "GET", **fields: str | None
) -> Iterator[EventReader]:
    """Asks for a stream. path: below /v1/namespaces; fields: of the head, `_` for `-`."""
    lines = [f"{method} /v1/namespaces/{path} HTTP/{version}", "Host: x"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in fields.items() if value is not None]
    with socket.create_connection(("127.0.0.1", port), timeout=5) as sock:
        sock.sendall("\r\n".join([*lines, "", ""]).encode())
        yield EventReader(sock, is_chunked=version == "1.1")


def applied(state: dict[str, Any], body: dict[str, Any]) -> dict[str, Any]:
    """The entries by user after a frame."""
    if body["type"] == "snapshot":
        return {entry["user_id"]: entry for entry in body["entries"]}
    others = {user: entry for user, entry in state.items() if user not in body["remove"]}
    return others | {entry["user_id"]: entry for entry in body["upsert"]}


def in_order(state: dict[str, Any]) -> list[dict[str, Any]]:
    """The entries as a read lists them."""
    return sorted(state.values(), key=lambda entry: entry["position"])
