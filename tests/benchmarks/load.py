"""A load generator in a process of its own: keep-alive connections that send prepared requests, bounded in count."""

import asyncio
import json
import random
import sys
import time
from collections.abc import Callable
from typing import cast

Request = Callable[[int], bytes]


def post(path: str, key: str, body: bytes) -> bytes:
    """One POST as bytes."""
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\nContent-Type: application/json\r\n"
    return head.encode() + b"Content-Length: %d\r\n\r\n" % len(body) + body


def get(path: str, key: str) -> bytes:
    """One GET as bytes."""
    return f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\n\r\n".encode()


def grant(tag: str, i: int) -> dict[str, object]:
    """A grant to one of 100,000 users."""
    user = f"user-{random.randrange(100_000)}"
    return {"grant_id": f"{tag}-{i}", "user_id": user, "amount": 5, "category": "red", "source": "race"}


def requests(kind: str, path: str, key: str, tag: str) -> Request:
    """How the i-th request of a kind looks."""
    if kind == "single":
        return lambda i: post(path, key, json.dumps(grant(tag, i)).encode())
    if kind == "batch":
        return lambda i: post(path, key, json.dumps([grant(tag, i * 500 + j) for j in range(500)]).encode())
    if kind == "spread":
        return lambda i: post(f"/v1/namespaces/n{i % int(path)}/grants", key, json.dumps(grant(tag, i)).encode())
    if kind == "pages":
        return lambda i: get(f"{path}?limit=10&offset={random.randrange(99_990)}", key)
    if kind == "around":
        return lambda i: get(f"{path}?around=user-{random.randrange(100_000)}&radius=5", key)
    if kind == "stats":
        return lambda i: get(f"{path}/stats?histogram=20&min_score={random.randrange(2_500)}", key)
    return lambda i: get(path, key)


class Client(asyncio.Protocol):
    """One connection: the next request goes out when the last answer is whole."""

    def __init__(self, todo: list[bytes], done: asyncio.Future[None]) -> None:
        self._todo = todo
        self._done = done
        self._buffer = b""
        self.bad = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._next()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, end, body = self._buffer.partition(b"\r\n\r\n")
        if not end:
            return
        at = head.lower().index(b"content-length:") + 15
        size = int(head[at:].split(b"\r\n", 1)[0])
        if len(body) >= size:
            self.bad += not head.startswith((b"HTTP/1.1 200", b"HTTP/1.1 201"))
            self._buffer = b""
            self._next()

    def connection_lost(self, error: Exception | None) -> None:
        if not self._done.done():
            self._done.set_exception(error or ConnectionError("closed"))

    def _next(self) -> None:
        if self._todo:
            self._transport.write(self._todo.pop())
        elif not self._done.done():
            self._done.set_result(None)


async def main(port: int, kind: str, path: str, key: str, tag: str, count: int, connections: int) -> None:
    """Sends `count` requests and prints seconds and how many answers were bad."""
    make = requests(kind, path, key, tag)
    todo = [make(i) for i in range(count)]
    loop = asyncio.get_running_loop()
    started = time.perf_counter()
    clients = []
    for _ in range(connections):
        done: asyncio.Future[None] = loop.create_future()
        client = Client(todo, done)
        await loop.create_connection(lambda space=client: space, "127.0.0.1", port)  # type: ignore[misc]
        clients.append((client, done))
    await asyncio.gather(*(done for _, done in clients))
    took = time.perf_counter() - started
    print(json.dumps({"seconds": took, "bad": sum(client.bad for client, _ in clients)}))


if __name__ == "__main__":
    import uvloop

    arguments = sys.argv[1:]
    port, kind, path, key, tag, count, connections = arguments
    uvloop.run(main(int(port), kind, path, key, tag, int(count), int(connections)))
