"""A problem as the bytes of a whole HTTP answer, after which the connection closes."""

import msgspec
from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from ..model.errors import Problem


def whole_answer(problem: Problem) -> bytes:
    """Status line, header fields and body."""
    body = msgspec.json.encode(problem.body())
    fields = b"content-type: application/problem+json\r\ncontent-length: %d\r\nconnection: close\r\n" % len(body)
    if problem.retryable:
        fields += b"retry-after: %d\r\n" % (problem.retry_after_s or 1)
    return STATUS_LINE[problem.status] + fields + b"\r\n" + body
