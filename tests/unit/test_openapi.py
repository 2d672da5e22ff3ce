"""/openapi.json: every operation says what a generated client and its reader need, and each example is valid."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.openapi import OPERATIONS, document
from app.routes import ROUTES, Route
from tests.support.openapi_document import OpenapiDocument

ROOT = Path(__file__).parents[2]
WHOLE = document()
DOCUMENT = OpenapiDocument(WHOLE)
NAMES = list(DOCUMENT.operations)
PROBLEM = "application/problem+json"


def operation_of(name: str) -> dict[str, Any]:
    return DOCUMENT.operations[name][2]


@pytest.mark.parametrize("package", ["app", "leaderboard_server"])
def test_the_description_is_the_services_own_under_both_names(package: str) -> None:
    code = f"import json; from {package}.openapi import document; print(json.dumps(document()['info']))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    about = "A realtime leaderboard server on Redis whose every number can be proven from an append-only ledger."
    assert json.loads(done.stdout)["description"].startswith(f"{about}\n\n")


def test_operations_are_named_once_and_each_is_of_a_route() -> None:
    described = [route.name for route in ROUTES if route.is_described]
    assert sorted(described) == sorted(OPERATIONS)
    assert sorted(described) == sorted(NAMES)
    assert len({route.name for route in ROUTES}) == len(ROUTES)
    assert [name for name in described if not re.fullmatch(r"[a-z]+([A-Z][a-z]+)+", name)] == []


def test_a_server_is_named() -> None:
    assert WHOLE["servers"][0]["url"] == "/"
    assert all(server["description"] for server in WHOLE["servers"])


@pytest.mark.parametrize("name", NAMES)
def test_an_operation_says_what_it_does_and_who_may(name: str) -> None:
    operation = operation_of(name)
    route = next(route for route in ROUTES if route.name == name)
    assert re.fullmatch(r"[A-Z].{3,60}[^.]", operation["summary"])
    assert len(operation["description"]) > len(operation["summary"])
    assert operation["description"].endswith(".")
    assert [tag for tag in operation["tags"] if tag not in {one["name"] for one in WHOLE["tags"]}] == []
    assert len(operation["tags"]) == 1
    assert operation["security"] == security_of(route)
    assert route.required.scope is None or f"`{route.required.scope}`" in operation["description"]


def security_of(route: Route) -> list[dict[str, list[str]]]:
    if route.required.scope is None:
        return []
    return [{"key": [route.required.scope]}, {}] if route.required.is_public else [{"key": [route.required.scope]}]


@pytest.mark.parametrize("name", NAMES)
def test_each_parameter_is_described_and_has_a_valid_example(name: str) -> None:
    operation = operation_of(name)
    for parameter in operation["parameters"]:
        assert parameter["description"].endswith("."), parameter["name"]
        assert DOCUMENT.faults_of_value(parameter["schema"], parameter["example"]) == [], parameter["name"]
    of_path = [one["name"] for one in operation["parameters"] if one["in"] == "path" and one["required"]]
    assert of_path == re.findall(r"{(\w+)}", DOCUMENT.operations[name][1])


@pytest.mark.parametrize("name", NAMES)
def test_bodies_and_answers_have_valid_examples(name: str) -> None:
    operation = operation_of(name)
    parts = [("request", operation["requestBody"])] if "requestBody" in operation else []
    parts += [row for row in operation["responses"].items() if row[0] not in ("204", "304")]
    for what, part in parts:
        for media, content in part["content"].items():
            assert content["examples"], f"{what} {media} has no example"
            for shown in content["examples"].values():
                value = DOCUMENT.resolve(shown)["value"]
                assert DOCUMENT.faults_of_value(content["schema"], value) == [], f"{what} {media}"
    for status in ("204", "304"):
        assert "content" not in operation["responses"].get(status, {})


@pytest.mark.parametrize("name", NAMES)
def test_a_success_and_the_problems_are_described(name: str) -> None:
    responses = operation_of(name)["responses"]
    assert any(status.startswith("2") for status in responses)
    assert responses["default"]["content"][PROBLEM]["schema"] == {"$ref": "#/components/schemas/Problem"}
    for status, response in responses.items():
        for code, example in response.get("content", {}).get(PROBLEM, {}).get("examples", {}).items():
            value = DOCUMENT.resolve(example)["value"]
            assert value["code"] == code
            assert status in ("default", str(value["status"]))
        if status == "429" or (status == "503" and PROBLEM in response["content"]):
            assert "Retry-After" in response["headers"]


def test_nothing_is_described_for_nothing() -> None:
    used = set(re.findall(r'"#/components/(\w+/\w+)"', json.dumps(WHOLE)))
    mapped = {path.removeprefix("schemas/") for path in used if path.startswith("schemas/")}
    assert set(WHOLE["components"]["schemas"]) == mapped
    assert {f"headers/{name}" for name in WHOLE["components"]["headers"]} <= used


#: What generators of clients read badly or not at all.
_HARD = ("anyOf", "allOf", "not", "patternProperties", "prefixItems", "const")


def test_schemas_have_the_forms_that_generators_read() -> None:
    def hard(node: Any) -> list[str]:
        if isinstance(node, list):
            return [word for part in node for word in hard(part)]
        if not isinstance(node, dict):
            return []
        return [word for word in _HARD if word in node] + [word for part in node.values() for word in hard(part)]

    assert hard(WHOLE["components"]["schemas"]) == []


def test_names_of_schemas_give_no_name_twice_in_go() -> None:
    """Its generator makes a function `NewX` for each X, and its words are without case."""
    names = list(WHOLE["components"]["schemas"])
    assert len({name.lower() for name in names}) == len(names)
    assert [name for name in names if f"New{name}" in names] == []


def test_numbers_have_room_and_nothing_has_a_default_to_send() -> None:
    """Without a format a generator takes 32 bits. A default makes clients send what the server may refuse beside
    another parameter, or ask for a value that may be absent."""

    def faults(node: Any) -> list[str]:
        if isinstance(node, list):
            return [fault for part in node for fault in faults(part)]
        if not isinstance(node, dict):
            return []
        kinds = node.get("type", ())
        is_short = not {"integer", "number"}.isdisjoint([kinds] if isinstance(kinds, str) else kinds)
        here = ["default"] if "default" in node else []
        here += [str(node)] if is_short and node.get("format") not in ("int64", "double") else []
        return here + [fault for part in node.values() for fault in faults(part)]

    schemas = [WHOLE["components"]["schemas"]]
    schemas += [one["schema"] for name in NAMES for one in operation_of(name)["parameters"]]
    assert faults(schemas) == []


def answer(method: str, path: str, status: int, body: Any, media: str = "application/json") -> httpx.Response:
    request = httpx.Request(method, f"http://test{path}")
    headers = {"content-type": media}
    return httpx.Response(status, headers=headers, content=json.dumps(body).encode(), request=request)


COUNT = {
    "namespace": "race",
    "window": "all",
    "starts": None,
    "ends": None,
    "category": None,
    "epoch": 1,
    "version": 2,
    "total": 3,
    "count": 3,
}
MISSING = {"type": "urn:leaderboard:problem:board_not_found", "title": "…", "status": 404, "detail": "…"}


@pytest.mark.parametrize(
    ("status", "body", "fault"),
    [
        (200, COUNT, None),
        (200, {**COUNT, "more": 1}, "more"),
        (200, {**COUNT, "count": None}, "None is not of type 'integer'"),
        (200, {name: COUNT[name] for name in list(COUNT)[1:]}, "'namespace' is a required property"),
        (200, {**COUNT, "starts": "2021-07-18 12:00"}, "date-time"),
        (201, COUNT, "the status is not described"),
        (404, {**MISSING, "code": "board_not_found"}, None),
        (404, {**MISSING, "code": "grant_not_found"}, "grant_not_found is not described"),
        (404, {**MISSING, "code": "no_such_code"}, "no_such_code"),
        (404, {"code": "board_not_found"}, "required property"),
    ],
)
def test_an_answer_that_is_not_described_is_found(status: int, body: Any, fault: str | None) -> None:
    media = PROBLEM if status == 404 else "application/json"
    faults = DOCUMENT.faults_of_answer(
        answer("GET", "/v1/namespaces/race/boards/all/count?min_score=1", status, body, media)
    )
    assert faults == [] if fault is None else fault in faults[0]
