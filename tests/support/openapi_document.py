"""The OpenAPI document as a judge: what of an answer, of a parameter or of an example it does not describe."""

import json
import re
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any
from urllib.parse import unquote

import httpx
from jsonschema import Draft202012Validator, FormatChecker
from jsonschema.exceptions import best_match

Schema = dict[str, Any]

METHODS = ("get", "put", "post", "delete", "patch")
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
FORMATS = FormatChecker(())
FORMATS.checks("date-time")(lambda value: not isinstance(value, str) or _MOMENT.fullmatch(value) is not None)


class OpenapiDocument:
    """A document with all of its objects closed: a field that it does not name is a fault, although a client has to
    take one."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._components = {**document["components"], "schemas": _closed(document["components"]["schemas"])}
        self.operations: dict[str, tuple[str, str, Schema]] = {
            operation["operationId"]: (method, path, operation)
            for path, item in document["paths"].items()
            for method, operation in item.items()
            if method in METHODS
        }
        self._validators: dict[str, Draft202012Validator] = {}

    @cached_property
    def _patterns(self) -> list[tuple[re.Pattern[str], str, str]]:
        """Pattern, method and operation. A fixed segment goes before a parameter in its place."""
        rows = []
        for name, (method, path, _) in sorted(self.operations.items(), key=lambda row: row[1][1].count("{")):
            pattern = re.sub(r"\\{\w+\\}", "[^/]+", re.escape(path))
            rows.append((re.compile(pattern), method, name))
        return rows

    def find(self, method: str, path: str) -> str | None:
        """The operation of a request, whose path is as it was sent; None where the document has none."""
        for pattern, known, name in self._patterns:
            if known == method.lower() and pattern.fullmatch(path):
                return name
        return None

    def resolve(self, node: Schema) -> Schema:
        """What a reference leads to; anything else stays."""
        if "$ref" not in node:
            return node
        place: Any = {"components": self._components}
        for part in node["$ref"].removeprefix("#/").split("/"):
            place = place[part]
        return dict(place)

    def faults_of_value(self, schema: Schema, value: Any) -> list[str]:
        """Why a value is not what a schema says; nothing if it is."""
        key = json.dumps(schema, sort_keys=True)
        if key not in self._validators:
            whole = {**_closed(schema), "components": self._components}
            self._validators[key] = Draft202012Validator(whole, format_checker=FORMATS)
        error = best_match(self._validators[key].iter_errors(value))
        return [] if error is None else [f"{error.json_path}: {error.message[:300]}"]

    def faults_of_answer(self, answer: httpx.Response, *, body: bytes | None = None) -> list[str]:
        """What the document does not say of an answer. body: what is known of a stream."""
        request = answer.request
        name = self.find(request.method, request.url.raw_path.decode().partition("?")[0])
        if name is None:
            return []
        operation = self.operations[name][2]
        content = answer.content if body is None else body
        return [f"{name} {answer.status_code}: {fault}" for fault in self._faults(operation, answer, content)]

    def _faults(self, operation: Schema, answer: httpx.Response, content: bytes) -> Iterator[str]:
        status = str(answer.status_code)
        media = answer.headers.get("content-type", "").partition(";")[0]
        described = operation["responses"].get(status)
        if media == "application/problem+json":
            yield from self._faults_of_problem(operation, answer, described)
            return
        if described is None:
            yield f"the status is not described: {content[:200]!r}"
        elif not content:
            if "content" in described and status != "304":
                yield "the body is empty"
        elif media == "application/msgpack":
            pass  # The same as JSON, by the description of the whole document.
        elif media not in described.get("content", {}):
            yield f"{media} is not described"
        elif media == "application/json":
            yield from self.faults_of_value(described["content"][media]["schema"], json.loads(content))

    def _faults_of_problem(self, operation: Schema, answer: httpx.Response, described: Schema | None) -> Iterator[str]:
        problem = answer.json()
        shown = (described or operation["responses"]["default"])["content"]["application/problem+json"]
        yield from self.faults_of_value(shown["schema"], problem)
        default = operation["responses"]["default"]["content"]["application/problem+json"]
        if problem["code"] not in {**shown["examples"], **default["examples"]}:
            yield f"the code {problem['code']} is not described: {problem['detail']}"
        headers = (described or {}).get("headers", {})
        if "Retry-After" in headers and "retry-after" not in answer.headers:
            yield "there is no Retry-After"

    def url(self, name: str, path: Mapping[str, Any]) -> str:
        """The path of an operation with its parameters."""
        return re.sub(r"{(\w+)}", lambda match: _quoted(str(path[match[1]])), self.operations[name][1])


def _quoted(text: str) -> str:
    return text if re.fullmatch(r"[\w.~-]+", text) else "".join(f"%{byte:02X}" for byte in unquote(text).encode())


def _closed(node: Any) -> Any:
    """Every object that names its properties has no others."""
    if isinstance(node, list):
        return [_closed(part) for part in node]
    if not isinstance(node, dict):
        return node
    parts = {key: _closed(value) for key, value in node.items()}
    is_object = "object" in parts.get("type", ()) and isinstance(parts.get("properties"), dict)
    return {"additionalProperties": False, **parts} if is_object else parts
