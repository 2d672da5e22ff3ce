"""An import that is killed on its way ends as one that was not."""

import json
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.checked_deployment import verify
from tests.support.import_run import import_here, rows_done
from tests.support.launcher import launcher
from tests.support.sealed_namespace import Space
from tests.support.waits import until

RULES: list[dict[str, Any]] = [
    {"aggregation": "latest", "tie_break": "granted_at", "streaks": True, "category_boards": True},
    {"aggregation": "best", "order": "asc", "tie_break": "earliest"},
    {"tie_break": "earliest", "streaks": True, "periods": ["all", "month", "week", "day", "hour"]},
    {"streaks": True, "category_boards": True},
]


#: Windows that are closed long before the import, and that it changes.
SEALED = ("2019-05-14", "2019-05-15", "2019-W20", "2019-05")


def write_rows(path: Path, count: int) -> None:
    """Of fifty users in no order of time, one row in a hundred of them bad."""
    chance = random.Random(7)
    with path.open("w") as file:
        for i in range(count):
            at = f"2019-{chance.randint(1, 12):02}-{chance.randint(1, 28):02}T{chance.randint(0, 23):02}:00:00Z"
            row = {"grant_id": f"g{i}", "user_id": f"u{chance.randint(1, 50)}", "amount": chance.randint(-9, 99)}
            row |= {"granted_at": at, "category": f"c{i % 3}"} | ({"amount": 0.5} if i % 100 == 50 else {})
            file.write(json.dumps(row) + "\n")


def seal_windows(stack: Any, api: httpx.Client, folder: Path, name: str, **rules: Any) -> None:
    """Has two days of a namespace, their week and their month closed and archived, with grants in them."""
    space = Space(stack, api, name, **rules)
    path = folder / f"{name}.ndjson"
    with path.open("w") as file:
        for i in range(100):
            row = {"grant_id": f"old{i}", "user_id": f"u{1 + i % 60}", "amount": i % 9, "category": f"c{i % 3}"}
            file.write(json.dumps(row | {"granted_at": f"2019-05-{14 + i % 2}T12:00:00Z"}) + "\n")
    assert import_here(stack, path, "--namespace", name).counts["new"] == 100
    space.seal(*SEALED)
    space.put(accept_past=None)


def kill_on_the_way(stack: Any, state: Path, *words: str) -> None:
    """Runs it until its state says that more rows are done, and kills it."""
    before = rows_done(state)
    environment = {**stack.environment, "LEADERBOARD_URL": stack.url}
    with (stack.folder / "import.log").open("ab") as log:
        process = launcher().start(["import", *words], environment, log)
    deadline = time.monotonic() + 30
    try:
        while rows_done(state) <= before:
            assert time.monotonic() < deadline, (stack.folder / "import.log").read_text()[-1000:]
            time.sleep(0.002)
    finally:
        process.kill()
        process.wait()


def boards(api: httpx.Client, name: str, *windows: str) -> list[Any]:
    """What boards and users show, but for what differs by name or by when it came."""
    answers = [api.get(f"/v1/namespaces/{name}/boards/{window}?limit=100").json() for window in windows]
    users = [api.get(f"/v1/namespaces/{name}/users/u{n}").json() for n in range(1, 51)]
    return [
        *(answer["entries"] for answer in answers),
        *((user["score"], user["grants"], user.get("streak")) for user in users),
    ]


def compare_with_an_uninterrupted_one(
    stack: Any, api: httpx.Client, names: tuple[str, str], folder: Path, *, rows: int, kills: int, **rules: Any
) -> None:
    whole, killed = names
    for name in names:
        seal_windows(stack, api, folder, name, **rules)
    one, two = folder / "whole.ndjson", folder / "killed.ndjson"
    for path in (one, two):
        write_rows(path, rows)
    assert import_here(stack, one, "--namespace", whole).counts["refused"] == rows // 100
    state = folder / "killed.ndjson.import"
    for _ in range(kills):
        kill_on_the_way(stack, state, str(two), "--namespace", killed, "--quiet", "--in-flight", "2")
    assert 0 < rows_done(state) < rows, "every kill came on the way"
    done = import_here(stack, two, "--namespace", killed)
    assert (done.counts["rows"], done.counts["refused"], state.exists()) == (rows, rows // 100, False)
    refused = [(folder / f"{path.name}.refused.ndjson").read_text() for path in (one, two)]
    assert refused[0] == refused[1]
    # Each bad row is named by its line and by the reason.
    named = [json.loads(line) for line in refused[0].splitlines()]
    assert [(int(row["refused_line"]), row["refused_code"]) for row in named] == [
        (line, "amount_scale") for line in range(51, rows + 1, 100)
    ]
    stack.wait_flushed()
    until(lambda: not stack.sql("SELECT 1 FROM pending_archive_updates LIMIT 1"), "archives have all", seconds=60)
    windows = ("all", "2019-03", "2019-07-07", *SEALED)
    assert boards(api, killed, *windows) == boards(api, whole, *windows)
    assert verify(stack, whole, killed) == (0, [])


@pytest.mark.parametrize("rules", RULES, ids=str)
def test_an_import_that_is_killed_ends_as_one_that_is_not(
    live_server: Any, api: httpx.Client, names: Any, tmp_path: Path, rules: dict[str, Any]
) -> None:
    pair = names.fresh(), names.fresh()
    compare_with_an_uninterrupted_one(live_server, api, pair, tmp_path, rows=3_000, kills=1, **rules)


def test_stdin_is_read_once_more_after_a_kill(live_server: Any, api: httpx.Client, space: str, tmp_path: Path) -> None:
    """What was done is known by the number of its rows: the same stream goes on, another one is told."""
    path, state = tmp_path / "rows.ndjson", tmp_path / "state"
    write_rows(path, 20_000)
    command = [sys.executable, "-m", "app", "import", "-", "--namespace", space, "--state", str(state), "--quiet"]
    environment = {**live_server.environment, "LEADERBOARD_URL": live_server.url}
    api.put(f"/v1/namespaces/{space}", json={"accept_past": None})
    with path.open("rb") as stdin:
        process = subprocess.Popen(command, env=environment, stdin=stdin)
        until(lambda: rows_done(state) > 0, "it has begun")
        process.kill()
        process.wait()
    done = rows_done(state)
    assert 0 < done < 20_000
    other = subprocess.run(command, env=environment, input=b'{"user_id": "x"}\n', capture_output=True, check=False)
    assert (other.returncode, b"stdin has changed since its import began" in other.stderr) == (1, True)
    with path.open("rb") as stdin:
        ended = subprocess.run(command, env=environment, stdin=stdin, capture_output=True, text=True, check=False)
    assert (ended.returncode, f"goes on behind row {done:,}" in ended.stderr) == (1, True)
    first = ended.stdout.splitlines()[0]
    assert first.startswith("20,000 rows: ")
    assert first.endswith(", 200 refused")
    assert not state.exists()
    live_server.wait_flushed()
    assert import_here(live_server, path, "--namespace", space).counts["there already"] == 19_800


@pytest.mark.full
@pytest.mark.timeout(900)
@pytest.mark.parametrize("rules", RULES, ids=str)
def test_an_import_that_is_killed_five_times(
    live_server: Any, api: httpx.Client, names: Any, tmp_path: Path, rules: dict[str, Any]
) -> None:
    pair = names.fresh(), names.fresh()
    compare_with_an_uninterrupted_one(live_server, api, pair, tmp_path, rows=120_000, kills=5, **rules)
