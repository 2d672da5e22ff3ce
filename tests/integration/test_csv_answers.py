"""Boards and grants as `text/csv`: what JSON tells, in the columns of an export."""

import csv
import io
from typing import Any

import httpx
import pytest

from app.model.csv_cells import plain_text
from app.routes import ROUTES
from app.transfer.export_tables import TABLES
from tests.support.sealed_namespace import Space

CSV = {"accept": "text/csv"}


@pytest.fixture
def space(live_server: Any, api: httpx.Client, names: Any) -> Space:
    space = Space(live_server, api, names.fresh(), scale=1, streaks=True)
    for i, (user, amount) in enumerate((("=ann", -2.5), ("bob", 3), ("cleo, the", 3))):
        grant = {
            "grant_id": f"+{i}",
            "user_id": user,
            "amount": amount,
            "source": "race",
            "source_id": "-7",
            "meta": {"i": i},
        }
        assert api.post(f"{space.url}/grants", json=grant).status_code == 201
    live_server.wait_flushed()
    return space


def table(answer: httpx.Response) -> list[dict[str, str]]:
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("text/csv; charset=utf-8")
    assert "Accept" in answer.headers["vary"]
    return list(csv.DictReader(io.StringIO(answer.text, newline="")))


def test_a_board_has_the_columns_of_an_export(space: Space) -> None:
    answer = space.api.get(f"{space.url}/boards/all", headers=CSV)
    rows = table(answer)
    assert tuple(rows[0]) == TABLES["boards"].names
    entries = space.api.get(f"{space.url}/boards/all").json()["entries"]
    assert [plain_text(row["user_id"]) for row in rows] == [entry["user_id"] for entry in entries]
    assert [(row["rank"], row["score"], row["window"]) for row in rows] == [
        ("1", "3", "all"), ("1", "3", "all"), ("3", "-2.5", "all"),
    ]  # fmt: skip
    assert rows[2]["user_id"] == "'=ann"
    again = space.api.get(f"{space.url}/boards/all", headers={**CSV, "if-none-match": answer.headers["etag"]})
    assert again.status_code == 304


def test_pages_includes_and_comparisons_are_told(space: Space) -> None:
    first = space.api.get(f"{space.url}/boards/all", params={"limit": 2}, headers=CSV)
    second = space.api.get(f"{space.url}/boards/all", params={"cursor": first.headers["next-cursor"]}, headers=CSV)
    assert [len(table(first)), len(table(second))] == [2, 1]
    assert "next-cursor" not in second.headers
    (row, *_) = table(space.api.get(f"{space.url}/boards/all?include=streak,updated_at", headers=CSV))
    assert row["streak"].startswith('{"current":1')
    assert row["updated_at"].endswith("Z")
    past = space.api.get(f"{space.url}/boards/all?compare_to=2020-01-01T00:00:00Z", headers=CSV)
    assert {row["rank_change"] for row in table(past)} == {""}
    assert past.headers["lag-seq"] == "0"
    assert table(space.api.get(f"{space.url}/boards/all?as_of=2250-01-01T00:00:00Z", headers=CSV))[2]["score"] == "-2.5"
    assert table(space.api.get(f"{space.url}/boards/all?min_score=100", headers=CSV)) == []


@pytest.mark.parametrize("path", ["grants?source=race&source_id=-7", "users/bob/grants"])
def test_grants_begin_with_the_columns_of_an_export(space: Space, path: str) -> None:
    rows = table(space.api.get(f"{space.url}/{path}", headers=CSV))
    grants = space.api.get(f"{space.url}/{path}").json()["grants"]
    assert tuple(rows[0])[: len(TABLES["grants"].names)] == TABLES["grants"].names
    for row, grant in zip(rows, grants, strict=True):
        assert (row["namespace"], plain_text(row["grant_id"])) == (space.name, grant["grant_id"])
        assert (float(row["amount"]), row["granted_at"], row["source_id"]) == (
            grant["amount"],
            grant["granted_at"],
            "'-7",
        )
        assert (row["meta"], row["voided"], row["seq"]) == (f'{{"i":{grant["meta"]["i"]}}}', "false", str(grant["seq"]))


@pytest.mark.parametrize(
    ("accept", "media"),
    [
        ("Text/CSV", "text/csv"),
        ("text/html, text/csv;q=0.2, */*;q=0.1", "text/csv"),
        ("application/json;q=0.1, text/csv", "text/csv"),
        ("application/msgpack; q=0, text/csv; header=present; q=0.5", "text/csv"),
        ("text/csv;q=0, */*", "application/json"),
        ("text/csv;q=0.1, application/json", "application/json"),
        ("text/csv;q=x", "application/json"),
        ("text/csvx", "application/json"),
    ],
)
def test_what_is_liked_best_is_answered(space: Space, accept: str, media: str) -> None:
    answer = space.api.get(f"{space.url}/boards/all", headers={"accept": accept})
    assert answer.headers["content-type"].partition(";")[0] == media


def test_who_prefers_json_gets_it_and_problems_stay_json(space: Space) -> None:
    for accept in ("*/*", "application/json, text/csv;q=0.5", "application/msgpack, text/csv"):
        answer = space.api.get(f"{space.url}/boards/all", headers={"accept": accept})
        assert answer.headers["content-type"] in ("application/json", "application/msgpack")
    problem = space.api.get(f"{space.url}/boards/nowhere", headers=CSV)
    assert (problem.status_code, problem.headers["content-type"]) == (404, "application/problem+json")
    stats = space.api.get(f"{space.url}/boards/all/stats", headers=CSV)
    assert stats.headers["content-type"] == "application/json"


def test_openapi_tells_which_routes_answer_tables(api: httpx.Client) -> None:
    paths = api.get("/openapi.json").json()["paths"]
    described = {
        (method.upper(), path)
        for path, operations in paths.items()
        for method, operation in operations.items()
        if "text/csv" in operation["responses"].get("200", {}).get("content", {})
    }
    assert described == {(route.method, route.path) for route in ROUTES if route.has_csv}
    assert len(described) == 3
