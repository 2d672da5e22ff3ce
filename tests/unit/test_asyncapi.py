"""/asyncapi.json: it is AsyncAPI 3, names every message and close code, and tells what the server takes."""

import asyncio
import json
import re
from pathlib import Path
from typing import Any, get_args

import httpx
import pytest
from jsonschema import Draft7Validator, ValidationError

from app import openapi
from app.asyncapi import document
from app.http.bodies import encode_json
from app.live import protocol
from app.live.close_codes import CLOSE_ADVICE, CloseCode
from app.live.event_stream_handler import QUERY
from app.live.frames import Drain, ServerFrame, UpToDate, kind_of
from app.live.protocol import Message, RefusedMessage, Subscribe
from app.live.views import check_view
from app.model.errors import Invalid, Problem, StoreUnavailable
from app.model.text import check_label
from app.server import Server
from app.services import build_services
from app.settings import Settings
from tests.support.event_streams import Event
from tests.support.live_document import LiveDocument

ROOT = Path(__file__).parents[2]
SUBSCRIBE = {"type": "subscribe", "id": 1, "namespace": "race"}
UP_TO_DATE = {"id": 1, "type": "uptodate", "window": "all", "version": 7}


def test_it_is_put_together_as_asyncapi_3_has_it() -> None:
    """Its parts; `test_asyncapi_schema.py` has the whole schema, which comes from npm."""
    whole = document()
    assert whole["asyncapi"] == "3.0.0"
    assert {"info", "servers", "channels", "operations", "components"} <= set(whole)
    for operation in whole["operations"].values():
        channel = operation["channel"]["$ref"].removeprefix("#/channels/")
        replies = [operation["reply"]] if "reply" in operation else []
        for part in (operation, *replies):
            for message in part["messages"]:
                *place, name = message["$ref"].removeprefix("#/").split("/")
                assert place == ["channels", channel, "messages"]
                assert name in whole["channels"][channel]["messages"]
        assert operation["action"] in ("send", "receive")
    for schema in whole["components"]["schemas"].values():
        Draft7Validator.check_schema(schema)


def test_every_reference_leads_somewhere() -> None:
    references = set(re.findall(r'"\$ref":"#/([^"]+)"', encode_json(document()).decode()))
    for reference in references:
        place: Any = document()
        for name in reference.split("/"):
            place = place[name]
    schemas = {f"components/schemas/{name}" for name in document()["components"]["schemas"]}
    assert schemas - references == set(), "no schema is there for nothing"


@pytest.mark.parametrize("channel", ["live", "livePacked"])
def test_every_message_is_in_it(channel: str) -> None:
    known = {kind.__name__ for kind in (*get_args(Message), *get_args(ServerFrame))}
    assert set(document()["channels"][channel]["messages"]) == known - {"StreamError"}


def test_a_document_tells_each_close_code_as_the_reference_does() -> None:
    page = (ROOT / "docs/reference/live.md").read_text()
    rows = re.findall(r"^\| (4\d\d\d) \| (.+) \| (.+) \|$", page, re.MULTILINE)
    plain = {int(code): (re.sub(r"\[(.+?)\]\(.+?\)", r"\1", meaning), remedy) for code, meaning, remedy in rows}
    assert plain == {int(code): advice for code, advice in CLOSE_ADVICE.items()}
    assert set(CLOSE_ADVICE) == set(CloseCode)
    for code, (meaning, remedy) in plain.items():
        assert f"| {code} | {meaning} | {remedy} |" in document()["channels"]["live"]["description"]


def test_the_query_of_a_stream_is_what_its_handler_takes() -> None:
    query = document()["operations"]["events.watch"]["bindings"]["http"]["query"]
    assert tuple(query["properties"]) == QUERY


def is_taken(message: dict[str, Any]) -> bool:
    """Whether the server takes a client's message, as far as its text alone tells."""
    try:
        parsed = protocol.decode(json.dumps(message))
        if isinstance(parsed, Subscribe):
            check_view(parsed.view)
            if parsed.category is not None:
                check_label(parsed.category, "$.category")
    except Problem:
        return False
    return not isinstance(parsed, RefusedMessage)


@pytest.mark.parametrize(
    "message",
    [
        {"type": "auth", "token": "x" * 4096},
        {"type": "auth", "token": "x" * 4097},
        {"type": "auth"},
        {"type": "ping"},
        {"type": "ping", "id": 1},
        {"type": "pong"},
        {"type": "unsubscribe", "id": 2},
        {"type": "unsubscribe", "id": "2"},
        SUBSCRIBE,
        SUBSCRIBE | {"id": 2**31, "epoch": 3, "version": 4, "resume_window": "2025-11"},
        *(SUBSCRIBE | {"id": number} for number in (-1, 2**31 + 1, 1.5, None)),
        SUBSCRIBE | {"namespace": "x" * 65},
        SUBSCRIBE | {"window": "x" * 81},
        SUBSCRIBE | {"window": None},
        SUBSCRIBE | {"colour": "red"},
        *(SUBSCRIBE | {"category": text} for text in (None, "red", "é" * 64, "", "x" * 65)),
        *(SUBSCRIBE | {"epoch": number} for number in (None, "3", 3.5)),
        *(SUBSCRIBE | {"view": {"kind": "top", "limit": limit}} for limit in (0, 1, 100, 101, "2")),
        SUBSCRIBE | {"view": {"kind": "top", "user": "otter"}},
        *(SUBSCRIBE | {"view": {"kind": "around", "user": "otter", "radius": radius}} for radius in (-1, 0, 25, 26)),
        *(SUBSCRIBE | {"view": {"kind": "around", "user": user}} for user in ("", "x" * 128, "x" * 129, None)),
        SUBSCRIBE | {"view": {"kind": "around"}},
        *(SUBSCRIBE | {"view": {"kind": "users", "users": ["otter"] * count}} for count in (0, 1, 50, 51)),
        SUBSCRIBE | {"view": {"kind": "users", "users": [""]}},
        SUBSCRIBE | {"view": {"kind": "stats"}},
        *(
            SUBSCRIBE | {"view": view}
            for view in ({"kind": "page", "offset": 0, "limit": 3}, {"kind": "stats", "n": 1})
        ),
        SUBSCRIBE | {"view": {}},
    ],
    ids=lambda message: json.dumps(message)[:80],
)
def test_a_schema_takes_what_the_server_takes(message: dict[str, Any]) -> None:
    checks = LiveDocument(document())
    try:
        checks.check("receive", "live", message)
    except (ValidationError, KeyError):
        assert not is_taken(message)
    else:
        assert is_taken(message)


@pytest.mark.parametrize(
    "frame",
    [
        UP_TO_DATE | {"more": 1},
        UP_TO_DATE | {"version": "7"},
        {name: value for name, value in UP_TO_DATE.items() if name != "window"},
        {name: value for name, value in UP_TO_DATE.items() if name != "id"},
        {"type": "auth", "token": "x"},
        {"type": "news"},
    ],
)
def test_a_frame_that_the_document_does_not_tell_is_found(frame: dict[str, Any]) -> None:
    checks = LiveDocument(document())
    checks.check("send", "live", UP_TO_DATE)
    with pytest.raises((ValidationError, KeyError)):
        checks.check("send", "live", frame)


def test_an_event_has_the_lines_of_its_kind() -> None:
    checks = LiveDocument(document())
    body = {name: value for name, value in UP_TO_DATE.items() if name != "id"}
    checks.check_event(Event("uptodate", "1-7-all", body, None, {"event": "uptodate", "id": "1-7-all"}))
    checks.check_event(Event("drain", "", {"type": "drain", "retry_ms": 1}, 9, {"event": "drain", "retry": "9"}))
    for fields in ({"event": "uptodate"}, {"event": "delta", "id": "1-7-all"}, {"event": "uptodate", "id": "1-7"}):
        with pytest.raises(ValidationError):
            checks.check_event(Event("uptodate", "1-7-all", body, None, fields))


@pytest.mark.parametrize("field", [None, "$.view"])
@pytest.mark.parametrize("number", [None, 1])
def test_every_form_of_an_error_is_told(number: int | None, field: str | None) -> None:
    checks = LiveDocument(document())
    for problem in (StoreUnavailable("away", field=field), Invalid("wrong", field=field)):
        checks.check("send", "live", json.loads(encode_json(protocol.error(number, problem))))


def test_the_type_of_a_frame_is_its_tag() -> None:
    assert [kind_of(frame) for frame in (UpToDate("all", 1), Drain(1))] == ["uptodate", "drain"]


@pytest.mark.parametrize("path", ["/asyncapi.json", "/openapi.json"])
def test_who_has_it_gets_304(path: str) -> None:
    async def ask() -> tuple[httpx.Response, httpx.Response]:
        transport = httpx.ASGITransport(Server(build_services(Settings(), 1)).app())
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            first = await client.get(path)
            return first, await client.get(path, headers={"if-none-match": first.headers["etag"]})

    first, second = asyncio.run(ask())
    assert (first.status_code, first.headers["content-type"]) == (200, "application/json")
    assert (second.status_code, second.content) == (304, b"")


def test_each_document_names_the_other() -> None:
    assert openapi.document()["externalDocs"]["url"] == "/asyncapi.json"
    assert "/openapi.json" in document()["channels"]["events"]["description"]
