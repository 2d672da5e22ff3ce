"""Answers about grants: receipts, results of a batch's members, and the problem of a whole request."""

from typing import Any

import msgspec

from ..http.bodies import JSON, MSGPACK, decode
from ..metrics import GRANTS
from ..model.errors import Problem, problem_of

_grant_id = {JSON: msgspec.json.Decoder(dict[str, Any]), MSGPACK: msgspec.msgpack.Decoder(dict[str, Any])}
_UNAPPLIED = problem_of("unapplied").detail


class Receipt(msgspec.Struct, omit_defaults=True):
    """The answer for a grant that counted now or before. A duplicate has the current scores. voided: it was voided
    since; quarantined: it waits for an admin's decision. Neither is part of the scores."""

    status: str
    grant_id: str
    namespace: str
    user_id: str
    score: int | float | None
    previous_score: int | float | None
    seq: int | None
    epoch: int | None
    ack: str
    voided: bool = False
    quarantined: bool = False


class RankedReceipt(Receipt, kw_only=True):
    """A receipt with ranks on the `all` board: of `score` and of `previous_score` among the other users, both as the
    board was right after the request."""

    rank: int | None
    previous_rank: int | None


class CorrectionReceipt(Receipt, kw_only=True):
    """The answer for a correction; `revision` is the grant's new one."""

    revision: int


def unreadable_member(member: Any, media: str, problem: Problem) -> dict[str, Any]:
    """The result of a member that could not be read, with its grant_id if that can be read."""
    try:
        grant_id = decode(_grant_id[media], member).get("grant_id")
    except Problem:
        grant_id = None
    return refused_member(grant_id if isinstance(grant_id, str) else None, problem)


def refused_member(grant_id: str | None, problem: Problem) -> dict[str, Any]:
    """The result of a member that was refused."""
    return {"status": "rejected", "grant_id": grant_id, "error": {**problem.body(), "retryable": problem.retryable}}


def batch_summary(results: list[Any]) -> dict[str, Any]:
    """A batch's answer. If all members were refused for the same passing cause, that problem is raised."""
    counts = {"applied": 0, "duplicate": 0, "rejected": 0, "quarantined": 0}
    for result in results:
        counts[result["status"] if isinstance(result, dict) else result.status] += 1
    for status, count in counts.items():
        GRANTS.labels(status).inc(count)
    if not counts["quarantined"]:
        del counts["quarantined"]
    if counts["rejected"] == len(results) and all(result["error"]["retryable"] for result in results):
        raise BatchRefused(results[0]["error"], None)
    return {**counts, "results": results}


class BatchRefused(Problem):
    """A member's problem, as the problem of the whole request."""

    def __init__(self, error: dict[str, Any], field: str | None) -> None:
        super().__init__(error["detail"], field=field, retry_after_s=1 if error["retryable"] else None)
        self.status, self.code = error["status"], error["code"]  # type: ignore[misc]
        self.__doc__ = error["title"]


def raise_first_refusal(results: list[Any]) -> None:
    """Raises the first member's error that is not merely "another member failed", as the problem of the whole
    request."""
    for i, result in enumerate(results):
        if isinstance(result, dict) and result["error"]["detail"] != _UNAPPLIED:
            error = result["error"]
            field = error.get("field", "$")
            raise BatchRefused(error, f"$[{i}]{field[1:]}" if field.startswith("$") else f"$[{i}]")
