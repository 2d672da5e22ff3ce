"""Looks up the names of receivers. A name that nobody answers for holds up its own host alone."""

import asyncio
import socket
from contextlib import suppress
from threading import Thread
from typing import NamedTuple

from ..model.webhook_address import Address, parse_address

#: Seconds that an attempt waits for an answer: what is left of its time is for the receiver.
LOOK_UP_S_MAX = 5.0
#: Threads that look names up, of the webhooks of one key. One that hangs is one less for its key.
KEY_THREADS_MAX = 8
#: Threads that look names up, in all.
THREADS_MAX = 256


class NameUnknown(Exception):
    """A name has no address, or nobody tells it in time."""


class LookUp(NamedTuple):
    """A look-up under way. Attempts of one key at one host share its answer."""

    key_id: str
    host: str
    port: int


class NameServer:
    """Looks names up in threads that nobody waits for: one that hangs ends with the process. A host has one thread of
    each key, and a key a share of all."""

    def __init__(self, threads_max: int = THREADS_MAX, key_threads_max: int = KEY_THREADS_MAX) -> None:
        self._free = asyncio.Semaphore(threads_max)
        self._key_threads_max = key_threads_max
        self._shares: dict[str, asyncio.Semaphore] = {}
        self._under_way: dict[LookUp, asyncio.Future[list[str] | str]] = {}

    async def look_up(self, key_id: str, host: str, port: int) -> list[Address]:
        """The addresses of a name, each once. key_id: of the webhook's key. NameUnknown."""
        literal = parse_address(host)
        if literal is not None:
            return [literal]
        try:
            async with asyncio.timeout(LOOK_UP_S_MAX):
                # What several wait for is not to end with the first one of them.
                answer = await asyncio.shield(await self._begin(LookUp(key_id, host, port)))
        except TimeoutError:
            raise NameUnknown(f"no answer in {LOOK_UP_S_MAX:.0f} s") from None
        if isinstance(answer, str):
            raise NameUnknown(answer)
        addresses = [parse_address(text) for text in answer]
        return list(dict.fromkeys(address for address in addresses if address is not None))

    async def _begin(self, what: LookUp) -> asyncio.Future[list[str] | str]:
        """The look-up of this name that is under way, or a new one once there is a thread for it."""
        if what not in self._under_way:
            share = self._shares.setdefault(what.key_id, asyncio.Semaphore(self._key_threads_max))
            await share.acquire()
            try:
                await self._free.acquire()
            except asyncio.CancelledError:
                share.release()
                raise
            # Another attempt may have begun it meanwhile.
            if what in self._under_way:
                self._release(share)
            else:
                self._ask(what, share)
        return self._under_way[what]

    def _ask(self, what: LookUp, share: asyncio.Semaphore) -> None:
        loop = asyncio.get_running_loop()
        answer = self._under_way[what] = loop.create_future()

        def settle(texts: list[str] | str) -> None:
            self._release(share)
            del self._under_way[what]
            answer.set_result(texts)

        def ask() -> None:
            texts: list[str] | str
            try:
                texts = [str(one[4][0]) for one in socket.getaddrinfo(what.host, what.port, type=socket.SOCK_STREAM)]
            except (OSError, UnicodeError) as refusal:
                texts = str(refusal)
            with suppress(RuntimeError):  # The loop has ended meanwhile.
                loop.call_soon_threadsafe(settle, texts)

        Thread(target=ask, daemon=True, name="webhook-name").start()

    def _release(self, share: asyncio.Semaphore) -> None:
        share.release()
        self._free.release()
