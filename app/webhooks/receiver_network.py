"""Connections to receivers: to addresses that were checked, and within bounds."""

import ssl
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

import httpcore

from ..model.webhook_address import Address, is_loopback, is_public
from .name_server import NameServer, NameUnknown

#: Seconds to connect to one address of several, so that the next one has its turn.
CONNECT_S_MAX = 3.0
#: Bytes of an answer in all, its head and what comes before it: a receiver may send `100 Continue` without an end, and
#: each costs the persister 20 µs.
ANSWER_AND_HEAD_BYTES_MAX = 65_536
#: Addresses of a name that are tried.
ADDRESSES_MAX = 4
NAME_FAULT = "its name cannot be looked up"


class AddressRefused(Exception):
    """The receiver's name leads to an address that is none of the public internet."""


class ExchangeStream(httpcore.AsyncNetworkStream):
    """A connection on which a request is sent at once, and then its answer is read: so many bytes, and no more than one
    piece beyond them."""

    def __init__(self, stream: httpcore.AsyncNetworkStream, bytes_max: int) -> None:
        self._stream = stream
        self._bytes_max = bytes_max
        self._left = bytes_max
        self._request = bytearray()

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Some bytes of the answer. httpcore.RemoteProtocolError, once there were too many."""
        if self._request:
            request, self._left = bytes(self._request), self._bytes_max
            self._request.clear()
            # A receiver may answer and close before it has read all.
            with suppress(httpcore.WriteError):
                await self._stream.write(request, timeout)
        if self._left <= 0:
            raise httpcore.RemoteProtocolError("the answer is too long")
        data = await self._stream.read(max_bytes, timeout)
        self._left -= len(data)
        return data

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Notes a piece of the request. Its head and its body go out together: each write costs the processor, and a
        packet."""
        self._request += buffer

    async def aclose(self) -> None:
        """Closes it."""
        await self._stream.aclose()

    async def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.AsyncNetworkStream:
        """The same with TLS."""
        return ExchangeStream(await self._stream.start_tls(ssl_context, server_hostname, timeout), self._bytes_max)

    def get_extra_info(self, info: str) -> Any:
        """As the connection has it."""
        return self._stream.get_extra_info(info)


class CheckedBackend(httpcore.AnyIOBackend):
    """Connects to the addresses of a name only if all of them are allowed."""

    def __init__(self, names: NameServer, key_id: str, *, is_plain: bool, takes_loopback: bool) -> None:
        self._names = names
        self._key_id = key_id
        self._is_plain = is_plain
        self._takes_loopback = takes_loopback

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """A connection to the first address that answers. AddressRefused, httpcore.ConnectError."""
        try:
            addresses = await self._names.look_up(self._key_id, host, port)
        except NameUnknown as fault:
            raise httpcore.ConnectError(f"{NAME_FAULT}: {fault}") from None
        for address in addresses:
            if not self._may_reach(address):
                raise AddressRefused("its name leads to an address that is not public")
        error: Exception = httpcore.ConnectError(NAME_FAULT)
        for address in addresses[:ADDRESSES_MAX]:
            try:
                stream = await super().connect_tcp(
                    str(address),
                    port,
                    timeout=CONNECT_S_MAX if len(addresses) > 1 else None,
                    socket_options=socket_options,
                )
                return ExchangeStream(stream, ANSWER_AND_HEAD_BYTES_MAX)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as refusal:
                error = refusal
        raise error

    def _may_reach(self, address: Address) -> bool:
        if self._takes_loopback and is_loopback(address):
            return True
        return is_public(address) and not self._is_plain
