"""The calls of the demonstration: plain HTTP over one connection."""

from __future__ import annotations

import http.client
import json
from collections.abc import Mapping
from typing import Any, NamedTuple, Self

#: Seconds that a call may take. After them the call is made again: the server may be restarting.
CALL_S_MAX = 5.0


class RefusedError(Exception):
    """The server refused a call for good. The text says which one and why."""


class AwayError(Exception):
    """The server is busy or away, or somebody deleted the namespace (it is made again)."""


class Answer(NamedTuple):
    """What the server said. body: of JSON; {} for what is none. text: call and answer, for people."""

    status: int
    body: Any
    text: str

    def must_do(self) -> Self:
        """The same answer. RefusedError, AwayError."""
        if self.status < 300:
            return self
        if self.status in (404, 408, 429) or self.status >= 500:
            raise AwayError(self.text)
        raise RefusedError(self.text)


class Caller:
    """Makes calls with a key, one after the other."""

    def __init__(self, connection: http.client.HTTPConnection, headers: Mapping[str, str]) -> None:
        self._connection, self._headers = connection, headers

    def call(self, method: str, path: str, body: object = None) -> Answer:
        """The answer, whatever its status. OSError, HTTPException."""
        self._connection.request(method, path, b"" if body is None else json.dumps(body).encode(), dict(self._headers))
        answer = self._connection.getresponse()
        text = answer.read().decode("utf-8", "replace")
        try:
            content = json.loads(text)
        except ValueError:
            content = {}
        return Answer(answer.status, content, f"{method} {path} answered {answer.status} {text}")

    def text(self, path: str) -> str:
        """The body of what is no JSON; "" if it was refused. OSError, HTTPException."""
        self._connection.request("GET", path, headers=dict(self._headers))
        answer = self._connection.getresponse()
        text = answer.read().decode("utf-8", "replace")
        return text if answer.status == 200 else ""
