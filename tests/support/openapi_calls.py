"""A walk through all operations, as a small season needs them: the calls whose answers are the examples of
/openapi.json."""

from typing import Any, NamedTuple

_NONE: dict[str, Any] = {}
SPACE, TEAMS = "f1-2021", "f1-2021-teams"
#: Nobody listens there. The examples show another address.
RECEIVER = "http://127.0.0.1:9/events"
SILVERSTONE = "race-1061-verstappen"


class ExampleCall(NamedTuple):
    """One call. operation, name: of which operation, and by which name it is shown; path, query, headers, body: what is
    sent; media: of a body that is a text; waits: whether the ledger has to have everything first; accept: the media
    type of the answer."""

    operation: str
    name: str
    path: dict[str, Any] = _NONE
    query: dict[str, Any] = _NONE
    body: Any = None
    media: str | None = None
    waits: bool = False
    accept: str = "application/json"
    headers: dict[str, str] = _NONE


def _grant(user: str, amount: float, team: str, second: int) -> dict[str, Any]:
    return {
        "grant_id": f"race-1061-{user}",
        "user_id": user,
        "amount": amount,
        "category": team,
        "source": "race",
        "source_id": "1061",
        "action": "finish",
        "session_id": "silverstone",
        "granted_at": f"2021-07-18T15:58:{second:02}Z",
        "meta": {"laps": 52},
    }


_IN = {"namespace": SPACE}
_ALL = {"namespace": SPACE, "window": "all"}
_USER = {"user": "verstappen"}
_USER_IN = {"namespace": SPACE, "user": "verstappen"}
_GRANT = {"namespace": SPACE, "grant_id": SILVERSTONE}
_IMPORT = {"namespace": SPACE, "import_id": "from-redis"}
_HOOK = {"id": "f1-page"}
_USERS = ["verstappen", "hamilton", "senna"]
_RANGE = {"since": "2021-07-18T00:00:00Z", "until": "2021-07-19T00:00:00Z"}
_RULES = {
    "display_name": "Season 2021",
    "visibility": "public",
    "group": "f1",
    "accept_past": None,
    "streaks": True,
    "category_boards": True,
    "bands": [{"name": "podium", "up_to": 0.3}, {"name": "rest", "up_to": 1}],
}
_LINES = "\n".join(
    f'{{"grant_id": "race-1061-{user}", "user_id": "{user}", "amount": {amount}, "granted_at": "2021-07-18T15:59:05Z"}}'
    for user, amount in (("ricciardo", 10), ("sainz", 8))
)

CALLS = (
    ExampleCall("getHealth", "alive"),
    ExampleCall("getReadiness", "ready"),
    ExampleCall("putNamespace", "new", _IN, body=_RULES),
    ExampleCall("putNamespace", "changed", _IN, body={**_RULES, "amount_max": 26}),
    ExampleCall("putNamespace", "teams", {"namespace": TEAMS}, body={"group": "f1", "accept_past": None}),
    ExampleCall("getNamespace", "rules", _IN),
    ExampleCall("listNamespaces", "two", query={"prefix": "f1-2021"}),
    ExampleCall("createGrants", "one", _IN, body=_grant("verstappen", 18, "red_bull", 31)),
    ExampleCall("createGrants", "again", _IN, body=_grant("verstappen", 18, "red_bull", 31)),
    ExampleCall(
        "createGrants",
        "batch",
        _IN,
        body=[
            _grant("hamilton", 25, "mercedes", 23),
            _grant("leclerc", 18, "ferrari", 27),
            _grant("norris", 27, "x", 51),
        ],
    ),
    ExampleCall("createGrants", "lines", _IN, body=_LINES, media="application/x-ndjson"),
    ExampleCall("createGrants", "dry_run", _IN, {"dry_run": True}, body=[_grant("bottas", 15, "mercedes", 34)]),
    ExampleCall(
        "createGrantsAcrossNamespaces",
        "atomic",
        query={"atomic": True, "rank": True},
        body=[
            {"namespace": SPACE, "grant_id": "race-1061-norris", "user_id": "norris", "amount": 12},
            {"namespace": TEAMS, "grant_id": "race-1061-norris", "user_id": "mclaren", "amount": 12},
        ],
    ),
    ExampleCall(
        "createGrantsAcrossNamespaces",
        "one",
        body={"namespace": TEAMS, "grant_id": "race-1061-leclerc", "user_id": "ferrari", "amount": 18},
    ),
    ExampleCall(
        "createGrantsAcrossNamespaces",
        "again",
        body={"namespace": TEAMS, "grant_id": "race-1061-leclerc", "user_id": "ferrari", "amount": 18},
    ),
    ExampleCall(
        "putUserProfile",
        "name",
        _USER,
        body={"display_name": "Max Verstappen", "avatar": "https://example.org/33.png", "timezone": "Europe/Amsterdam"},
    ),
    ExampleCall("getUserProfile", "profile", _USER, waits=True),
    ExampleCall("putNamespaceProfile", "name", _USER_IN, body={"display_name": "Verstappen (33)"}),
    ExampleCall("getBoard", "top", _ALL, {"limit": 2}),
    ExampleCall("getBoard", "around", _ALL, {"around": "verstappen", "radius": 1, "include": "streak,updated_at"}),
    ExampleCall("getBoard", "users", _ALL, {"user": _USERS}),
    ExampleCall("getBoard", "bounds", _ALL, {"min_score": 10, "max_score": 20, "exclusive": "min"}),
    ExampleCall("getBoard", "past", _ALL, {"as_of": "2021-01-01T00:00:00Z"}, waits=True),
    ExampleCall("getBoard", "table", _ALL, {"limit": 2}, accept="text/csv"),
    ExampleCall("getBoardStats", "whole", _ALL, {"histogram": 2, "percentiles": "25,50,75"}),
    ExampleCall("watchBoard", "top", _ALL, {"limit": 2}, accept="text/event-stream"),
    ExampleCall("compareNamespaces", "two", query={"prefix": "f1-2021", "window": "all"}),
    ExampleCall(
        "getManyBoardStats", "two", body={"boards": [{"namespace": SPACE}, {"namespace": "no-such-namespace"}]}
    ),
    ExampleCall("countBoardUsers", "bounds", _ALL, {"min_score": 10}),
    ExampleCall("sampleBoard", "two", _ALL, {"n": 2}),
    ExampleCall("getBoardRow", "first", {**_ALL, "position": 1}),
    ExampleCall("getScoreAtPercentile", "ninety", {**_ALL, "percentile": 90}),
    ExampleCall("getRankOfScore", "twenty", {**_ALL, "score": 20}),
    ExampleCall(
        "getManyBoards", "two", body={"boards": [{"namespace": SPACE, "limit": 1}, {"namespace": "no-such-one"}]}
    ),
    ExampleCall("rankUsers", "windows", _IN, body={"users": _USERS, "windows": ["all", "2021-07"]}),
    ExampleCall("getTotals", "users", _IN, body={"users": _USERS}),
    ExampleCall("searchUsers", "beginning", _IN, {"q": "ver"}, waits=True),
    ExampleCall("getUserRanks", "ranks", _USER_IN),
    ExampleCall("listUserStandings", "everywhere", _USER, {"limit": 1}),
    ExampleCall(
        "putWebhook",
        "new",
        _HOOK,
        body={"url": RECEIVER, "namespaces": "f1-2021", "types": ["granted", "voided"]},
    ),
    ExampleCall(
        "putWebhook",
        "changed",
        _HOOK,
        body={"url": RECEIVER, "namespaces": "f1-2021", "types": ["edited"], "include": ["meta"]},
    ),
    ExampleCall("getWebhook", "one", _HOOK),
    ExampleCall("listWebhooks", "one"),
    ExampleCall("getGrant", "grant", _GRANT),
    ExampleCall("voidGrant", "dry_run", _GRANT, {"dry_run": True}),
    ExampleCall("editGrant", "amount", _GRANT, body={"amount": 25, "reason": "the other way round", "revision": 1}),
    ExampleCall("voidGrant", "void", _GRANT, {"reason": "wrong race", "revision": 2}),
    ExampleCall("restoreGrant", "restore", _GRANT, body={"reason": "the right one"}),
    ExampleCall(
        "correctGrants",
        "two",
        _IN,
        body=[
            {"grant_id": "race-1061-hamilton", "op": "edit", "amount": 18, "reason": "the other way round"},
            {"grant_id": "race-1061-senna", "op": "void"},
        ],
        headers={"idempotency-key": "undo-7"},
    ),
    ExampleCall("listGrants", "of_source", _IN, {"source": "race", "source_id": "1061", "limit": 1}, waits=True),
    ExampleCall("listGrants", "table", _IN, {"source": "race", "source_id": "1061", "limit": 1}, accept="text/csv"),
    ExampleCall("listUserGrants", "all", _USER_IN),
    ExampleCall("listUserGrants", "table", _USER_IN, accept="text/csv"),
    ExampleCall("explainScore", "all", _USER_IN),
    ExampleCall("getUserActivity", "day", _USER_IN, _RANGE),
    ExampleCall("getNamespaceActivity", "day", _IN, _RANGE),
    ExampleCall("getManyUserActivity", "day", _IN, body={"users": _USERS, **_RANGE}),
    ExampleCall("getTrends", "days", _IN, {"bucket": "day", **_RANGE}),
    ExampleCall("listEvents", "first", _IN, {"limit": 3}),
    ExampleCall("listEvents", "edited", _IN, {"type": "edited"}),
    ExampleCall("hideUserInNamespace", "hide", _USER_IN),
    ExampleCall("unhideUserInNamespace", "unhide", _USER_IN),
    ExampleCall("hideUser", "hide", _USER),
    ExampleCall("unhideUser", "unhide", _USER),
    ExampleCall("putImportLease", "lease", _IMPORT),
    ExampleCall("deleteImportLease", "end", _IMPORT),
    ExampleCall("listWebhookDeliveries", "failing", _HOOK),
    ExampleCall("resendWebhookMessages", "dead", _HOOK, body={"state": "dead"}),
    ExampleCall("deleteWebhook", "delete", _HOOK),
    ExampleCall("createToken", "hour", body={"user_id": "verstappen", "namespaces": ["f1-*"], "expires_in_s": 3600}),
    ExampleCall("createKey", "game", body={"name": "game server", "scopes": ["read:f1-*", "write:f1-*"]}),
    ExampleCall("listKeys", "all"),
    ExampleCall("rotateKey", "grace", {"id": "$key"}, body={"grace_s": 3600}),
    ExampleCall("revokeKey", "revoke", {"id": "$key"}),
    ExampleCall("eraseUser", "erase", {"user": "sainz"}),
    ExampleCall("deleteNamespace", "teams", {"namespace": TEAMS}, {"confirm": TEAMS}),
    ExampleCall("deleteNamespace", "season", _IN, {"confirm": SPACE}),
)
