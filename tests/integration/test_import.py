"""`leaderboard import` on real parts: formats, refused rows, and going on after an end in between."""

import gzip
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
import zstandard

from tests.support.command_here import command_here
from tests.support.import_run import import_here, scores

OLD = datetime(2019, 3, 4, 5, 6, 7, tzinfo=UTC).isoformat()


def grant(i: int, **fields: Any) -> dict[str, Any]:
    return {"grant_id": f"g{i}", "user_id": f"u{i % 7}", "amount": i, "granted_at": OLD, **fields}


def as_lines(rows: list[dict[str, Any]]) -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def as_array(rows: list[dict[str, Any]]) -> bytes:
    return b"\xef\xbb\xbf " + json.dumps(rows, indent=1).encode()


def as_csv(rows: list[dict[str, Any]]) -> bytes:
    names = list(rows[0])
    lines = [";".join(names), *(";".join(str(row[name]) for name in names) for row in rows)]
    return ("\ufeff" + "\r\n".join(lines)).encode()


@pytest.mark.parametrize("form", [as_lines, as_array, as_csv], ids=["ndjson", "json", "csv"])
@pytest.mark.parametrize("pack", [bytes, gzip.compress, zstandard.compress], ids=["plain", "gzip", "zstd"])
def test_every_form_gives_the_same_board(
    live_server: Any, api: httpx.Client, space: str, tmp_path: Path, form: Any, pack: Any
) -> None:
    rows = [grant(i, category='a, "b" {[' if form is not as_csv else "a") for i in range(50)]
    path = tmp_path / "rows"
    path.write_bytes(pack(form(rows)))
    done = import_here(live_server, path, "--namespace", space)
    assert (done.code, done.lines) == (0, ["50 rows: 50 new, 0 there already, 0 refused"])
    assert scores(api, space) == {f"u{n}": sum(range(n, 50, 7)) for n in range(7)}
    again = import_here(live_server, path, "--namespace", space)
    assert again.lines == ["50 rows: 0 new, 50 there already, 0 refused"]
    assert list(tmp_path.iterdir()) == [path]


def test_what_an_export_wrote_as_parquet_comes_back(
    live_server: Any, api: httpx.Client, names: Any, tmp_path: Path
) -> None:
    one, two = names.fresh(), names.fresh()
    for name in (one, two):
        assert api.put(f"/v1/namespaces/{name}", json={"accept_past": None, "scale": 2}).status_code == 201
    path, table = tmp_path / "rows.ndjson", tmp_path / "rows.parquet"
    rows = [grant(i, amount=i / 4, category="=a" if i % 2 else None, meta={"n": [i, "é"]}) for i in range(3_000)]
    path.write_bytes(as_lines(rows))
    assert import_here(live_server, path, "--namespace", one).counts["new"] == 3_000
    live_server.wait_flushed()
    done = command_here(live_server.environment, "export", "grants", "--namespace", one, "--output", str(table))
    assert done.exit_code == 0, done.output
    assert import_here(live_server, table, "--namespace", two).lines == [
        "3,000 rows: 3,000 new, 0 there already, 0 refused"
    ]
    assert scores(api, one) == scores(api, two)
    live_server.wait_flushed()
    grants = [api.get(f"/v1/namespaces/{name}/grants/g7").json() for name in (one, two)]
    for field in ("user_id", "amount", "category", "granted_at", "meta"):
        assert grants[0][field] == grants[1][field]
    again = import_here(live_server, table, "--namespace", two, "--map", "amount=user_id")
    assert (again.code, again.counts["refused"]) == (1, 3_000)
    refused = table.with_name("rows.parquet.refused.ndjson")
    mended = import_here(live_server, refused, "--namespace", two)
    assert mended.lines == ["3,000 rows: 0 new, 3,000 there already, 0 refused"]


def test_bad_rows_are_named_and_can_be_mended(live_server: Any, api: httpx.Client, space: str, tmp_path: Path) -> None:
    rows = [grant(i) for i in range(1, 301)]
    rows[16]["amount"] = 1.5
    rows[99]["user_id"] = ""
    lines = as_lines(rows).splitlines()
    lines[199] = b'{"grant_id": "g200", "user_id": '
    lines[249] = lines[248].replace(b'"amount": 249', b'"amount": 250')
    path = tmp_path / "rows.ndjson"
    path.write_bytes(b"\n".join(lines))
    done = import_here(live_server, path, "--namespace", space)
    assert done.code == 1
    assert done.lines[0] == "300 rows: 296 new, 0 there already, 4 refused"
    reasons = sorted(
        line.split(": ")[0].strip() + line.split(", first in")[1].split(":")[0] for line in done.lines[1:5]
    )
    assert reasons == ["amount_scale line 17", "grant_conflict line 250", "invalid line 100", "unreadable line 200"]
    refused = tmp_path / "rows.ndjson.refused.ndjson"
    mended = [json.loads(line) for line in refused.read_text().splitlines()]
    assert [row["refused_line"] for row in mended] == ["17", "100", "200", "250"]
    mended[0]["amount"], mended[1]["user_id"], mended[3]["grant_id"] = 2, "x", "g250"
    mended[2]["refused_text"] += '"y", "amount": 1}'
    refused.write_bytes(as_lines(mended))
    assert import_here(live_server, refused, "--namespace", space).lines == [
        "4 rows: 4 new, 0 there already, 0 refused"
    ]
    assert {"x": 100, "y": 1}.items() <= scores(api, space).items()


def test_a_csv_of_another_house(live_server: Any, api: httpx.Client, space: str, tmp_path: Path) -> None:
    """A BOM, semicolons, lines within quotes, local times, no ids, duplicates, formulas, and columns nobody needs."""
    path = tmp_path / "legacy.csv"
    text = """id;player;points;when;note
1;ann;+007;27.03.2022 01:59;"two
lines"
2;bob;2.50;27.03.2022 02:30;skipped
3;ann;1;30.10.2022 02:30;twice
4;'=cmd;1;01.01.2022 00:00;formula
5;ann;1;01.01.2022 00:00;formula;too many
"""
    path.write_bytes(b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode())
    api.put(f"/v1/namespaces/{space}", json={"accept_past": None, "scale": 2})
    flags = ["--map", "user_id=player", "--map", "amount=points", "--map", "granted_at=when", "--set", "source=old"]
    flags += ["--grant-id", "{source}-{id}", "--timezone", "Europe/Berlin", "--time-format", "%d.%m.%Y %H:%M"]
    done = import_here(live_server, path, "--namespace", space, *flags)
    assert done.lines == [
        "5 rows: 4 new, 0 there already, 1 refused",
        "  unreadable: 1, first in line 7: has 6 cells, the header 5",
        f"refused rows, with the reason in each: {path}.refused.csv; mend them and import that file",
        "not imported: note",
        "1 time in an hour that comes twice, of which the first one was taken: lines 5",
        "1 time in an hour that the clock skipped, moved on by it: lines 4",
    ]
    refused = tmp_path / "legacy.csv.refused.csv"
    again = import_here(live_server, refused, "--namespace", space, *flags, "--refused", tmp_path / "again.csv")
    assert (
        again.lines[1] == "  unreadable: 1, first in line 2: stands in refused_text: put its cells into their columns"
    )
    assert scores(api, space) == {"ann": 8, "bob": 2.5, "=cmd": 1}
    live_server.wait_flushed()
    times = {i: api.get(f"/v1/namespaces/{space}/grants/old-{i}").json()["granted_at"] for i in (1, 2, 3)}
    assert times == {1: "2022-03-27T00:59:00Z", 2: "2022-03-27T01:30:00Z", 3: "2022-10-30T00:30:00Z"}


def test_rows_without_ids_count_once_each(live_server: Any, api: httpx.Client, space: str, tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("user_id,amount\nann,1\nann,1\nbob,x\nann,1\n")
    for new, there in ((3, 0), (0, 3)):
        done = import_here(live_server, path, "--namespace", space)
        assert done.lines, done.stderr
        assert done.lines[0] == f"4 rows: {new} new, {there} there already, 1 refused"
    assert scores(api, space) == {"ann": 3}
    refused = tmp_path / "rows.csv.refused.csv"
    refused.write_text(refused.read_text().replace("bob,x", "ann,1"))
    assert (
        import_here(live_server, refused, "--namespace", space).lines[0] == "1 row: 1 new, 0 there already, 0 refused"
    )
    assert scores(api, space) == {"ann": 4}


def test_rows_without_what_their_ids_are_made_of(
    live_server: Any, api: httpx.Client, space: str, tmp_path: Path
) -> None:
    """An old dump has ids for a part of its rows."""
    path = tmp_path / "rows.csv"
    path.write_text("id,user_id,amount\n1,ann,1\n,ann,2\n,ann,2\n,bob,x\n2,bob,x\n3,bob,y\n,,1\n")
    flags = ["--namespace", space, "--grant-id", "old-{id}"]
    done = import_here(live_server, path, *flags)
    assert (
        done.lines[1] == "  invalid: 4, first in line 3: has no 'id', which its grant id is made of: see --digest-ids"
    )
    assert (
        import_here(live_server, path, *flags, "--digest-ids", "--dry-run").lines[0]
        == "7 rows: 2 would be new, 1 there already, 4 refused"
    )
    for new, there in ((2, 1), (0, 3)):
        done = import_here(live_server, path, *flags, "--digest-ids")
        assert done.lines[:3] == [
            f"7 rows: {new} new, {there} there already, 4 refused",
            "  invalid: 3, first in line 5: amount 'x': must be a number",
            "  invalid: 1, first in line 8: user_id: is required",
        ]
    assert scores(api, space) == {"ann": 5}
    live_server.wait_flushed()
    assert api.get(f"/v1/namespaces/{space}/grants/old-1").json()["amount"] == 1
    refused = tmp_path / "rows.csv.refused.csv"
    refused.write_text(refused.read_text().replace("bob,x", "ann,2").replace("bob,y", "ann,4"))
    done = import_here(live_server, refused, *flags, "--digest-ids")
    assert done.lines[0] == "4 rows: 3 new, 0 there already, 1 refused"
    assert scores(api, space) == {"ann": 13}


def test_rows_name_their_namespaces_and_times_their_bounds(
    live_server: Any, api: httpx.Client, names: Any, tmp_path: Path
) -> None:
    one, two = names.fresh(), names.fresh()
    for name in (one, two):
        api.put(f"/v1/namespaces/{name}", json={"tie_break": "earliest"})
    rows = [
        grant(i, namespace=(one, two, "no-such")[i % 3], granted_at=f"20{10 + i}-01-01T00:00:00Z") for i in range(9)
    ]
    path = tmp_path / "rows.ndjson"
    path.write_bytes(as_lines(rows))
    done = import_here(live_server, path, "--since", "2012-01-01", "--until", "2017-01-01T00:00:00Z")
    assert done.counts == {"rows": 9, "new": 3, "there already": 0, "left out": 4, "refused": 2}
    assert (scores(api, one), scores(api, two)) == ({"u3": 3, "u6": 6}, {"u4": 4})


def test_a_query_is_a_source(live_server: Any, api: httpx.Client, space: str, tmp_path: Path) -> None:
    query = "SELECT i AS id, 'u' || i % 3 AS player, i * 1.0 AS points, now() AS at FROM generate_series(1, 5000) i"
    flags = ["--map", "grant_id=id", "--map", "user_id=player", "--map", "amount=points", "--map", "granted_at=at"]
    source = ["--sql", f"{query} ORDER BY i", "--sql-url", live_server.postgres.url, "--state", str(tmp_path / "state")]
    done = import_here(live_server, *source, "--namespace", space, *flags)
    assert done.lines == ["5,000 rows: 5,000 new, 0 there already, 0 refused"]
    assert scores(api, space)["u0"] == sum(range(3, 5001, 3))


@pytest.mark.parametrize("kind", ["timestamptz", "timestamp", "date"])
def test_a_time_that_is_none_refuses_its_row_alone(
    live_server: Any, api: httpx.Client, space: str, tmp_path: Path, kind: str
) -> None:
    times = "('infinity'), ('-infinity'), ('2024-01-01'), ('0044-03-15 BC'), ('2024-01-02')"
    query = f"SELECT 'ann' AS user_id, 1 AS amount, at::{kind} AS granted_at FROM (VALUES {times}) AS v (at)"
    source = ["--sql", query, "--sql-url", live_server.postgres.url, "--state", str(tmp_path / "state")]
    done = import_here(live_server, *source, "--namespace", space, "--timezone", "Europe/Berlin")
    assert done.lines[:2] == [
        "5 rows: 2 new, 0 there already, 3 refused",
        "  invalid: 3, first in line 1: granted_at 'infinity' is not a time such as 2026-11-27 09:00:00",
    ]


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("SELECT 'u' AS user_id, 1 AS id, 2 AS id", "the column 'id' stands twice"),
        ("SELECT repeat('x', 2000000) AS user_id, 1 AS amount", "is longer than"),
        ("SELECT 1; DROP TABLE ledger", "multiple commands"),
        ("CREATE TABLE x ()", "syntax error"),
    ],
)
def test_a_query_that_is_no_source_is_told(live_server: Any, space: str, tmp_path: Path, query: str, said: str) -> None:
    source = ["--sql", query, "--sql-url", live_server.postgres.url, "--state", str(tmp_path / "state")]
    done = import_here(live_server, *source, "--namespace", space)
    assert done.code == 1
    assert said in done.stdout + done.stderr


@pytest.mark.parametrize(
    "url", ["postgres//u:secret@h/d", "postgresql://u:secret@[::1/d", "postgresql://u:sec%ret@h/d"]
)
def test_the_password_of_a_url_that_is_none_is_not_printed(
    live_server: Any, space: str, tmp_path: Path, url: str
) -> None:
    source = ["--sql", "SELECT 1", "--sql-url", url, "--state", str(tmp_path / "state")]
    done = import_here(live_server, *source, "--namespace", space)
    assert (done.code, done.stdout + done.stderr) == (1, "--sql-url is no URL of a Postgres")


def test_a_state_belongs_to_one_source(live_server: Any, space: str, tmp_path: Path) -> None:
    state = tmp_path / "state"
    one, two = tmp_path / "one.csv", tmp_path / "two.csv"
    for path in (one, two):
        path.write_text("user_id,amount\nann,1\n")
    broken = import_here(live_server, one, "--namespace", "none-such", "--state", state)
    assert (broken.code, broken.stdout) == (1, "")
    assert "namespace_not_found" in broken.stderr
    other = import_here(live_server, two, "--namespace", space, "--state", state)
    assert other.code == 1
    assert "is the state of one.csv, and this is two.csv: give another --state, or --restart" in other.stderr
    one.write_text("user_id,amount\nbob,1\n")
    assert "has changed since its import began" in import_here(live_server, one, "--state", state).stderr
    assert import_here(live_server, two, "--namespace", space, "--state", state, "--restart").code == 0
    assert not state.exists()


def test_a_dry_run_tells_what_would_be_refused(live_server: Any, api: httpx.Client, space: str, tmp_path: Path) -> None:
    rows = [grant(i) for i in range(1, 21)]
    path = tmp_path / "rows.ndjson"
    path.write_bytes(as_lines(rows[:5]))
    assert import_here(live_server, path, "--namespace", space).code == 0
    live_server.wait_flushed()
    rows[2]["amount"], rows[7]["amount"], rows[9]["grant_id"] = 9, "x", "g9"
    path.write_bytes(as_lines(rows))
    before = scores(api, space)
    done = import_here(live_server, path, "--namespace", space, "--dry-run")
    assert done.code == 1
    assert done.lines[0] == "20 rows: 13 would be new, 4 there already, 3 refused"
    assert [line.split(": ")[:2] for line in done.lines[1:]] == [
        ["  grant_conflict", "2, first in line 3"],
        ["  invalid", "1, first in line 8"],
    ]
    assert (scores(api, space), list(tmp_path.iterdir())) == (before, [path])


def test_a_dry_run_tells_of_rows_that_stand_twice(
    live_server: Any, api: httpx.Client, space: str, tmp_path: Path
) -> None:
    """One behind the other, as an old system's retries left them. More rows than a batch has."""
    path = tmp_path / "rows.ndjson"
    path.write_bytes(as_lines([grant(i // 2) for i in range(5_000)]))
    done = import_here(live_server, path, "--namespace", space, "--dry-run")
    assert done.lines == ["5,000 rows: 2,500 would be new, 2,500 there already, 0 refused"]


def test_a_dry_run_of_one_grant_is_refused(api: httpx.Client, space: str) -> None:
    url = f"/v1/namespaces/{space}/grants?dry_run=true"
    assert api.post(url, json=grant(1)).json()["field"] == "?dry_run"
    assert api.post(f"{url}&rank=true", json=[grant(1)]).json()["field"] == "?dry_run"
    assert api.post(url, json=[grant(1)]).json() == {
        "would_apply": 1,
        "duplicate": 0,
        "rejected": 0,
        "results": [{"status": "would_apply", "grant_id": "g1"}],
    }


def test_what_was_exported_comes_in_again(live_server: Any, api: httpx.Client, names: Any, tmp_path: Path) -> None:
    one, two = names.fresh(), names.fresh()
    for name in (one, two):
        api.put(f"/v1/namespaces/{name}", json={"accept_past": None, "scale": 1, "category_boards": True})
    rows = [grant(i, category="=a", meta={"i": i}, amount=i - 4.5, source="-s") for i in range(30)]
    assert api.post(f"/v1/namespaces/{one}/grants", json=rows).json()["applied"] == 30
    live_server.wait_flushed()
    for form in ("csv", "ndjson"):
        path = tmp_path / f"grants.{form}"
        done = command_here(live_server.environment, "export", "grants", "--namespace", one, "--output", str(path))
        assert done.exit_code == 0, done.stderr
        imported = import_here(live_server, path, "--namespace", two)
        assert imported.counts["new" if form == "csv" else "there already"] == 30, imported.stdout
    assert scores(api, two) == scores(api, one)
