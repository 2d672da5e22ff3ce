"""`leaderboard import --opening`: totals without history, from a file to boards, and out again."""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.checked_deployment import verify
from tests.support.command_here import command_here
from tests.support.import_run import import_here, scores
from tests.support.redis_state import differences, namespace_state

AT = "2020-12-31T00:00:00Z"


def test_each_row_is_an_opening_balance(live_server: Any, api: httpx.Client, space: str, tmp_path: Path) -> None:
    rows = tmp_path / "totals.csv"
    rows.write_text("user_id,score,updated\nann,700,2020-05-05\nbob,650,\ncleo,,\n,3,\n")
    done = import_here(live_server, rows, "--namespace", space, "--opening", "2020-12-31")
    assert (done.code, done.counts["new"], done.counts["refused"]) == (1, 2, 2), done.stdout
    assert "not imported: updated" in done.lines
    assert "names no user" in (tmp_path / "totals.csv.refused.csv").read_text()
    live_server.wait_flushed()
    assert scores(api, space) == {"ann": 700, "bob": 650}
    assert [scores(api, space, window) for window in ("2020-12", "2020-12-31", "2020-05")] == [{}, {}, {}]
    grant = api.get(f"/v1/namespaces/{space}/grants/opening-ann").json()
    assert (grant["opening"], grant["source"], grant["granted_at"], grant["amount"]) == (True, "opening", AT, 700)
    again = import_here(live_server, rows, "--namespace", space, "--opening", "2020-12-31", "--refused", tmp_path / "r")
    assert again.counts["there already"] == 2
    assert verify(live_server, space) == (0, [])


def test_a_user_has_one_in_each_category_and_names_are_free(
    live_server: Any, api: httpx.Client, space: str, tmp_path: Path
) -> None:
    rows = tmp_path / "totals.ndjson"
    lines = [
        {"player": "ann", "points": 5, "category": "red"},
        {"player": "ann", "points": 6, "category": "blue"},
        {"player": "bob", "points": 7, "category": None},
    ]
    rows.write_text("\n".join(json.dumps(line) for line in lines))
    maps = (
        "--namespace",
        space,
        "--opening",
        "2020-12-31T12:00:00+02:00",
        "--map",
        "user_id=player",
        "--map",
        "amount=points",
    )
    assert import_here(live_server, rows, *maps, "--dry-run").lines[0].startswith("3 rows: 3 would be new")
    assert import_here(live_server, rows, *maps).counts["new"] == 3
    live_server.wait_flushed()
    grants = api.get(f"/v1/namespaces/{space}/users/ann/grants").json()["grants"]
    assert {grant["grant_id"]: grant["amount"] for grant in grants} == {"opening-ann:red": 5, "opening-ann:blue": 6}
    assert {grant["granted_at"] for grant in grants} == {"2020-12-31T10:00:00Z"}
    named = (*maps, "--grant-id", "old-{player}-{category}", "--set", "source=ladder")
    assert import_here(live_server, rows, *named, "--restart").code == 1, "bob's row has no category for its id"
    assert api.get(f"/v1/namespaces/{space}/grants/old-ann-red").json()["source"] == "ladder"


def test_totals_are_brought_up_to_date(live_server: Any, api: httpx.Client, space: str, tmp_path: Path) -> None:
    rows = tmp_path / "totals.csv"
    flags = ("--namespace", space, "--opening", "2020-12-31", "--replace")
    for score in (700, 710):
        rows.write_text(f"user_id,score\nann,{score}\n")
        assert import_here(live_server, rows, *flags).code == 0
    assert scores(api, space) == {"ann": 710}
    assert scores(api, space, "2020-12") == {}


def test_totals_of_users_who_are_gone_are_voided(
    live_server: Any, api: httpx.Client, space: str, tmp_path: Path
) -> None:
    rows = tmp_path / "totals.csv"
    rows.write_text("user_id,score\nann,700\nbob,5\n")
    flags = (rows, "--namespace", space, "--opening", "2020-12-31")
    assert import_here(live_server, *flags).counts["new"] == 2
    event = {"grant_id": "g1", "user_id": "bob", "amount": 1}
    assert api.post(f"/v1/namespaces/{space}/grants", json=event).status_code == 201
    live_server.wait_flushed()
    rows.write_text("user_id,score\nann,700\n")
    dry = import_here(live_server, *flags, "--void-missing", "--dry-run")
    assert "void them with --confirm 1" in dry.lines, dry.stdout + dry.stderr
    done = import_here(live_server, *flags, "--void-missing", "--confirm", "1")
    assert (done.code, done.lines[-1]) == (0, "1 voided")
    assert scores(api, space) == {"ann": 700, "bob": 1}


def test_no_replacement_makes_a_grant_an_opening_balance(
    live_server: Any, api: httpx.Client, space: str, tmp_path: Path
) -> None:
    rows = tmp_path / "rows.ndjson"
    for opening in (False, True):
        lines = [{"grant_id": f"g{opening}", "user_id": "ann", "amount": 1, "granted_at": AT, "opening": opening}]
        rows.write_text(json.dumps(lines[0]))
        assert import_here(live_server, rows, "--namespace", space).code == 0
        rows.write_text(json.dumps(lines[0] | {"opening": not opening, "amount": 2}))
        done = import_here(live_server, rows, "--namespace", space, "--replace")
        what = "is an opening balance there" if opening else "is no opening balance there"
        assert (done.code, f"{what}, and no edit changes that" in done.stdout) == (1, True), done.stdout
    assert scores(api, space) == {"ann": 2}


def test_all_rows_have_one_moment(live_server: Any, space: str, tmp_path: Path) -> None:
    rows = tmp_path / "totals.csv"
    rows.write_text("user_id,score\nann,1\n")
    for flags in (("--opening", "2020-12-31", "--since", "2020-01-01"), ("--opening", "yesterday")):
        assert import_here(live_server, rows, "--namespace", space, *flags).code == 2


@pytest.mark.parametrize("periods", [["all"], ["all", "day"]], ids=str)
def test_an_export_of_them_gives_the_same_boards_elsewhere(own_stack: Any, tmp_path: Path, periods: list[str]) -> None:
    """Also where no window but `all` and no streak would tell them apart."""
    totals = tmp_path / "totals.csv"
    totals.write_text("user_id,score,category\n" + "".join(f"u{i},{i * 10},{'rb'[i % 2]}\n" for i in range(30)))
    with own_stack.client() as api:
        rules = {"category_boards": True, "periods": periods, "aggregation": "best"}
        for name in ("n", "m"):
            assert api.put(f"/v1/namespaces/{name}", json=rules).status_code == 201
        assert import_here(own_stack, totals, "--namespace", "n", "--opening", "2020-12-31").code == 0
        events = [{"grant_id": f"g{i}", "user_id": f"u{i}", "amount": 95} for i in range(20)]
        assert api.post("/v1/namespaces/n/grants", json=events).json()["applied"] == 20
        own_stack.wait_flushed()
        file = tmp_path / "grants.ndjson"
        done = command_here(own_stack.environment, "export", "grants", "--namespace", "n", "--output", str(file))
        assert done.exit_code == 0, done.output
        exported = [json.loads(line) for line in file.read_text().splitlines()]
        assert sum(row.get("opening", False) for row in exported) == 30
        for row in exported:
            row["namespace"] = "m"
        file.write_text("\n".join(json.dumps(row) for row in exported))
        assert import_here(own_stack, file).code == 0
        own_stack.wait_flushed()
        for window in periods:
            assert scores(api, "m", window) == scores(api, "n", window), window
        assert len(scores(api, "m")) == 30
        assert api.get("/v1/namespaces/m/grants/opening-u7:b").json()["opening"] is True
        assert verify(own_stack) == (0, [])
        before = namespace_state(own_stack.redis.url)
        with own_stack.store() as direct:
            direct.flushall()
        assert own_stack.run("rebuild", "--quiet").returncode == 0
        assert differences(before, namespace_state(own_stack.redis.url)) == []
