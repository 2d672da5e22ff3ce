"""Boards and grants as `text/csv`, with the columns of `leaderboard export`. Problems stay JSON."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Scope

from ..http.bodies import JSON, MSGPACK, answer, header
from ..model.csv_cells import CSV, csv_lines
from ..model.namespace import Namespace
from ..transfer.export_tables import TABLES
from .conditional import answer_with_etag, tagged_answer

_TIMES = (datetime,)
_ANSWERED = (CSV, JSON, MSGPACK)
_MEDIA = f"{CSV}; charset=utf-8; header=present"
_BOARD, _GRANT = TABLES["boards"].names, TABLES["grants"].names
#: What a list of grants tells beside the columns of an export.
_STATE = ("recorded_at", "voided", "quarantined", "revision", "epoch", "seq")


def wants_csv(scope: Scope) -> bool:
    """Whether the client likes CSV best of what is answered; of two that it likes alike, the first one named."""
    accept = header(scope, b"accept").lower()
    if CSV not in accept:
        return False
    best, choice = 0.0, ""
    for part in accept.split(","):
        name, *parameters = (text.strip() for text in part.split(";"))
        if name in _ANSWERED and (quality := _quality(parameters)) > best:
            best, choice = quality, name
    return choice == CSV


def _quality(parameters: Sequence[str]) -> float:
    """The `q` of a media type; 1 without one, 0 for what is not wanted."""
    for parameter in parameters:
        if parameter.startswith("q="):
            try:
                return float(parameter[2:])
            except ValueError:
                return 0.0
    return 1.0


def board_answer(
    request: Request, namespace: Namespace, body: Mapping[str, Any], *, is_heavy: bool = False
) -> Response:
    """A board in the client's format. CSV has a row for each entry, behind it what a query adds to entries; the cursor
    of the next page is in the header `Next-Cursor`."""
    if not wants_csv(request.scope):
        return answer_with_etag(request, namespace, body, is_heavy=is_heavy)
    entries = [msgspec.to_builtins(entry, builtin_types=_TIMES) for entry in body["entries"]]
    more = [name for name in (entries[0] if entries else {}) if name not in _BOARD]
    head = (body["namespace"], body["window"], body["category"])
    rows = [(*head, *(entry[name] for name in (*_BOARD[len(head) :], *more))) for entry in entries]
    data = csv_lines([(*_BOARD, *more), *rows])
    return tagged_answer(request, namespace, data, _MEDIA, is_heavy=is_heavy, headers=_page_headers(body))


def grants_answer(request: Request, namespace: Namespace, body: Mapping[str, Any]) -> Response:
    """A page of grants in the client's format. CSV: `Next-Cursor` and `Lag-Seq` are headers."""
    if not wants_csv(request.scope):
        return answer(request, body)
    grants: Sequence[Mapping[str, Any]] = body["grants"]
    names = (*_GRANT[1:], *_STATE)
    rows = [(namespace.name, *(grant.get(name) for name in names)) for grant in grants]
    headers = {**_page_headers(body), "Vary": "Accept, Origin"}
    return Response(csv_lines([(_GRANT[0], *names), *rows]), 200, headers, _MEDIA)


def _page_headers(body: Mapping[str, Any]) -> dict[str, str]:
    """What of a page's body has no place in a table."""
    named = {"Next-Cursor": body.get("next_cursor"), "Lag-Seq": body.get("lag_seq")}
    return {name: str(value) for name, value in named.items() if value is not None}
