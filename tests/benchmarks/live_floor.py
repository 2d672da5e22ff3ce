"""The floor of `live`: uvicorn's own WebSocket, and one loop that sends the same text to all with ASGI's `send`."""

import asyncio
import os
from typing import Any

TICK_S = 0.1
TEXT = "x" * int(os.environ.get("FRAME_BYTES", "1000"))


class Bare:
    """Takes any WebSocket; once a socket has sent a message, it gets the text ten times a second."""

    def __init__(self) -> None:
        self._sends: set[Any] = set()
        self._loop: asyncio.Task[None] | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "websocket":
            return
        if self._loop is None:
            self._loop = asyncio.create_task(self._run())
        await receive()
        await send({"type": "websocket.accept", "subprotocol": None, "headers": []})
        while (await receive())["type"] != "websocket.disconnect":
            self._sends.add(send)
        self._sends.discard(send)

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            for send in list(self._sends):
                try:
                    await send({"type": "websocket.send", "text": TEXT})
                except OSError:
                    self._sends.discard(send)
            due = max(due + TICK_S, loop.time())
            await asyncio.sleep(due - loop.time())


app = Bare()
