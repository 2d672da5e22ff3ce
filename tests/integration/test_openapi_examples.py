"""The examples of /openapi.json are what a server answers. `RECORD_EXAMPLES=1` writes them anew."""

import json
import os
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from app.description.examples import FILE as EXAMPLES
from app.openapi import document
from tests.conftest import Stack, running_stack
from tests.support.openapi_calls import CALLS, RECEIVER, ExampleCall
from tests.support.openapi_document import OpenapiDocument
from tests.support.waits import until
from tests.support.webhooks import SETTINGS

DOCUMENT = OpenapiDocument(document())
#: What is shown in place of secrets, and of the address of a receiver.
SHOWN = {"key": "lb_4f1d2c_…", "token": "eyJhbGciOiJFZERTQSJ9.….…", "secret": "whsec_…"}
SHOWN_RECEIVER = "https://game.example/events"


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with running_stack(tmp_path_factory.mktemp("examples"), tmp_path_factory, SETTINGS) as stack:
        yield stack


class Walk:
    """Makes the calls in turn. made: each with its answer, as the document shows it."""

    def __init__(self, stack: Stack, api: httpx.Client) -> None:
        self._stack = stack
        self._api = api
        self._key_id = ""
        self.made: list[dict[str, Any]] = []
        self.faults: list[str] = []

    def go(self) -> None:
        for call in CALLS:
            self._make(call)

    def _make(self, call: ExampleCall) -> None:
        if call.waits:
            self._stack.wait_flushed()
        path = {name: self._key_id if value == "$key" else value for name, value in call.path.items()}
        url = DOCUMENT.url(call.operation, path)
        if call.operation == "listWebhookDeliveries":
            until(lambda: self._api.get(url).json()["deliveries"], "a delivery", 20)
        headers = {"accept": call.accept, **call.headers}
        sent: dict[str, Any] = {"json": call.body} if call.body is not None else {}
        if call.media is not None:
            headers["content-type"] = call.media
            sent = {"content": call.body}
        method = DOCUMENT.operations[call.operation][0]
        with self._api.stream(method, url, params=call.query, headers=headers, **sent) as answer:
            body = next(answer.iter_bytes()) if call.accept == "text/event-stream" else answer.read()
        assert answer.is_success, f"{call.operation} {call.name}: {body.decode()}"
        self.faults += [f"{call.name}: {fault}" for fault in DOCUMENT.faults_of_answer(answer, body=body)]
        media = answer.headers.get("content-type", "").partition(";")[0]
        value: Any = json.loads(body) if media == "application/json" else body.decode() or None
        if call.operation == "createKey":
            self._key_id = value["id"]
        made = call._asdict() | {"status": answer.status_code, "answer": value, "answer_media": media}
        self.made.append({name: shown(made[name]) for name in SHOWN_FIELDS})


#: What of a call the document shows, and its answer.
SHOWN_FIELDS = ("operation", "name", "path", "query", "body", "media", "status", "answer_media", "answer")


def shown(value: Any) -> Any:
    """A value without secrets and without this machine's addresses."""
    if isinstance(value, list):
        return [shown(item) for item in value]
    if isinstance(value, dict):
        return {name: SHOWN[name] if name in SHOWN else shown(item) for name, item in value.items()}
    return SHOWN_RECEIVER if value == RECEIVER else value


#: What some users have and others do not: whose rows a sample of a board shows is chance.
CHANCE = frozenset({"display_name", "avatar"})


def shape(value: Any) -> Any:
    """What of a value stays the same from run to run: fields, and kinds of values."""
    if isinstance(value, dict):
        return {name: "text or null" if name in CHANCE else shape(item) for name, item in value.items()}
    if isinstance(value, list):
        return [shape(item) for item in value]
    return "number" if isinstance(value, int | float) and not isinstance(value, bool) else type(value).__name__


@pytest.fixture(scope="module")
def walk(stack: Stack) -> Walk:
    with stack.client() as api:
        walk = Walk(stack, api)
        walk.go()
    if os.environ.get("RECORD_EXAMPLES"):
        EXAMPLES.write_text(json.dumps(walk.made, indent=1, ensure_ascii=False) + "\n")
    return walk


def test_every_operation_is_called() -> None:
    assert {call.operation for call in CALLS} == set(DOCUMENT.operations)


@pytest.mark.own_valkey  # It shows what a single Redis answers.
def test_answers_are_as_described(walk: Walk) -> None:
    assert walk.faults == []


@pytest.mark.own_valkey
def test_the_examples_are_what_a_server_answers(walk: Walk) -> None:
    """Of a table and of an event the first line alone: the others tell times and cursors."""
    examples = json.loads(EXAMPLES.read_text())
    assert [shape(one) for one in examples] == [shape(one) for one in walk.made], "RECORD_EXAMPLES=1 writes them anew"
    for one, other in zip(examples, walk.made, strict=True):
        assert one["status"] == other["status"]
        if isinstance(one["answer"], str):
            assert one["answer"].partition("\n")[0] == other["answer"].partition("\n")[0]
