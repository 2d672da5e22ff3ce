"""What goes over live connections, beside /asyncapi.json: each message is checked by its schema, and noted.

The document leaves what the server sends open, so that a later version may add a member. Here it is closed: a member of
which the document does not tell is an error.
"""

import copy
from datetime import datetime
from typing import Any
from urllib.parse import parse_qs

import msgspec
from jsonschema import Draft7Validator
from referencing import Registry
from referencing.jsonschema import DRAFT7

from tests.support.event_streams import Event

_URI = "urn:document"


class LiveDocument:
    """The document. seen: channel and name of each message that was checked."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.channels: dict[str, Any] = document["channels"]
        self.seen: set[tuple[str, str]] = set()
        strict = copy.deepcopy(document)
        for schema in strict["components"]["schemas"].values():
            schema.setdefault("additionalProperties", False)
        self._registry: Registry[Any] = Registry().with_resource(_URI, DRAFT7.create_resource(strict))
        self._names: dict[tuple[str, str, str], str] = {}
        for operation in strict["operations"].values():
            self._note(operation["action"], operation)
            if "reply" in operation:
                self._note("send", operation["reply"])

    @property
    def messages(self) -> set[tuple[str, str]]:
        """All messages: channel and name."""
        return {(channel, name) for channel, one in self.channels.items() for name in one["messages"]}

    def check(self, action: str, channel: str, body: Any) -> str:
        """Checks a message by its schema; its name. action: what the server does with it, send or receive.
        ValidationError, KeyError: the document has no such message in this direction."""
        name = self._names[action, channel, body["type"]]
        self._validator(f"/channels/{channel}/messages/{name}/payload").validate(body)
        self.seen.add((channel, name))
        return name

    def check_packed(self, action: str, channel: str, data: bytes) -> Any:
        """The same of a message in MessagePack; returns it. Its moments are of MessagePack."""
        body = msgspec.msgpack.decode(data)
        assert all(body.get(name) is None or isinstance(body[name], datetime) for name in ("starts", "ends"))
        self.check(action, channel, msgspec.to_builtins(body))
        return body

    def check_event(self, event: Event) -> None:
        """The same of an event, its other lines included."""
        name = self.check("send", "events", event.body)
        retry = {} if event.retry_ms is None else {"retry": event.retry_ms}
        self._validator(f"/channels/events/messages/{name}/headers").validate(event.fields | retry)

    def check_request(self, query: str, fields: dict[str, str]) -> None:
        """Checks the query and the header fields of a request for events, which has no body."""
        values = parse_qs(query, keep_blank_values=True)
        numbers = {name: int(values[name][0]) for name in ("limit", "radius") if name in values}
        plain = {name: texts if name == "user" else texts[0] for name, texts in values.items()} | numbers
        self._validator("/operations/events.watch/bindings/http/query").validate(plain)
        self._validator("/channels/events/messages/Watch/bindings/http/headers").validate(fields)
        self.seen.add(("events", "Watch"))

    def _note(self, action: str, use: dict[str, Any]) -> None:
        channel = use["channel"]["$ref"].removeprefix("#/channels/")
        for message in use["messages"]:
            name = message["$ref"].rpartition("/")[2]
            kind = self.channels[channel]["messages"][name]["name"]
            assert self._names.setdefault((action, channel, kind), name) == name

    def _validator(self, pointer: str) -> Draft7Validator:
        return Draft7Validator({"$ref": f"{_URI}#{pointer}"}, registry=self._registry)
