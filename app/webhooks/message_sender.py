"""Sends one message to one receiver: to a public address, without redirects, and within bounds.

The name in a URL is looked up once a connection, which goes to the address that was checked. TLS still checks the name.
"""

import asyncio
import ssl
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import NamedTuple

import httpcore

from ..model.errors import Invalid
from ..model.micros import now_micros
from ..model.webhook import check_url
from ..model.webhook_message import Message, signature_headers
from .name_server import NameServer
from .receiver_line import LINE_ERRORS, ReceiverLine
from .receiver_network import NAME_FAULT, AddressRefused, CheckedBackend

#: Seconds that an attempt may take in all: looking up, connecting, sending, the answer.
ATTEMPT_S_MAX = 10.0
#: Bytes of an answer's body that are read. They say nothing: the status alone counts.
ANSWER_BYTES_MAX = 4_096
#: Seconds that a receiver may ask for by Retry-After.
RETRY_AFTER_S_MAX = 3_600.0
#: Digits of a Retry-After: more than 11 days are none.
_RETRY_DIGITS_MAX = 6
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


class Sender:
    """Sends messages.

    takes_loopback: whether receivers on this machine are taken. tls: how names are checked; None: as the system has it.
    """

    def __init__(self, *, takes_loopback: bool, tls: ssl.SSLContext | None = None) -> None:
        self._names = NameServer()
        self._takes_loopback = takes_loopback
        self._tls = tls or ssl.create_default_context()
        self._lines: set[ReceiverLine] = set()

    def line(self) -> ReceiverLine:
        """A line to one webhook's receiver."""
        return ReceiverLine(self._lines)

    async def send(
        self, url: str, message: Message, secrets: Sequence[bytes], key_id: str, line: ReceiverLine
    ) -> Outcome:
        """Makes one attempt, in ATTEMPT_S_MAX at most. key_id: of the webhook's key; line: the webhook's. Raises
        nothing that a receiver can cause."""
        answer = _Answer()
        try:
            request = self._request(url, message, secrets)
            async with asyncio.timeout(ATTEMPT_S_MAX):
                await self._exchange(request, key_id, line, answer)
        except Invalid as problem:
            return Outcome(None, f"its URL {problem.detail}")
        except AddressRefused as error:
            return Outcome(None, str(error))
        except TimeoutError:
            if answer.status is None:
                return Outcome(None, f"no answer in {ATTEMPT_S_MAX:.0f} s")
        except LINE_ERRORS as error:
            if answer.status is None:
                return Outcome(None, _cause(error))
        finally:
            await line.end_attempt()
        assert answer.status is not None, "an attempt without a status has returned"
        if 200 <= answer.status < 300:
            return Outcome(answer.status)
        what = "redirects are not followed" if 300 <= answer.status < 400 else "not 2xx"
        return Outcome(answer.status, f"it answered {answer.status}: {what}", answer.retry_after_s)

    async def _exchange(self, request: httpcore.Request, key_id: str, line: ReceiverLine, answer: "_Answer") -> None:
        """Sends a request by the line, or by a new connection, and fills the answer as it comes."""
        if line.is_usable(request.url.origin):
            try:
                await answer.read(await line.send(request))
            except LINE_ERRORS:
                if answer.status is not None:
                    raise
                # The receiver hung up between two messages, as it may: that is no failure of this one.
            else:
                return
        await line.begin(self._connection(request.url, key_id), request.url.origin)
        await answer.read(await line.send(request))

    def _request(self, url: str, message: Message, secrets: Sequence[bytes]) -> httpcore.Request:
        parts = check_url(url, takes_loopback=self._takes_loopback)
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        target = httpcore.URL(
            scheme=parts.scheme.encode(), host=str(parts.hostname).encode(), port=parts.port, target=path.encode()
        )
        headers = [
            (b"host", parts.netloc.encode()),
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


class _Answer:
    """What came of an answer so far."""

    def __init__(self) -> None:
        self.status: int | None = None
        self.retry_after_s = 0.0

    async def read(self, response: httpcore.Response) -> None:
        """Reads an answer to its end, or to its bound."""
        self.status = response.status
        self.retry_after_s = _retry_after(response.headers)
        await _drain(response)


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
        return str(error) if NAME_FAULT in str(error) else "it could not be connected to"
    return "the connection was lost"
