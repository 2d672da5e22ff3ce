# Made by clients/python/mirror.py of the module of this name in aio. Do not edit.
"""Sends calls over HTTP, each within its deadline, again where that is safe."""

import random
import threading
import time
from collections.abc import Callable
from typing import TypeVar

import httpx

from ..calls import JSON, Answer, Call
from ..errors import BadAnswer, Problem, TokenUnavailable, Unreachable
from ..token_life import life_of
from ..tries import DEADLINE_S, Tries

T = TypeVar("T")
TokenProvider = Callable[[], str]
#: Connections to one server: as many calls as a program has in flight.
CONNECTIONS_MAX = 100
#: Bytes of an answer: more than a page of 1,000 rows of any kind has.
ANSWER_BYTES_MAX = 256 * 1024 * 1024


class Transport:
    """One server, by one key or by tokens of a provider."""

    def __init__(
        self,
        url: str,
        *,
        key: str | None = None,
        token: TokenProvider | None = None,
        deadline_s: float = DEADLINE_S,
        http: httpx.Client | None = None,
        chance: Callable[[], float] = random.random,
    ) -> None:
        """http: one of yours, with its proxies and certificates; it stays open. ValueError for a wrong URL, or for both
        a key and a token."""
        if key is not None and token is not None:
            raise ValueError("key or token, not both")
        if not url.startswith(("http://", "https://")):
            raise ValueError(f"url: http:// or https://, not {url!r}")
        self.url = url.rstrip("/")
        self.key = key
        self.chance = chance
        self.deadline_s = deadline_s
        self._token = key
        self._provider = token
        self._token_ends_at = float("inf")
        self._question = threading.Lock()
        self._owns_http = http is None
        limits = httpx.Limits(max_connections=CONNECTIONS_MAX, max_keepalive_connections=CONNECTIONS_MAX)
        # Certificates are read only where there is TLS: 20 ms. Redirects are not followed, so none leads there.
        self._http = http or httpx.Client(limits=limits, verify=url.startswith("https://"))

    @property
    def can_renew(self) -> bool:
        """Whether another token can be had where the server does not accept this one."""
        return self._provider is not None

    def forget(self, token: str | None) -> None:
        """The server does not accept this token any more: the next call asks the provider, if there is one."""
        if self._provider is not None and token == self._token:
            self._token = None

    def token(self) -> str | None:
        """What the client shows. The provider is asked once for all who wait, and anew once the last token has lived
        its life; bound its time yourself. TokenUnavailable."""
        if self._provider is None:
            return self._token
        with self._question:
            if self._token is None or time.monotonic() >= self._token_ends_at:
                begin = time.monotonic()
                try:
                    self._token = self._provider()
                except Exception as error:
                    raise TokenUnavailable("token_unavailable", str(error)) from error
                self._token_ends_at = begin + life_of(self._token)
            return self._token

    def send(self, call: Call[T]) -> T:
        """One call, tried again while that is safe and there is time. Problem."""
        tries = Tries(call, now=time.monotonic(), deadline_s=self.deadline_s, random=self.chance)
        while True:
            token: str | None = None
            was_sent = False
            try:
                token = self.token()
                was_sent = True
                return call.answer(self._try(call, token, tries.seconds(time.monotonic())))
            except httpx.HTTPError as error:
                was_sent = not isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout)
                problem: Problem = Unreachable("unreachable", str(error) or type(error).__name__)
                problem.__cause__ = error
            except Problem as error:
                problem = error
            if tries.takes_new_token(problem, can_renew=self.can_renew):
                self.forget(token)
                continue
            time.sleep(tries.wait_after(problem, time.monotonic(), was_sent=was_sent))

    def _try(self, call: Call[T], token: str | None, seconds: float) -> Answer:
        """One try. A timeout of httpx is one of each step, so the whole answer has its end here."""
        headers = {"Accept": JSON, **call.headers}
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        if call.body is not None:
            headers["Content-Type"] = call.media
        ends_at = time.monotonic() + seconds
        with self._http.stream(
            call.method, self.url + call.target, headers=headers, content=call.body, timeout=seconds
        ) as response:
            content = bytearray()
            for piece in response.iter_bytes():
                content += piece
                if time.monotonic() > ends_at:
                    raise httpx.ReadTimeout("the answer did not end in time")
                if len(content) > ANSWER_BYTES_MAX:
                    raise BadAnswer("bad_answer", f"more than {ANSWER_BYTES_MAX} bytes", status=response.status_code)
        named = {name.lower(): value for name, value in response.headers.items()}
        return Answer(response.status_code, named, bytes(content))

    def close(self) -> None:
        """Closes the connections, unless they are yours."""
        if self._owns_http:
            self._http.close()
