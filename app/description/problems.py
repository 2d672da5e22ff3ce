"""Problems as the document has them: one schema, an example for each code, and the codes of a response."""

from collections.abc import Iterator

from ..model import key_problem, webhook_problem
from ..model.errors import Problem
from .schema import BOOLEAN, INTEGER, TEXT, Schema, object_of, said

PROBLEM_MEDIA = "application/problem+json"
#: Where problems are defined; a class elsewhere only repeats one of them.
_MODULES = {Problem.__module__, key_problem.__name__, webhook_problem.__name__}


def _kinds(kind: type[Problem]) -> Iterator[type[Problem]]:
    for inner in kind.__subclasses__():
        if inner.__module__ in _MODULES:
            yield inner
            yield from _kinds(inner)


def _by_code() -> dict[str, type[Problem]]:
    kinds: dict[str, type[Problem]] = {Problem.code: Problem}
    for kind in _kinds(Problem):
        kinds.setdefault(kind.code, kind)
    return kinds


#: The first class that has a code: the others are more precise in their details only.
KINDS = _by_code()

_FIELDS: dict[str, Schema] = {
    "type": said({**TEXT, "format": "uri"}, "`urn:leaderboard:problem:` and the code."),
    "title": said(TEXT, "What the code means, for people."),
    "status": said(INTEGER, "The HTTP status."),
    "code": {"type": "string", "enum": sorted(KINDS), "description": "The stable part: decide by it."},
    "detail": said(TEXT, "What is wrong with this request, for people. The words may change."),
}
_FIELD = {
    "field": said(TEXT, "Where the fault is: `$.amount` in the body, `?limit` in the query, `{user}` in the path.")
}

PROBLEMS: dict[str, Schema] = {
    "Problem": object_of("Problem details, RFC 9457.", _FIELDS, optional=_FIELD),
    "MemberProblem": object_of(
        "The problem of one member of a request.",
        {**_FIELDS, "retryable": said(BOOLEAN, "Whether the same member may be taken later, unchanged.")},
        optional=_FIELD,
    ),
}
#: Details and fields of the examples, where the title says too little.
_DETAILS: dict[str, tuple[str, str | None]] = {
    "bad_request": ("the body is not JSON: unexpected end of data", None),
    "unauthorized": ("this needs a key: Authorization: Bearer <key>", None),
    "forbidden": ("the key needs the scope write:f1-2021", None),
    "namespace_not_found": (
        "there is no namespace 'f1-2021'; create it with PUT /v1/namespaces/{name}",
        None,
    ),
    "user_not_found": ("'verstappen' has no grant in 'f1-2021'", None),
    "grant_not_found": ("there is no grant 'race-1061-verstappen' in 'f1-2021'", None),
    "grant_conflict": ("this grant_id was used for a grant with other content", "$.grant_id"),
    "invalid": ("must be an integer from 1 to 1000", "?limit"),
    "amount_scale": ("only whole numbers are kept here", "$.amount"),
    "amount_range": ("the amount must lie from 0 (amount_min) to 26 (amount_max)", "$.amount"),
    "revision_conflict": ("the grant is at revision 2", "$.revision"),
    "too_large": ("a body of at most 65536 bytes is taken here", None),
    "velocity": ("the user has reached a velocity of the namespace", "$.user_id"),
    "store_unavailable": ("Redis does not answer", None),
}


def example_of(code: str) -> Schema:
    """A problem with this code, as an Example Object."""
    kind = KINDS[code]
    title = (kind.__doc__ or "").strip()
    detail, field = _DETAILS.get(code, (title, None))
    value = {"type": f"urn:leaderboard:problem:{code}", "title": title, "status": kind.status, "code": code}
    value["detail"] = detail
    return {"summary": title, "value": value | ({} if field is None else {"field": field})}


def by_status(codes: tuple[str, ...]) -> dict[int, list[str]]:
    """The codes of each status, both in order."""
    statuses: dict[int, list[str]] = {}
    for code in sorted(codes, key=lambda code: (KINDS[code].status, code)):
        statuses.setdefault(KINDS[code].status, []).append(code)
    return statuses
