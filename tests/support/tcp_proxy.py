"""A TCP proxy that a test breaks: it cuts, holds, loses replies or is slow, and is mended again."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Mapping
from types import MappingProxyType, TracebackType
from typing import Self

#: Bytes that travel at a time.
CHUNK_BYTES = 64 * 1024
#: Seconds in which the proxy does what it is told.
OBEY_S_MAX = 5.0


class TcpProxy:
    """Relays connections from a port of its own to `target`, a port of this machine. A thread of its own runs it.
    instead: texts of short replies, and what is told in place of each."""

    def __init__(self, target: int, instead: Mapping[bytes, bytes] = MappingProxyType({})) -> None:
        self.port = 0
        self._instead = instead
        self._target = target
        self._is_open = True
        self._delay_s = 0.0
        self._loses_replies = False
        self._flows = asyncio.Event()
        self._writers: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self.port = asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(OBEY_S_MAX)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(OBEY_S_MAX)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(OBEY_S_MAX)
        self._loop.close()

    def cut(self) -> None:
        """Ends all connections; new ones are ended at once."""

        def act() -> None:
            self._is_open = False
            self._drop()

        self._obey(act)

    def hold(self) -> None:
        """Half-open: connections stay, and nothing passes either way."""
        self._obey(self._flows.clear)

    def lose_replies(self) -> None:
        """What the target sends is thrown away from now on; what it is sent arrives."""

        def act() -> None:
            self._loses_replies = True

        self._obey(act)

    def slow(self, seconds: float) -> None:
        """Each chunk waits so long, either way."""

        def act() -> None:
            self._delay_s = seconds

        self._obey(act)

    def mend(self) -> None:
        """All passes again. Connections that lost a reply are ended, because the two ends disagree."""

        def act() -> None:
            if self._loses_replies:
                self._drop()
            self._is_open, self._delay_s, self._loses_replies = True, 0.0, False
            self._flows.set()

        self._obey(act)

    def _obey(self, act: Callable[[], None]) -> None:
        async def obey() -> None:
            act()

        asyncio.run_coroutine_threadsafe(obey(), self._loop).result(OBEY_S_MAX)

    def _drop(self) -> None:
        for writer in self._writers:
            writer.transport.abort()

    async def _listen(self) -> int:
        self._flows.set()
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return int(self._server.sockets[0].getsockname()[1])

    async def _end(self) -> None:
        self._server.close()
        self._drop()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        far: asyncio.StreamWriter | None = None
        try:
            if self._is_open:
                replies, far = await asyncio.open_connection("127.0.0.1", self._target)
                self._writers.add(far)
                directions = (self._relay(reader, far, is_reply=False), self._relay(replies, writer, is_reply=True))
                tasks = [asyncio.ensure_future(direction) for direction in directions]
                try:
                    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    for task in tasks:
                        task.cancel()
                    await asyncio.gather(*tasks, return_exceptions=True)
        except OSError:
            pass  # the target is away
        finally:
            for one in (writer, far):
                if one is not None:
                    self._writers.discard(one)
                    one.transport.abort()

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, is_reply: bool) -> None:
        while chunk := await reader.read(CHUNK_BYTES):
            if self._delay_s:
                await asyncio.sleep(self._delay_s)
            await self._flows.wait()
            if is_reply:
                for text, other in self._instead.items():
                    chunk = chunk.replace(text, other)
            if not (is_reply and self._loses_replies):
                writer.write(chunk)
                await writer.drain()
