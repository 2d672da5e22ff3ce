"""`leaderboard export` on real parts: all that a deployment holds comes out, and makes the same boards elsewhere."""

import csv
import gzip
import hashlib
import io
import itertools
import json
import random
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from subprocess import PIPE
from typing import Any

import httpx
import pytest

from app.commands.finding import FindingError
from app.model.csv_cells import plain_text
from tests.house_rules import ROOT
from tests.support.command_here import command_here
from tests.support.import_run import import_here
from tests.support.sealed_namespace import DAY, MONTH, OLD, Space
from tests.support.sealed_namespace import RULES as SEALED_RULES
from tests.support.waits import until

RULES: dict[str, dict[str, Any]] = {
    "out-sum": {"scale": 2, "category_boards": True, "streaks": True, "timezone": "Europe/Berlin"},
    "out-best": {"aggregation": "best", "order": "asc", "tie_break": "granted_at", "ranking": "dense"},
    "out-latest": {"aggregation": "latest", "ranking": "ordinal", "periods": ["all", "hour"]},
    "out-early": {
        "tie_break": "earliest",
        "seasons": [{"name": "s1", "starts": "2026-01-01T00:00:00Z", "ends": "2027-01-01T00:00:00Z"}],
    },
    "out-fast": {"velocity": [{"per": "P1D", "max_grants": 9}], "suspicious": "quarantine", "amount_max": 20},
}
CATEGORIES = (None, "red", "=blue")


def write_some(client: httpx.Client, seed: int) -> None:
    """Grants at random in all namespaces, some of which are corrected, and a hidden user."""
    chance = random.Random(seed)
    for name, rules in RULES.items():
        assert client.put(f"/v1/namespaces/{name}", json=rules).status_code == 201
        grants = [grant(chance, i, 0.25 if "scale" in rules else 1) for i in range(150)]
        body = client.post(f"/v1/namespaces/{name}/grants", json=grants, params={"backfill": "true"}).json()
        assert body["applied"] == 150 or "velocity" in rules, body
        for i in range(0, 150, 15) if name not in ("out-early", "out-fast") else ():
            path = f"/v1/namespaces/{name}/grants/g{i}"
            assert client.patch(path, json={"amount": chance.randrange(9), "reason": "seen"}).status_code == 200
            assert client.delete(path.replace(f"g{i}", f"g{i + 1}"), params={"reason": "-gone"}).status_code == 200
        suspects = [one["grant_id"] for one in body["results"] if one["status"] == "quarantined"]
        for grant_id in suspects[::2]:
            assert client.post(f"/v1/namespaces/{name}/grants/{grant_id}/restore", json={}).status_code == 200
        client.put(f"/v1/namespaces/{name}/users/u3", json={"display_name": "Three", "avatar": None})
        assert client.post(f"/v1/namespaces/{name}/users/u5/hide").is_success


def grant(chance: random.Random, i: int, unit: float) -> dict[str, Any]:
    day = f"2026-11-{chance.randrange(20, 28)}T{chance.randrange(24):02}:00:00Z"
    return {
        "grant_id": f"g{i}", "user_id": f"u{chance.randrange(12)}", "amount": chance.randrange(-9, 30) * unit,
        "category": chance.choice(CATEGORIES), "source": "race", "source_id": f"@{i}", "action": None,
        "granted_at": day, "session_id": None, "meta": {"i": i} if i % 3 else None,
    }  # fmt: skip


def export(stack: Any, *words: str) -> list[dict[str, Any]]:
    """The rows of an export as NDJSON."""
    done = command_here(stack.environment, "export", *words)
    assert done.exit_code == 0, done.output
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture(scope="module")
def source(live_server: Any) -> Any:
    with live_server.client() as client:
        write_some(client, 7)
    live_server.wait_flushed()
    return live_server


def test_an_export_makes_the_same_boards_in_an_empty_deployment(source: Any, own_stack: Any, tmp_path: Path) -> None:
    ours = ("--namespace", "out-*")
    with own_stack.client() as client:
        spaces = export(source, "namespaces", *ours)
        for rules in spaces:
            # What would refuse or hold back a grant comes last: one that an admin restored, or of before the bound.
            takes_all = rules | {"mode": "live", "amount_min": None, "amount_max": None}
            assert client.put(f"/v1/namespaces/{rules['name']}", json=takes_all).status_code == 201
        file = tmp_path / "grants.csv.gz"
        assert command_here(source.environment, "export", "grants", *ours, "--output", str(file)).exit_code == 0
        done = import_here(own_stack, file, "--in-flight", "1")
        assert (done.code, done.counts["refused"]) == (0, 0), done.stderr
        users = tmp_path / "profiles.csv"
        assert command_here(source.environment, "export", "profiles", *ours, "--output", str(users)).exit_code == 0
        assert import_here(own_stack, "--users", users).code == 0
        for rules in spaces:
            assert client.put(f"/v1/namespaces/{rules['name']}", json=rules).status_code == 200
    own_stack.wait_flushed()
    assert export(own_stack, "namespaces", *ours) == spaces
    boards = export(source, "boards", *ours)
    assert export(own_stack, "boards", *ours) == boards
    assert {(row["namespace"], row["window"].split(":")[0]) for row in boards} >= {
        ("out-sum", "2026-W47"), ("out-latest", "2026-11-24T13"), ("out-early", "season"),
    }  # fmt: skip
    standings = export(source, "standings", *ours)
    live = [row for row in standings if row["grants"]]
    assert sorted(map(str, export(own_stack, "standings", *ours))) == sorted(map(str, live))


def test_boards_are_those_that_the_api_shows(source: Any) -> None:
    rows = export(source, "boards", "--namespace", "out-*")
    with source.client() as client:
        for board in {(row["namespace"], row["window"], row["category"]) for row in rows}:
            name, window, category = board
            params = {"limit": 1000} | ({} if category is None else {"category": category})
            body = client.get(f"/v1/namespaces/{name}/boards/{window}", params=params).json()
            exported = [row for row in rows if (row["namespace"], row["window"], row["category"]) == board]
            keys = ("position", "rank", "user_id", "score", "display_name", "avatar")
            assert [{key: row[key] for key in keys} for row in exported] == body["entries"], board


@pytest.mark.parametrize("rules", SEALED_RULES[2:6], ids=str)
def test_archived_boards_are_those_that_the_api_shows(
    live_server: Any, api: httpx.Client, names: Any, rules: dict[str, Any]
) -> None:
    """One user is hidden, another is erased; the ranks close up behind them."""
    space = Space(live_server, api, names.fresh(), **rules)
    users = {name: f"{space.name}-{name}" for name in ("ann", "bob", "cid", "dora", "eve")}
    for i, (user, amount) in enumerate((("ann", 5), ("bob", 7), ("cid", 7), ("dora", 5), ("eve", 6), ("bob", 1))):
        at = OLD + timedelta(minutes=i)
        assert space.grant(users[user], amount, at, category="red").status_code == 201
    space.seal(DAY, MONTH)
    assert api.post(f"{space.url}/users/{users['cid']}/hide").is_success
    assert api.delete(f"/v1/users/{users['eve']}").is_success
    live_server.wait_flushed()
    until(lambda: len(space.board(DAY)["entries"]) == 3, "somebody is not hidden yet")
    rows = export(live_server, "boards", "--namespace", space.name, "--window", DAY)
    entries = space.board(DAY)["entries"]
    keys = ("position", "rank", "user_id", "score")
    own = [row for row in rows if row["category"] is None]
    assert [[row[key] for key in keys] for row in own] == [[entry[key] for key in keys] for entry in entries]
    assert {row["category"] for row in rows} == ({None, "red"} if "category_boards" in rules else {None})
    assert {row["window"] for row in export(live_server, "boards", "--namespace", space.name)} >= {"all", DAY, MONTH}


def test_an_erased_users_grants_have_no_user(live_server: Any, api: httpx.Client, names: Any) -> None:
    space = Space(live_server, api, names.fresh())
    user = f"{space.name}-gone"
    assert space.grant(user, 5, query="?backfill=true", meta={"a": 1}).status_code == 201
    assert space.grant("ann", 6, query="?backfill=true").status_code == 201
    live_server.wait_flushed()
    assert api.delete(f"/v1/users/{user}").is_success
    until(lambda: export(live_server, "revisions", "--namespace", space.name)[0]["user_id"] is None, "not erased")
    first, second = export(live_server, "revisions", "--namespace", space.name)
    assert (first["amount"], first["meta"], second["user_id"]) == (5, None, "ann")
    assert [row["user_id"] for row in export(live_server, "grants", "--namespace", space.name)] == ["ann"]
    assert user not in str(export(live_server, "profiles", "--namespace", space.name))


def test_revisions_tell_every_entry_in_order(source: Any) -> None:
    rows = export(source, "revisions", "--namespace", "out-best")
    assert [row["seq"] for row in rows] == sorted(row["seq"] for row in rows)
    assert [(row["verb"], row["revision"]) for row in rows].count(("edit", 2)) == 10
    (void,) = (row for row in rows if row["grant_id"] == "g1" and row["revision"] == 2)
    assert (void["verb"], void["voided"], void["reason"]) == ("void", True, "-gone")
    later = export(source, "revisions", "--namespace", "out-best", "--since", str(rows[99]["seq"]))
    assert later == rows[100:]
    assert export(source, "revisions", "--namespace", "out-best", "--since", rows[0]["recorded_at"]) == rows
    assert export(source, "grants", "--namespace", "out-best", "--since", "2030-01-01") == []


def test_a_file_is_whole_and_its_manifest_tells_the_cut(source: Any, tmp_path: Path) -> None:
    file = tmp_path / "grants.csv.gz"
    done = command_here(source.environment, "export", "grants", "--namespace", "out-sum", "--output", str(file))
    assert done.exit_code == 0, done.output
    assert {path.name for path in tmp_path.iterdir()} == {file.name, f"{file.name}.manifest.json"}
    manifest = json.loads((tmp_path / f"{file.name}.manifest.json").read_text())
    assert manifest["sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()
    ((p, epoch, seq),) = source.sql(
        "SELECT p.partition, epoch, seq FROM partitions p JOIN namespaces n USING (partition) WHERE name = 'out-sum'"
    )
    assert manifest["cut"] == [{"partition": p, "epoch": epoch, "seq": seq}]
    rows = list(csv.DictReader(io.StringIO(gzip.decompress(file.read_bytes()).decode(), newline="")))
    plain = export(source, "grants", "--namespace", "out-sum")
    assert manifest["rows"] == len(rows) == len(plain)
    for cells, row in zip(rows, plain, strict=True):
        assert float(cells["amount"]) == row["amount"]
        assert cells["source_id"].startswith("'@")
        assert plain_text(cells["category"]) == (row["category"] or "")
        assert json.loads(cells["meta"] or "null") == row["meta"]
    raw = command_here(source.environment, "export", "grants", "--namespace", "out-sum", "--format", "csv", "--raw")
    assert ",@7," in raw.stdout


def test_a_cut_is_consistent_while_writes_go_on(
    live_server: Any, api: httpx.Client, names: Any, tmp_path: Path
) -> None:
    """All rows up to the cut, none behind it; and boards of the same cut are their sums."""
    space, is_over = Space(live_server, api, names.fresh()), threading.Event()

    def write() -> None:
        with live_server.client() as client:
            for i in itertools.count():
                if is_over.is_set():
                    return
                grants = [{"grant_id": f"w{i}-{j}", "user_id": f"u{j % 7}", "amount": 1} for j in range(50)]
                assert client.post(f"{space.url}/grants", json=grants).json()["applied"] == 50

    with ThreadPoolExecutor(1) as pool:
        writer = pool.submit(write)
        try:
            counted = "SELECT count(*) FROM ledger WHERE partition = %s AND namespace_id = %s"
            ((home,),) = live_server.sql("SELECT partition FROM namespaces WHERE name = %s", space.name)
            until(lambda: live_server.sql(counted, home, space.id)[0][0] > 100, "nothing is written")
            for what in ("revisions", "standings"):
                file = tmp_path / what
                words = ("--namespace", space.name, "--output", str(file))
                assert command_here(live_server.environment, "export", what, *words).exit_code == 0
                rows = [json.loads(line) for line in file.read_text().splitlines()]
                ((p, epoch, seq),) = (
                    place.values() for place in json.loads(Path(f"{file}.manifest.json").read_text())["cut"]
                )
                ((entries,),) = live_server.sql(f"{counted} AND epoch <= %s AND seq <= %s", p, space.id, epoch, seq)
                assert (len(rows) if what == "revisions" else sum(row["score"] for row in rows)) == entries
        finally:
            is_over.set()
        writer.result()


def test_a_failure_leaves_the_old_file(source: Any, tmp_path: Path) -> None:
    file = tmp_path / "boards.ndjson"
    file.write_text("old")
    broken = source.environment | {"LEADERBOARD_POSTGRES_URL": "postgresql://nobody@127.0.0.1:1/x"}
    done = command_here(broken, "export", "boards", "--output", str(file))
    assert done.exit_code != 0
    done = command_here(source.environment, "export", "boards", "--namespace", "nowhere", "--output", str(file))
    assert done.exit_code != 0
    assert (file.read_text(), [path.name for path in tmp_path.iterdir()]) == ("old", [file.name])


def test_a_postgres_without_our_tables_is_told(source: Any) -> None:
    nowhere = source.postgres.url.rpartition("/")[0] + "/nowhere"
    empty = source.postgres.url + "?search_path=nothing"
    done = command_here({**source.environment, "LEADERBOARD_POSTGRES_URL": nowhere}, "export", "grants")
    assert str(done.exception).endswith('database "nowhere" does not exist')
    for words in (("export", "grants"), ("compare", "/dev/null", "--namespace", "x")):
        done = command_here({**source.environment, "LEADERBOARD_POSTGRES_URL": empty}, *words)
        assert str(done.exception) == "Postgres lacks the tables of 0001.deployment: run leaderboard migrate"


def test_an_error_of_the_output_is_none_of_postgres(source: Any, tmp_path: Path) -> None:
    done = command_here(source.environment, "export", "grants", "--output", str(tmp_path / "nowhere" / "x"))
    assert isinstance(done.exception, FindingError)
    assert str(done.exception).endswith("nowhere/x: No such file or directory")
    command = [sys.executable, "-m", "app", "export", "revisions"]
    with subprocess.Popen(command, env=source.environment, stdout=PIPE, stderr=PIPE, cwd=ROOT) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert (process.stderr.read(), process.wait(timeout=30)) == (b"", 1)


def test_one_persons_data_come_as_one_object(source: Any) -> None:
    done = command_here(source.environment, "export", "--user", "u3")
    assert done.exit_code == 0, done.output
    person = json.loads(done.stdout)
    assert person["user_id"] == "u3"
    assert {row["namespace"] for row in person["standings"]} >= set(RULES)
    assert {row["display_name"] for row in person["profiles"]} == {"Three"}
    expected = [row for row in export(source, "revisions", "--namespace", "out-*") if row["user_id"] == "u3"]
    actual = [row for row in person["revisions"] if row["namespace"].startswith("out-")]
    assert sorted(map(json.dumps, actual)) == sorted(map(json.dumps, expected))
    assert command_here(source.environment, "export", "--user", "nobody at all").exit_code == 1


@pytest.mark.parametrize(
    "words",
    [
        *(("--raw",), ("grants", "--user", "u3"), ("boards", "--since", "3"), ("grants", "--window", "all")),
        *(("grants", "--raw"), ("grants", "--format", "parquet"), ("grants", "--since", "yesterday"), ("nothing",)),
    ],
)
def test_wrong_usage_is_told(source: Any, words: tuple[str, ...]) -> None:
    assert command_here(source.environment, "export", *words).exit_code == 2
