"""Sends batches of grants to a server, and asks again for what may succeed later."""

import asyncio
import random
import secrets
from collections.abc import Callable, Sequence
from time import monotonic
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import quote

import httpx
import msgspec

#: Seconds for one answer: a batch takes the server a second, and longer while it catches up.
ANSWER_S = 60.0
#: Seconds to connect: then the server is taken as away, and is tried again.
CONNECT_S = 5.0
#: Seconds for which a batch is sent again and again before the import gives up: a restart, a failover, a rebuild.
PATIENCE_S = 600.0
#: Seconds for which a server is tried that has never answered: its address may be wrong.
FIRST_S = 10.0
#: Seconds of asking again after which somebody is told, and seconds until the next time.
NOTICE_S, NOTICES_S = 10.0, 60.0
#: Seconds between two tries: twice as long each time, from the first to the last.
_PAUSE_S_MIN, _PAUSE_S_MAX = 0.2, 10.0
#: Statuses that say nothing about the request itself: it is sent again.
_PASSING = frozenset((408, 425, 429, 500, 502, 503, 504))


class ImportStop(Exception):
    """The import cannot go on: one sentence. What was done stays, and the state says how far it is."""


class MemberError(msgspec.Struct):
    """Why a grant was refused."""

    code: str
    detail: str = ""
    field: str | None = None
    retryable: bool = False

    @property
    def reason(self) -> str:
        """The detail, with the field before it."""
        return f"{self.field.removeprefix('$.')}: {self.detail}" if self.field else self.detail


class MemberResult(msgspec.Struct):
    """What became of one grant of a batch. status: applied, duplicate, quarantined, rejected; `would_apply` in a dry
    run."""

    status: str
    error: MemberError | None = None


class _Batch(msgspec.Struct):
    results: list[MemberResult]


class _Readiness(msgspec.Struct):
    """How far the ledger is behind the log, in entries; None: unknown."""

    lag_seq: int | None = None


T = TypeVar("T")
_read_batch = msgspec.json.Decoder(_Batch).decode
_read_readiness = msgspec.json.Decoder(_Readiness).decode
_read_problem = msgspec.json.Decoder(MemberError).decode


class ImportClient:
    """An HTTP client with a key. Its connections are shared by all batches in flight."""

    def __init__(
        self,
        url: str,
        key: str | None,
        *,
        connections: int,
        patience_s: float = PATIENCE_S,
        transport: httpx.AsyncBaseTransport | None = None,
        notice: Callable[[str], None] = lambda _: None,
    ) -> None:
        """transport: None: over the network; notice: is told why it waits, once a minute. ImportStop for what is no URL
        of a server."""
        headers = {"authorization": f"Bearer {key}"} if key else {}
        self._url = _shown(url)
        self._patience_s = patience_s
        self._client = httpx.AsyncClient(
            base_url=url,
            headers=headers,
            timeout=httpx.Timeout(ANSWER_S, connect=CONNECT_S),
            limits=httpx.Limits(max_connections=connections),
            transport=transport,
        )
        self._notice = notice
        self._notice_at = 0.0
        self._has_answered = False
        self.retries = 0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.aclose()

    async def ask(self, method: str, path: str, **options: Any) -> httpx.Response:
        """One request, sent again as long as its cause may pass. ImportStop when patience ends, or for a server that
        does not know the key."""
        patience_s = self._patience_s if self._has_answered else min(self._patience_s, FIRST_S)
        began, pause = monotonic(), _PAUSE_S_MIN
        while True:
            answer, cause = None, ""
            try:
                answer = await self._client.request(method, path, **options)
            except httpx.RequestError as error:
                cause = f"{self._url} does not answer: {type(error).__name__}"
            if answer is not None:
                if answer.status_code not in _PASSING:
                    self._has_answered = True
                    if answer.status_code == 401:
                        raise ImportStop(f"{self._url}: {problem_of(answer)}: give --api-key, or LEADERBOARD_API_KEY")
                    return answer
                cause = f"{self._url}: {problem_of(answer)}"
            if monotonic() > began + patience_s:
                raise ImportStop(f"{cause}; gave up after {patience_s:.0f} s")
            self._tell(cause, monotonic() - began, patience_s)
            pause = await self._rest(pause, answer)

    async def tell(self, method: str, path: str) -> httpx.Response | None:
        """What is answered to one request that is not sent again; None if the server did not do it."""
        try:
            answer = await self._client.request(method, path)
        except httpx.RequestError:
            return None
        return answer if answer.is_success else None

    async def lag(self) -> int:
        """Entries of the log that the ledger lacks; 0 where the server does not tell."""
        answer = await self.tell("GET", "/readyz")
        try:
            return 0 if answer is None else _read_readiness(answer.content).lag_seq or 0
        except msgspec.DecodeError:
            return 0

    def read(self, decode: Callable[[bytes], T], answer: httpx.Response) -> T:
        """What an answer holds that says that all went well. ImportStop: something else answers there."""
        try:
            return decode(answer.content)
        except msgspec.DecodeError:
            raise ImportStop(f"{self._url} answers what no leaderboard does: is it the right --url?") from None

    async def correct(self, path: str, corrections: Sequence[bytes]) -> list[MemberResult]:
        """The results of corrections, in their order; those with a passing cause are sent again. ImportStop."""
        return await self._settle(path, corrections, {"backfill": "true"}, is_array=True)

    async def send(self, path: str, bodies: Sequence[bytes], **query: str) -> list[MemberResult]:
        """The results of grants, in their order; those with a passing cause are sent again. ImportStop."""
        return await self._settle(path, bodies, query, is_array=False)

    async def _settle(
        self, path: str, bodies: Sequence[bytes], query: dict[str, str], *, is_array: bool
    ) -> list[MemberResult]:
        """The results of members that are sent as an array, or one a line. ImportStop: the cause does not pass."""
        results: list[MemberResult | None] = [None] * len(bodies)
        left = list(range(len(bodies)))
        began, pause = monotonic(), _PAUSE_S_MIN
        while left:
            members = [bodies[i] for i in left]
            answer = await self.ask(
                "POST",
                path,
                params=query,
                content=b"[%b]" % b",".join(members) if is_array else b"\n".join(members),
                headers={
                    "content-type": "application/json" if is_array else "application/x-ndjson",
                    # What is sent again because no answer came must not meet itself as somebody else's correction.
                    **({"idempotency-key": f"import-{secrets.token_hex(8)}"} if is_array else {}),
                },
            )
            if answer.status_code != 200:
                raise ImportStop(f"{self._url}: {problem_of(answer)}")
            batch = self.read(_read_batch, answer).results
            if len(batch) != len(left):
                raise ImportStop(f"{self._url} answered {len(batch)} members of {len(left)}")
            again: list[int] = []
            cause = ""
            for i, result in zip(left, batch, strict=True):
                if result.error is not None and result.error.retryable:
                    again.append(i)
                    cause = cause or f"{result.error.code}: {result.error.reason}"
                results[i] = result
            if again and monotonic() > began + self._patience_s:
                raise ImportStop(f"{self._url}: {cause}; gave up after {self._patience_s:.0f} s")
            if again:
                self._tell(f"{self._url}: {cause}", monotonic() - began, self._patience_s)
                pause = await self._rest(pause, answer)
            left = again
        return [result for result in results if result is not None]

    def _tell(self, cause: str, waited_s: float, patience_s: float) -> None:
        if waited_s > NOTICE_S and monotonic() > self._notice_at + NOTICES_S:
            self._notice_at = monotonic()
            self._notice(f"{cause}; asks again for up to {patience_s:.0f} s")

    async def _rest(self, pause: float, answer: httpx.Response | None) -> float:
        """Waits; as long as the server asks for, if it does. The next pause."""
        self.retries += 1
        after = answer.headers.get("retry-after", "") if answer is not None else ""
        least = float(after) if after.isdigit() else 0.0
        await asyncio.sleep(min(_PAUSE_S_MAX, max(least, pause * random.uniform(0.5, 1.0))))
        return min(2 * pause, _PAUSE_S_MAX)


def _shown(url: str) -> str:
    """A URL as messages name it, without a password. ImportStop."""
    try:
        parsed = httpx.URL(url)
        is_one = parsed.scheme in ("http", "https") and parsed.host and (parsed.port or 0) < 1 << 16
    except httpx.InvalidURL:
        is_one = False
    if not is_one:
        raise ImportStop("--url is no URL of a server, such as http://127.0.0.1:8000")
    return str(parsed.copy_with(userinfo=b""))


def problem_of(answer: httpx.Response) -> str:
    """What a server says is wrong."""
    try:
        problem = _read_problem(answer.content)
    except msgspec.DecodeError:
        return f"answered {answer.status_code}"
    return f"{problem.code}: {problem.reason}"


def path_segment(text: str) -> str:
    """A text as one segment of a path. `.` and `..` are escaped, too: a client would take them for directions."""
    return quote(text, safe="") if text.strip(".") else text.replace(".", "%2E")


def grants_path(namespace: str | None) -> str:
    """Where grants are sent: to one namespace, or each to its own."""
    return "/v1/grants" if namespace is None else f"/v1/namespaces/{path_segment(namespace)}/grants"
