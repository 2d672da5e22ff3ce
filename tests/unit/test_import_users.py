"""Users of a file: what is asked of the server for each, and what is refused here."""

import asyncio
import json
from typing import Any

import httpx

from app.transfer.import_client import ImportClient
from app.transfer.import_reasons import reason_lines
from app.transfer.import_users import UserImport
from app.transfer.source_row import SourceRow
from app.verify.progress import NullProgress


def run(rows: list[dict[str, str]], columns: dict[str, str], namespace: str | None, **how: Any) -> Any:
    """The import of these rows, and the requests: their paths as they are sent, and bodies."""
    requests: list[tuple[str, Any]] = []

    def answer(request: httpx.Request) -> httpx.Response:
        requests.append((request.url.raw_path.decode(), json.loads(request.content or b"null")))
        return httpx.Response(200, json={})

    async def work() -> UserImport:
        async with ImportClient("http://s", None, connections=1, transport=httpx.MockTransport(answer)) as client:
            users = UserImport(client, namespace, columns, NullProgress(), **how)
            await users.run(SourceRow(line, fields, b"") for line, fields in enumerate(rows, 2))
            return users

    return asyncio.run(work()), requests


def test_columns_have_the_names_of_the_old_system() -> None:
    rows = [{"nick": "Ann", "player": "a/1", "gone": "t", "game": "quiz"}]
    columns = {"user_id": "player", "display_name": "nick", "hidden": "gone", "namespace": "game"}
    _, requests = run(rows, columns, None)
    path = "/v1/namespaces/quiz/users/a%2F1"
    assert requests == [(path, {"display_name": "Ann"}), (f"{path}/hide", None)]


def test_no_name_leads_to_somewhere_else() -> None:
    """A client takes `..` in a path for a step back: from the namespace to the deployment."""
    _, requests = run([{"user_id": "..", "display_name": "x", "namespace": ".."}], {}, None)
    assert [path for path, _ in requests] == ["/v1/namespaces/%2E%2E/users/%2E%2E"]


def test_equal_reasons_are_one_line() -> None:
    rows = [{"player": f"u{i}"} for i in range(30)] + [{"user_id": "u", "hidden": f"maybe{i}"} for i in range(40)]
    users, requests = run(rows, {}, "quiz")
    assert requests == []
    assert users.counts == {"refused": 70}
    assert reason_lines(users.reasons) == [
        "invalid: 40, first in line 32: hidden 'maybe0' is neither true nor false: true, t, 1, yes, false, f, 0, no",
        "invalid: 30, first in line 2: has no 'user_id', which is the user: see --map user_id=COLUMN",
    ]


def test_a_dry_run_sends_nothing() -> None:
    rows = [{"user_id": "ann", "hidden": "yes"}, {"user_id": "bob", "hidden": "maybe"}]
    users, requests = run(rows, {}, "quiz", is_dry=True)
    assert (users.counts, requests) == ({"users": 1, "refused": 1}, [])
