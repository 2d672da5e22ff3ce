"""Clients that keep to no rule: they send what a test says, byte by byte or without an end, and may not read."""

import base64
import json
import os
import re
import socket
from pathlib import Path
from typing import Any

ANSWER_S_MAX = 20.0


class Raw:
    """A connection. receive_bytes: the size of the kernel's receive buffer, for a client that does not read; source: an
    address of this machine, `127.x.y.z`."""

    def __init__(self, port: int, receive_bytes: int | None = None, *, source: str | None = None) -> None:
        self.socket = socket.socket()
        if receive_bytes is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        self.socket.settimeout(ANSWER_S_MAX)
        if source is not None:
            self.socket.bind((source, 0))
        self.socket.connect(("127.0.0.1", port))
        self.heard = b""

    def send(self, data: bytes) -> bool:
        """False where the server has closed the connection."""
        try:
            self.socket.sendall(data)
        except (ConnectionError, TimeoutError):
            return False
        return True

    def hear(self, until: bytes) -> bytes:
        """What comes up to and with a mark, or until the end."""
        while until not in self.heard:
            try:
                data = self.socket.recv(65_536)
            except ConnectionError:
                data = b""
            if not data:
                break
            self.heard += data
        part, mark, self.heard = self.heard.partition(until)
        return part + mark

    def end(self) -> bytes:
        """All that comes until the server closes. TimeoutError where it does not."""
        while True:
            try:
                data = self.socket.recv(65_536)
            except ConnectionError:
                data = b""
            if not data:
                return self.heard
            self.heard += data

    def problem(self) -> tuple[int, str]:
        """Status and code of the last answer, behind which the connection is closed."""
        reply = self.end()
        *_, head, body = reply.rsplit(b"\r\n\r\n", 1)
        statuses = re.findall(rb"HTTP/1\.1 (\d+) ", reply)
        assert b"connection: close" in head.lower()
        return int(statuses[-1]), json.loads(body)["code"]

    def answer(self) -> tuple[int, bytes]:
        """Status and body of an answer with a content-length."""
        head = self.hear(b"\r\n\r\n")
        size = int(re.findall(rb"content-length: (\d+)", head.lower())[0])
        while len(self.heard) < size:
            data = self.socket.recv(65_536)
            assert data, "the answer is cut"
            self.heard += data
        body, self.heard = self.heard[:size], self.heard[size:]
        return int(head.split(b" ", 2)[1]), body

    def is_open(self, seconds: float = 0.0) -> bool:
        """Whether the server has not closed it, seen for so long."""
        self.socket.settimeout(seconds or 0.001)
        try:
            data = self.socket.recv(65_536)
        except TimeoutError:
            return True
        except ConnectionError:
            return False
        finally:
            self.socket.settimeout(ANSWER_S_MAX)
        self.heard += data
        return bool(data)

    def close(self) -> None:
        self.socket.close()

    def __enter__(self) -> "Raw":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def head(path: str, method: str = "GET", **fields: str) -> bytes:
    """A request's head."""
    lines = [f"{method} {path} HTTP/1.1", "host: x", *(f"{k.replace('_', '-')}: {v}" for k, v in fields.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def upgrade(raw: Raw, path: str = "/v1/live") -> None:
    """Makes a WebSocket of a connection."""
    key = base64.b64encode(os.urandom(16)).decode()
    fields = {"upgrade": "websocket", "connection": "Upgrade", "sec_websocket_version": "13", "sec_websocket_key": key}
    raw.send(head(path, **fields))
    assert b" 101 " in raw.hear(b"\r\n\r\n")


def frame(opcode: int, payload: bytes = b"", *, fin: bool = True) -> bytes:
    """A client's frame, masked with zeros."""
    size = len(payload)
    length = bytes([0x80 | size]) if size < 126 else b"\xfe" + size.to_bytes(2, "big")
    return bytes([(0x80 if fin else 0) | opcode]) + length + bytes(4) + payload


def say(raw: Raw, **message: Any) -> None:
    """A text message."""
    raw.send(frame(1, json.dumps(message).encode()))


def close_code(data: bytes) -> int | None:
    """The code of the close frame among a server's frames."""
    while data:
        opcode, size = data[0] & 15, data[1]
        start = 2
        if size == 126:
            size, start = int.from_bytes(data[2:4], "big"), 4
        elif size == 127:
            size, start = int.from_bytes(data[2:10], "big"), 10
        if opcode == 8:
            return int.from_bytes(data[start : start + 2], "big")
        data = data[start + size :]
    return None


def resident_bytes(pid: int) -> int:
    """The memory that a process holds."""
    match = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert match
    return int(match[1]) * 1024


def server_sockets(port: int, peers: set[int]) -> dict[int, tuple[str, int]]:
    """The server's ends of connections from some local ports: state and bytes that the peer has not taken."""
    peers_by_socket = {}
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        _, local, remote, state, queues, *_ = line.split()
        if int(local.split(":")[1], 16) == port and int(remote.split(":")[1], 16) in peers:
            peers_by_socket[int(remote.split(":")[1], 16)] = state, int(queues.split(":")[0], 16)
    return peers_by_socket
