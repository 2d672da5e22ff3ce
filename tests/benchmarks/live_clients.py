"""Clients of `live` in a process of their own, as cheap as they can be: raw bytes on uvloop, frames counted by heads.

Each line on standard input is a command; each is answered by one line of JSON. Times are seconds of the machine's
monotonic clock, which all processes share.
"""

import asyncio
import json
import socket
import struct
import sys
import time
from collections import deque
from typing import Any, cast

import uvloop

#: Seconds in which a socket must have its first frame.
FIRST_S_MAX = 60.0
#: Handshakes that are on their way at a time.
CONNECTING_MAX = 50
_CLOSE, _PING = 8, 9


def message(body: Any) -> bytes:
    """A client's text frame; its mask is all zeros."""
    data = json.dumps(body).encode()
    size = bytes([0x80 | len(data)]) if len(data) < 126 else b"\xfe" + struct.pack(">H", len(data))
    return b"\x81" + size + bytes(4) + data


class Client(asyncio.Protocol):
    """One socket. first: done with the moment of the first state, or with None where the server closed before it."""

    frames = 0
    size = 0
    closed = 0

    def __init__(self, port: int, messages: list[Any], is_deaf: bool, sample: deque[Any] | None) -> None:
        self._port = port
        self._messages = messages
        self._is_deaf = is_deaf
        self._sample = sample
        self._buffer = b""
        self._upgraded = False
        self.first: asyncio.Future[float | None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        head = f"GET /v1/live HTTP/1.1\r\nHost: 127.0.0.1:{self._port}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        head += "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
        self.transport.write(head.encode())

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.first.done():
            self.first.set_result(None)

    def data_received(self, data: bytes) -> None:
        data = self._buffer + data if self._buffer else data
        if not self._upgraded:
            _, end, data = data.partition(b"\r\n\r\n")
            if not end:
                self._buffer = data
                return
            self._upgraded = True
            self.transport.write(b"".join(map(message, self._messages)))
        at, size = 0, len(data)
        while size - at >= 2:
            long, begin = data[at + 1], at + 2
            if long == 126:
                if size - at < 4:
                    break
                long, begin = data[at + 2] << 8 | data[at + 3], at + 4
            elif long == 127:
                if size - at < 10:
                    break
                long, begin = int.from_bytes(data[at + 2 : at + 10], "big"), at + 10
            if size - begin < long:
                break
            if data[at] & 15 == _CLOSE:
                Client.closed += 1
            elif data[at] & 15 == _PING:
                self.transport.write(bytes([0x8A, 0x80 | long]) + bytes(4) + data[begin : begin + long])
            else:
                self._take(data, begin, begin + long)
            at = begin + long
        self._buffer = data[at:]

    def _take(self, data: bytes, begin: int, end: int) -> None:
        if not self.first.done():
            if b'"ready"' in data[begin:end]:
                return
            self.first.set_result(time.monotonic())
            if self._is_deaf:
                self.transport.pause_reading()
            return
        Client.frames += 1
        Client.size += end - begin
        if self._sample is not None:
            self._sample.append((time.monotonic(), data[begin:end]))


class StreamClient(Client):
    """One event stream. messages: the key, and the path."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        key, path = self._messages
        head = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{self._port}\r\nAuthorization: Bearer {key}\r\n\r\n"
        self.transport.write(head.encode())

    def data_received(self, data: bytes) -> None:
        data = self._buffer + data if self._buffer else data
        at = 0
        if not self._upgraded:
            at = data.find(b"\r\n\r\n") + 4
            if at < 4:
                self._buffer = data
                return
            self._upgraded = True
        while (end := data.find(b"\r\n", at)) >= 0:
            begin = end + 2
            stop = begin + int(data[at:end], 16)
            if len(data) < stop + 2:
                break
            if stop == begin:
                Client.closed += 1
            else:
                self._take(data, data.index(b"data: ", begin) + 6, stop - 2)
            at = stop + 2
        self._buffer = data[at:]


class Crowd:
    """All sockets of this process."""

    def __init__(self, port: int, key: str) -> None:
        self._port = port
        self._key = key
        self._clients: list[Client] = []
        self._sample: deque[Any] = deque(maxlen=100_000)
        self._begun = 0

    async def connect(
        self,
        count: int,
        messages: list[Any] | None = None,
        *,
        path: str | None = None,
        is_deaf: bool = False,
        sampled: int = 0,
        a_second: float = 0.0,
    ) -> dict[str, Any]:
        """Opens sockets, or event streams of a path; the seconds from the begin of each to its first state."""
        gate, loop = asyncio.Semaphore(CONNECTING_MAX if not a_second else count), asyncio.get_running_loop()
        text = json.dumps(messages if path is None else [path])

        async def one(number: int) -> tuple[Client, float | None]:
            if a_second:
                await asyncio.sleep(number / a_second)
            async with gate:
                began = time.monotonic()
                sock = socket.socket()
                sock.setblocking(False)
                if is_deaf:
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
                place = number + self._begun
                sock.bind((f"127.0.0.{2 + place % 8}", 0))
                await loop.sock_connect(sock, ("127.0.0.1", self._port))
                own = json.loads(text.replace("$n", str(place)))
                sample = self._sample if number < sampled else None
                kind, first = (
                    (Client, {"type": "auth", "token": self._key}) if path is None else (StreamClient, self._key)
                )
                _, client = await loop.create_connection(
                    lambda: kind(self._port, [first, *own], is_deaf, sample), sock=sock
                )
                shown = await asyncio.wait_for(client.first, FIRST_S_MAX)
                return client, None if shown is None else shown - began

        opened = await asyncio.gather(*map(one, range(count)))
        self._begun += count
        self._clients += [client for client, _ in opened]
        waits = sorted(wait for _, wait in opened if wait is not None)
        return {"open": len(waits), "p50": waits[len(waits) // 2], "p99": waits[int(len(waits) * 0.99)]}

    def leave(self) -> dict[str, Any]:
        """Closes all sockets at once."""
        count = len(self._clients)
        for client in self._clients:
            client.transport.abort()
        self._clients = []
        return {"left": count}

    def count(self) -> dict[str, Any]:
        """What came so far, first states not counted."""
        return {"frames": Client.frames, "bytes": Client.size, "closed": Client.closed, "time": time.monotonic()}

    def seen(self) -> list[Any]:
        """Each score that a sampled socket was sent, with its moment; then the sample begins anew."""
        scores = []
        for moment, data in self._sample:
            frame = json.loads(data)
            scores += [
                (moment, entry["user_id"], entry["score"]) for entry in frame.get("upsert", frame.get("entries", []))
            ]
        self._sample.clear()
        return scores


async def main(port: int, key: str) -> None:
    """Obeys until standard input ends."""
    crowd = Crowd(port, key)
    while line := await asyncio.to_thread(sys.stdin.readline):
        name, options = json.loads(line)
        result = getattr(crowd, name)(**options)
        print(json.dumps(await result if asyncio.iscoroutine(result) else result), flush=True)


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]), sys.argv[2]))
