"""Examples of requests and answers. `examples.json` has what a server answered to a walk through all operations; a test
walks again and finds whether an answer has another shape by now."""

import json
from functools import cache
from pathlib import Path
from typing import Any

#: Where the calls are kept.
FILE = Path(__file__).with_name("examples.json")
#: Answers that no quiet server gives: of those it gives for the same operation they differ in these fields.
_RARE: dict[tuple[str, str], dict[str, Any]] = {
    **{
        (name, "202"): {"pending": 1}
        for name in ("hideUser", "unhideUser", "hideUserInNamespace", "unhideUserInNamespace")
    },
    ("putUserProfile", "202"): {},
    ("putNamespaceProfile", "202"): {},
    ("createKey", "202"): {},
    ("rotateKey", "202"): {},
    ("getReadiness", "503"): {"status": "unavailable", "degraded": ["Redis does not answer"], "lag_seq": None},
    ("eraseUser", "202"): {"user_id": "verstappen", "status": "erasing"},
}


@cache
def recorded() -> dict[str, list[dict[str, Any]]]:
    """The calls of each operation: `name`, `path`, `query`, `body`, `media`, `status`, `answer`."""
    calls: dict[str, list[dict[str, Any]]] = {}
    for call in json.loads(FILE.read_text()):
        calls.setdefault(call["operation"], []).append(call)
    return calls


def request_examples(operation: str, *, media: str) -> dict[str, Any]:
    """Bodies of requests, by name, as Example Objects."""
    calls = recorded().get(operation, [])
    return {
        call["name"]: {"value": call["body"]}
        for call in calls
        if call.get("body") is not None and _media(call) == media
    }


def answer_examples(operation: str, status: str, *, media: str) -> dict[str, Any]:
    """Answers of a status, by the name of their call, as Example Objects."""
    calls = [call for call in recorded().get(operation, []) if call["answer"] is not None]
    shown = {
        call["name"]: {"value": call["answer"]}
        for call in calls
        if str(call["status"]) == status and call["answer_media"] == media
    }
    if not shown and (operation, status) in _RARE:
        first: dict[str, Any] = next((call["answer"] for call in calls), {})
        shown = {"rare": {"value": {**first, **_RARE[operation, status]}}}
    return shown


def _media(call: dict[str, Any]) -> str:
    return str(call.get("media") or "application/json")
