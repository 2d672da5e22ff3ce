"""Sends one message to one receiver: to a public address, without redirects, and within bounds.

The name in a URL is looked up once an attempt, and the connection goes to the address that was checked. TLS still
checks the name.
"""

import asyncio
import ssl
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

import httpcore

from ..model.errors import Invalid
from ..model.micros import now_micros
from ..model.webhook import check_url
from ..model.webhook_address import Address, is_loopback, is_public
from ..model.webhook_message import Message, signature_headers
from .name_server import NameServer, NameUnknown

#: Seconds that an attempt may take in all: looking up, connecting, sending, the answer.
ATTEMPT_S_MAX = 10.0
#: Seconds to connect to one address of several, so that the next one has its turn.
CONNECT_S_MAX = 3.0
#: Bytes of an answer's body that are read. They say nothing: the status alone counts.
ANSWER_BYTES_MAX = 4_096
#: Bytes of an answer in all, its head and what comes before it: a receiver may send `100 Continue` without an end, and
#: each costs the persister 20 µs.
ANSWER_AND_HEAD_BYTES_MAX = 65_536
#: Addresses of a name that are tried.
ADDRESSES_MAX = 4
#: Seconds that a receiver may ask for by Retry-After.
RETRY_AFTER_S_MAX = 3_600.0
#: Digits of a Retry-After: more than 11 days are none.
_RETRY_DIGITS_MAX = 6
_NAME_FAULT = "its name cannot be looked up"
_AGENT = b"leaderboard-webhooks"
_GONE = 410


class Outcome(NamedTuple):
    """What came of an attempt. status: what was answered, None without an answer; error: why it counts as failed;
    retry_after_s: how long the receiver asks to be left alone."""

    status: int | None
    error: str | None = None
    retry_after_s: float = 0.0

    @property
    def is_gone(self) -> bool:
        """Whether the receiver wants no more messages."""
        return self.status == _GONE


class AddressRefused(Exception):
    """The receiver's name leads to an address that is none of the public internet."""


class BoundedStream(httpcore.AsyncNetworkStream):
    """A connection of which so many bytes are read, and no more than one piece beyond them."""

    def __init__(self, stream: httpcore.AsyncNetworkStream, bytes_max: int) -> None:
        self._stream = stream
        self._left = bytes_max

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Some bytes. httpcore.RemoteProtocolError, once there were too many."""
        if self._left <= 0:
            raise httpcore.RemoteProtocolError("the answer is too long")
        data = await self._stream.read(max_bytes, timeout)
        self._left -= len(data)
        return data

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Sends."""
        await self._stream.write(buffer, timeout)

    async def aclose(self) -> None:
        """Closes it."""
        await self._stream.aclose()

    async def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.AsyncNetworkStream:
        """The same with TLS."""
        return BoundedStream(await self._stream.start_tls(ssl_context, server_hostname, timeout), self._left)

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
            raise httpcore.ConnectError(f"{_NAME_FAULT}: {fault}") from None
        for address in addresses:
            if not self._may_reach(address):
                raise AddressRefused("its name leads to an address that is not public")
        error: Exception = httpcore.ConnectError(_NAME_FAULT)
        for address in addresses[:ADDRESSES_MAX]:
            try:
                stream = await super().connect_tcp(
                    str(address),
                    port,
                    timeout=CONNECT_S_MAX if len(addresses) > 1 else None,
                    socket_options=socket_options,
                )
                return BoundedStream(stream, ANSWER_AND_HEAD_BYTES_MAX)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as refusal:
                error = refusal
        raise error

    def _may_reach(self, address: Address) -> bool:
        if self._takes_loopback and is_loopback(address):
            return True
        return is_public(address) and not self._is_plain


class Sender:
    """Sends messages. Each attempt has a connection of its own.

    takes_loopback: whether receivers on this machine are taken. tls: how names are checked; None: as the system has it.
    """

    def __init__(self, *, takes_loopback: bool, tls: ssl.SSLContext | None = None) -> None:
        self._names = NameServer()
        self._takes_loopback = takes_loopback
        self._tls = tls or ssl.create_default_context()

    async def send(self, url: str, message: Message, secrets: Sequence[bytes], key_id: str) -> Outcome:
        """Makes one attempt, in ATTEMPT_S_MAX at most. key_id: of the webhook's key. Raises nothing that a receiver can
        cause."""
        status: int | None = None
        try:
            async with asyncio.timeout(ATTEMPT_S_MAX):
                request = self._request(url, message, secrets)
                async with self._connection(request.url, key_id) as connection:
                    response = await connection.handle_async_request(request)
                    status = response.status
                    retry_after_s = _retry_after(response.headers)
                    await _drain(response)
        except TimeoutError:
            if status is None:
                return Outcome(None, f"no answer in {ATTEMPT_S_MAX:.0f} s")
        except AddressRefused as error:
            return Outcome(None, str(error))
        except Invalid as problem:
            return Outcome(None, f"its URL {problem.detail}")
        except (
            httpcore.NetworkError,
            httpcore.ProtocolError,
            httpcore.TimeoutException,
            OSError,
            ssl.SSLError,
        ) as error:
            if status is None:
                return Outcome(None, _cause(error))
        assert status is not None, "an attempt without a status has returned"
        if 200 <= status < 300:
            return Outcome(status)
        what = "redirects are not followed" if 300 <= status < 400 else "not 2xx"
        return Outcome(status, f"it answered {status}: {what}", retry_after_s)

    def _request(self, url: str, message: Message, secrets: Sequence[bytes]) -> httpcore.Request:
        parts = check_url(url, takes_loopback=self._takes_loopback)
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        target = httpcore.URL(
            scheme=parts.scheme.encode(), host=str(parts.hostname).encode(), port=parts.port, target=path.encode()
        )
        headers = [
            (b"host", parts.netloc.encode()),
            (b"connection", b"close"),
            (b"user-agent", _AGENT),
            (b"content-type", b"application/json"),
            (b"content-length", b"%d" % len(message.body)),
            *signature_headers(message, secrets, now_micros() // 1_000_000),
        ]
        return httpcore.Request(b"POST", target, headers=headers, content=message.body)

    def _connection(self, url: httpcore.URL, key_id: str) -> httpcore.AsyncHTTPConnection:
        is_plain = url.scheme == b"http"
        backend = CheckedBackend(self._names, key_id, is_plain=is_plain, takes_loopback=self._takes_loopback)
        return httpcore.AsyncHTTPConnection(url.origin, ssl_context=self._tls, network_backend=backend)


async def _drain(response: httpcore.Response) -> None:
    """Reads an answer's body up to its bound. What fails here changes nothing: the status is known."""
    size = 0
    try:
        with suppress(httpcore.NetworkError, httpcore.ProtocolError):
            async for chunk in response.aiter_stream():
                size += len(chunk)
                if size >= ANSWER_BYTES_MAX:
                    break
    finally:
        await response.aclose()


def _retry_after(headers: Iterable[tuple[bytes, bytes]]) -> float:
    """The seconds of a Retry-After; 0 without one, or for a date."""
    for name, value in headers:
        if name.lower() == b"retry-after" and value.isdigit() and len(value) <= _RETRY_DIGITS_MAX:
            return min(RETRY_AFTER_S_MAX, float(value))
    return 0.0


def _cause(error: Exception) -> str:
    """Why an attempt failed, without what a receiver wrote."""
    if isinstance(error, httpcore.ProtocolError):
        has_hung_up = "disconnected" in str(error)
        return "it hung up without an answer" if has_hung_up else "its answer is not HTTP/1.1"
    if isinstance(error, httpcore.TimeoutException):
        return "it could not be connected to in time"
    cause = error.__cause__ or error
    if isinstance(cause, ssl.SSLError):
        return f"TLS failed: {cause.reason or 'the certificate was refused'}"
    if isinstance(error, httpcore.ConnectError):
        return str(error) if _NAME_FAULT in str(error) else "it could not be connected to"
    return "the connection was lost"
