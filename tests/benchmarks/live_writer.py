"""Grants at a steady rate in a process of its own: one line of JSON with each star's score and its receipt's moment."""

import asyncio
import json
import random
import re
import sys
import time
from typing import cast

import uvloop

from tests.benchmarks.load import post

CONNECTIONS, STARS, CROWD = 32, 20, 100_000
#: One of so many grants goes to a star, who stands in the top ten or just behind.
STAR_EVERY = 4
_SCORE = re.compile(rb'"score":(\d+)')


class Connection(asyncio.Protocol):
    """Keeps one request on its way."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._buffer = b""
        self._done: asyncio.Future[bytes] | None = None

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, end, body = self._buffer.partition(b"\r\n\r\n")
        if end and len(body) >= int(head.lower().partition(b"content-length: ")[2].partition(b"\r")[0]):
            assert head.startswith(b"HTTP/1.1 20"), self._buffer
            assert self._done is not None
            self._done.set_result(body)
            self._buffer = b""

    async def ask(self, request: bytes) -> bytes:
        """The body of an answer."""
        self._done = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._done


async def main(port: int, key: str, namespaces: list[str], rate: float, seconds: float) -> None:
    """Sends for so long; waits for a free connection where the server is late."""
    loop = asyncio.get_running_loop()
    free: asyncio.Queue[Connection] = asyncio.Queue()
    for _ in range(CONNECTIONS):
        _, connection = await loop.create_connection(Connection, "127.0.0.1", port)
        free.put_nowait(connection)
    tag, receipts, late = time.time_ns(), [], 0.0
    chance = random.Random(7)

    async def grant(number: int, connection: Connection) -> None:
        is_star = number % STAR_EVERY == 0
        user = f"star-{chance.randrange(STARS)}" if is_star else f"user-{chance.randrange(CROWD)}"
        body = json.dumps({"grant_id": f"{tag}-{number}", "user_id": user, "amount": 1}).encode()
        path = f"/v1/namespaces/{namespaces[number % len(namespaces)]}/grants"
        answer = await connection.ask(post(path, key, body))
        if is_star:
            receipts.append((time.monotonic(), user, int(_SCORE.search(answer)[1])))  # type: ignore[index]
        free.put_nowait(connection)

    began, tasks = time.monotonic(), set()
    for number in range(int(rate * seconds)):
        await asyncio.sleep(max(0.0, began + number / rate - time.monotonic()))
        task = asyncio.create_task(grant(number, await free.get()))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
        late = max(late, time.monotonic() - began - number / rate)
    await asyncio.gather(*tasks)
    took = time.monotonic() - began
    print(json.dumps({"sent": int(rate * seconds), "seconds": took, "late": late, "receipts": receipts}), flush=True)


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]), sys.argv[2], sys.argv[3].split(","), float(sys.argv[4]), float(sys.argv[5])))
