"""A client of a server under test that holds each new kind of answer against /openapi.json."""

import os
from collections import Counter
from functools import cache
from typing import Any

import httpx

from app.openapi import document
from tests.support.openapi_document import OpenapiDocument

#: Answers of one kind that are looked at in a process: the same operation, status, parameters and fields.
LOOKS_MAX = int(os.environ.get("ANSWER_LOOKS_MAX", "3"))
_seen: Counter[Any] = Counter()


@cache
def _document() -> OpenapiDocument:
    return OpenapiDocument(document())


def check(answer: httpx.Response) -> None:
    """Fails the test whose answer is not as the document describes it. Streams are not read here."""
    request = answer.request
    path = request.url.raw_path.decode().partition("?")[0]
    name = _document().find(request.method, path)
    media = answer.headers.get("content-type", "")
    if name is None or not media.startswith(("application/json", "application/problem+json")):
        return
    answer.read()
    body = answer.json()
    fields = tuple(body) if isinstance(body, dict) else type(body).__name__
    code = body.get("code") if isinstance(body, dict) else None
    kind = name, answer.status_code, code, fields, tuple(sorted(set(request.url.params)))
    _seen[kind] += 1
    if _seen[kind] <= LOOKS_MAX:
        faults = _document().faults_of_answer(answer)
        assert faults == [], f"{request.method} {request.url.raw_path.decode()} is not as described: {faults}"


def checked_client(**options: Any) -> httpx.Client:
    """A client whose answers are checked."""
    return httpx.Client(**options, event_hooks={"response": [check]})
