"""`leaderboard compare` on real parts: each kind of difference that is planted is told, and nothing else."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.command_here import command_here
from tests.support.sealed_namespace import Space

USERS = 60


@pytest.fixture
def space(live_server: Any, api: httpx.Client, names: Any) -> Space:
    """Sixty users; user i has 2 × i − 0.5 in two grants, of which the second is of today."""
    space = Space(live_server, api, names.fresh(), scale=1)
    grants = [
        {"grant_id": f"g{i}-{j}", "user_id": f"u{i}", "amount": amount, "category": "red", **when}
        for i in range(1, USERS + 1)
        for j, (amount, when) in enumerate(((i - 0.5, {"granted_at": "2026-11-01T12:00:00Z"}), (i, {})))
    ]
    answer = api.post(f"{space.url}/grants", json=grants, params={"backfill": "true"})
    assert answer.json()["applied"] == 2 * USERS, answer.text
    live_server.wait_flushed()
    return space


def legacy(folder: Path, totals: dict[str, Any], *more: str) -> str:
    lines = ["user_id,score", *(f"{user},{score}" for user, score in totals.items()), *more]
    file = folder / "legacy.csv"
    file.write_text("\n".join(lines) + "\n")
    return str(file)


def totals_of(count: int = USERS) -> dict[str, Any]:
    return {f"u{i}": 2 * i - 0.5 for i in range(1, count + 1)}


def compare(space: Space, *words: str) -> tuple[int, dict[str, Any]]:
    name = ("--namespace", space.name, "--format", "json")
    done = command_here(space.stack.environment, "compare", *words, *name)
    assert done.exit_code in (0, 1), done.output
    return done.exit_code, json.loads(done.stdout)


def test_equal_totals_are_equal_and_the_figures_are_recorded(space: Space, tmp_path: Path) -> None:
    code, result = compare(space, legacy(tmp_path, totals_of()))
    figures = result["figures"]
    assert (code, result["is_equal"], figures["equal"], figures["users_here"]) == (0, True, USERS, USERS)
    assert (figures["tau"], figures["in_both_tops"], figures["rank_differences"]) == (1, USERS, 0)
    assert figures["sum_here"] == figures["sum_there"] == sum(totals_of().values())
    ((seq, findings, recorded),) = space.stack.sql(
        "SELECT seq, findings, c.figures FROM comparisons c JOIN namespaces n ON n.id = namespace_id WHERE name = %s",
        space.name,
    )
    assert (seq, findings, recorded["equal"]) == (result["seq"], 0, USERS)
    assert "u1" not in json.dumps(recorded)


def test_each_planted_difference_is_told(space: Space, tmp_path: Path) -> None:
    totals = totals_of()
    totals["u10"] += 0.5  # less here
    totals["u60"] -= 6  # more here; there on the third place, with u57
    del totals["u20"]
    totals["nobody"] = 7
    file = legacy(tmp_path, totals, "u30,1", "u31,61.5", "u31,61.5", "u40,many")
    code, result = compare(space, file)
    figures = result["figures"]
    assert (code, result["is_equal"]) == (1, False)
    assert (figures["users_here"], figures["users_there"], figures["equal"]) == (60, 60, 56)
    assert (figures["differing"], figures["missing_here"], figures["missing_there"]) == (3, 1, 1)
    assert (figures["conflicting"], figures["repeated"], figures["unreadable"]) == (1, 2, 1)
    assert (figures["beyond"], figures["largest_difference"]) == (5, 58.5)
    assert [(one["user_id"], one["here"], one["there"]) for one in result["differences"]] == [
        ("u30", 59.5, 1), ("u60", 119.5, 113.5), ("u10", 19.5, 20),
    ]  # fmt: skip
    assert (result["differences"][1]["rank_here"], result["differences"][1]["rank_there"]) == (1, 3)
    assert result["missing_here"] == [{"user_id": "nobody", "score": 7}]
    assert result["missing_there"] == [{"user_id": "u20", "score": 39.5}]
    assert result["conflicts"] == [{"user_id": "u30", "lines": [30, 62], "lowest": 1, "highest": 59.5}]
    assert result["unreadable"] == [{"line": 65, "reason": "'many' is no number"}]
    assert {(one["sign"], one["power"]): one["users"] for one in result["histogram"]} == {
        (-1, -1): 1, (-1, 0): 1, (1, 0): 1, (1, 1): 2,
    }  # fmt: skip
    assert 0.8 < figures["tau"] < 1
    assert figures["largest_rank_difference"] >= 3


def test_what_is_within_the_bound_is_let_pass(space: Space, tmp_path: Path) -> None:
    totals = {user: score + 0.25 for user, score in totals_of().items()} | {"gone": 0.1}
    file = legacy(tmp_path, totals)
    assert compare(space, file, "--max-diff", "0.25")[0] == 0
    code, result = compare(space, file, "--max-diff", "0.24")
    assert (code, result["figures"]["beyond"], result["figures"]["differing"]) == (1, USERS, USERS)
    assert len(result["differences"]) == 20 < USERS
    assert len(compare(space, file, "--named", str(USERS))[1]["differences"]) == USERS


def test_a_dump_is_compared_as_of_its_moment(space: Space, tmp_path: Path) -> None:
    """Grants of later moments do not count, whenever they were recorded."""
    half = {f"u{i}": i - 0.5 for i in range(1, USERS + 1)}
    code, result = compare(space, legacy(tmp_path, half), "--as-of", "2026-11-02T00:00:00Z")
    assert (code, result["figures"]["equal"]) == (0, USERS)
    assert compare(space, legacy(tmp_path, half))[0] == 1
    code, result = compare(space, legacy(tmp_path, half), "--window", "2026-11-01")
    assert (code, result["window"]) == (0, "2026-11-01")


def test_a_category_is_compared_though_it_has_no_board(space: Space, tmp_path: Path) -> None:
    assert compare(space, legacy(tmp_path, totals_of()), "--category", "red")[0] == 0
    assert compare(space, legacy(tmp_path, {}), "--category", "blue")[0] == 0


def test_the_lowest_may_be_the_best_and_hidden_users_count(space: Space, names: Any, tmp_path: Path) -> None:
    other = Space(space.stack, space.api, names.fresh(), aggregation="best", order="asc")
    for i in range(1, 4):
        assert other.grant(f"u{i}", 10 * i, query="?backfill=true").status_code == 201
    assert other.api.post(f"{other.url}/users/u1/hide").is_success
    space.stack.wait_flushed()
    code, result = compare(other, legacy(tmp_path, {"u1": 10, "u2": 20, "u3": 5}))
    assert (code, result["figures"]["equal"]) == (1, 2)
    assert [(one["user_id"], one["rank_here"], one["rank_there"]) for one in result["differences"]] == [("u3", 3, 1)]


def test_a_query_on_their_postgres_is_compared(space: Space) -> None:
    query = f"SELECT 'u' || i AS user_id, 2 * i - 0.5 AS score, 'eu' AS region FROM generate_series(1, {USERS}) AS i"
    at = ("--sql", query, "--sql-url", space.stack.postgres.url)
    code, result = compare(space, *at)
    assert (code, result["source"], result["figures"]["equal"]) == (0, "a query on another Postgres", USERS)
    named = ("--user-column", "user_id", "--score-column", "total")
    done = command_here(space.stack.environment, "compare", *at, *named, "--namespace", space.name)
    assert str(done.exception) == "there is no column 'total' among 'user_id', 'score', 'region'"
    broken = ("--sql", "SELECT nothing", "--sql-url", space.stack.postgres.url)
    done = command_here(space.stack.environment, "compare", *broken, "--namespace", space.name)
    assert done.exit_code == 1
    assert 'column "nothing" does not exist' in str(done.exception)


def test_text_and_page_tell_the_same_and_escape_names(space: Space, tmp_path: Path) -> None:
    file = legacy(tmp_path, totals_of() | {"<script>alert(1)</script>": 5})
    name = ("--namespace", space.name)
    text = command_here(space.stack.environment, "compare", file, *name)
    assert text.exit_code == 1
    assert "missing here: '<script>alert(1)</script>': 5 there" in text.stdout
    page = tmp_path / "page.html"
    done = command_here(space.stack.environment, "compare", file, *name, "--format", "html", "--output", str(page))
    assert (done.exit_code, done.stdout) == (1, "")
    html = page.read_text()
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html
    assert "<script" not in html
    assert "http" not in html.replace("http-equiv", "")


@pytest.mark.parametrize(
    ("words", "code"),
    [
        *(((), 2), (("x.csv", "--sql", "SELECT 1"), 2), (("--sql", "SELECT 1"), 2), (("x.csv", "--max-diff", "-1"), 2)),
        *((("x.csv", "--as-of", "yesterday"), 2), (("/dev/null", "--delimiter", "::"), 1), (("/nowhere.csv",), 1)),
        (("/dev/null", "--window", "2026-13"), 2),
    ],
)
def test_wrong_usage_is_told(space: Space, words: tuple[str, ...], code: int) -> None:
    done = command_here(space.stack.environment, "compare", *words, "--namespace", space.name)
    assert done.exit_code == code, done.output


def test_a_page_that_cannot_be_written_is_told(space: Space, tmp_path: Path) -> None:
    words = (legacy(tmp_path, totals_of()), "--namespace", space.name, "--output", str(tmp_path / "nowhere" / "x"))
    done = command_here(space.stack.environment, "compare", *words)
    assert (done.exit_code, str(done.exception).endswith("nowhere/x: No such file or directory")) == (1, True)


def test_decimals_are_compared_exactly(space: Space, tmp_path: Path) -> None:
    """No double stands between the two sides."""
    totals = {user: f"{Decimal(repr(score))}000000000000001" for user, score in totals_of().items()}
    _, result = compare(space, legacy(tmp_path, totals))
    assert result["figures"]["differing"] == USERS
    assert result["figures"]["largest_difference"] < 1e-15


@pytest.mark.parametrize(
    ("totals", "tau"),
    [({"ann": 5, "bob": 5, "eve": 5}, "unknown: all of one side are equal"), ({}, "unknown"), ({"ann": 5}, "unknown")],
    ids=["all ties", "nobody there", "one user there"],
)
@pytest.mark.parametrize("form", ["text", "html", "json"])
def test_where_there_is_no_order_the_rest_is_told(
    space: Space, names: Any, tmp_path: Path, totals: dict[str, int], tau: str, form: str
) -> None:
    ties = Space(space.stack, space.api, names.fresh())
    for user in ("ann", "bob", "eve"):
        assert ties.grant(user, 5, query="?backfill=true").status_code == 201
    space.stack.wait_flushed(counted=False)
    words = (legacy(tmp_path, totals), "--namespace", ties.name, "--format", form)
    done = command_here(space.stack.environment, "compare", *words)
    assert done.exit_code == (0 if len(totals) == 3 else 1), done.exception
    if form == "json":
        figures = json.loads(done.stdout)["figures"]
        assert (figures["tau"], figures["equal"], figures["missing_there"]) == (None, len(totals), 3 - len(totals))
    else:
        assert tau in done.stdout
