"""What becomes of an export that is killed, that cannot write, or whose namespace goes away on its way."""

import asyncio
import json
import resource
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from subprocess import PIPE
from typing import Any

import httpx
import pyarrow.parquet
import pytest

from app.store.ledger_snapshot import LedgerSnapshot
from app.transfer.export_output import open_output
from app.transfer.export_rows import Selection, rows_of
from app.transfer.export_tables import TABLES, What
from tests.house_rules import ROOT
from tests.support.command_here import command_here
from tests.support.sealed_namespace import DAY, OLD, Space
from tests.support.waits import until

WRITER = """
import sys
from pathlib import Path
from app.transfer.export_output import open_output
with open_output(Path(sys.argv[1]), sys.stdout.buffer, is_gzip=False) as output:
    output.file.write(b"half a row")
    output.file.flush()
    print("half", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def space(live_server: Any, api: httpx.Client, names: Any) -> Space:
    space = Space(live_server, api, names.fresh())
    grants = [
        {
            "grant_id": f"g{i}",
            "user_id": f"u{i}",
            "amount": i,
            "meta": {"note": "x" * 900},
            "granted_at": OLD.isoformat(),
        }
        for i in range(300)
    ]
    for at in range(0, 300, 100):
        answer = api.post(f"{space.url}/grants", json=grants[at : at + 100], params={"backfill": "true"})
        assert answer.json()["applied"] == 100, answer.text
    live_server.wait_flushed(counted=False)
    return space


def export(space: Space, output: Path, what: str = "grants") -> Any:
    words = ("export", what, "--namespace", space.name, "--output", str(output))
    return command_here(space.stack.environment, *words)


def in_process(space: Space, *command: str, **more: Any) -> "subprocess.CompletedProcess[str]":
    """A command of its own process, from the project's folder."""
    streams = {"stdout": PIPE, "stderr": PIPE} | more
    return subprocess.run(command, env=space.stack.environment, cwd=ROOT, text=True, check=False, **streams)


def writer(path: Path) -> "subprocess.Popen[str]":
    """An export that has written a part, and waits."""
    process = subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdin=PIPE, stdout=PIPE, text=True, cwd=ROOT)
    assert process.stdout is not None
    assert process.stdout.readline() == "half\n"
    return process


def test_what_a_killed_export_left_goes_with_the_next_one(space: Space, tmp_path: Path) -> None:
    """And only that: another one that is on its way keeps its own."""
    file = tmp_path / "grants.ndjson"
    with writer(file) as dead:
        dead.send_signal(signal.SIGKILL)
    (left,) = tmp_path.iterdir()
    assert left.read_bytes() == b"half a row"
    with writer(file) as alive:
        assert not left.exists(), "the next one takes it away before it writes"
        done = export(space, file)
        assert (done.exit_code, len(file.read_text().splitlines())) == (0, 300)
        assert len(list(tmp_path.iterdir())) == 3
        alive.communicate(timeout=30)
    assert file.read_text() == "half a row", "the last one that ends is the one that stays"
    assert {path.name for path in tmp_path.iterdir()} == {file.name}, "and no manifest of another one"


def test_a_file_and_its_manifest_are_of_one_export(space: Space, tmp_path: Path) -> None:
    """A manifest that cannot be written leaves none that tells of another file."""
    file = tmp_path / "grants.ndjson"
    assert export(space, file).exit_code == 0
    before = file.read_text()
    manifest = tmp_path / "grants.ndjson.manifest.json"
    manifest.unlink()
    manifest.mkdir()
    done = export(space, file, "standings")
    assert (done.exit_code, file.read_text()) == (1, before)
    assert "grants.ndjson.manifest.json: Is a directory" in str(done.exception)
    assert {path.name for path in tmp_path.iterdir()} == {file.name, manifest.name}


def limited() -> None:
    """No file may be larger than this: as on a disk that is full."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (2_000, 2_000))


@pytest.mark.parametrize("ending", ["ndjson", "csv", "parquet", "ndjson.gz"])
def test_a_disk_that_is_full_leaves_the_old_file(space: Space, tmp_path: Path, ending: str) -> None:
    file = tmp_path / f"revisions.{ending}"
    file.write_text("old")
    words = ("export", "revisions", "--namespace", space.name, "--output", str(file))
    done = in_process(space, sys.executable, "-m", "app", *words, preexec_fn=limited)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines() == [f"leaderboard: {file}: File too large"]
    assert (file.read_text(), [path.name for path in tmp_path.iterdir()]) == ("old", [file.name])


def test_a_full_disk_behind_stdout_is_told_once(space: Space) -> None:
    words = ("export", "revisions", "--namespace", space.name)
    with Path("/dev/full").open("wb") as full:
        done = in_process(space, sys.executable, "-m", "app", *words, stdout=full)
    assert (done.returncode, done.stderr.splitlines()) == (1, ["leaderboard: stdout: No space left on device"])


def test_a_reader_who_has_seen_enough_ends_it(space: Space) -> None:
    command = f"'{sys.executable}' -m app export revisions --namespace {space.name} --gzip | head -c 9 | wc -c"
    done = in_process(space, "bash", "-c", command)
    assert done.stdout.strip() == "9"
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("what", TABLES)
def test_nothing_is_a_whole_file_in_each_format(
    live_server: Any, api: httpx.Client, names: Any, tmp_path: Path, what: What
) -> None:
    empty = Space(live_server, api, names.fresh())
    for ending in ("parquet", "csv", "ndjson"):
        file = tmp_path / f"x.{ending}"
        done = export(empty, file, what)
        assert done.exit_code == 0, done.exception
        rows = json.loads((tmp_path / f"x.{ending}.manifest.json").read_text())["rows"]
        if ending == "parquet":
            table = pyarrow.parquet.read_table(file)
            assert (table.num_rows, tuple(table.column_names)) == (rows, TABLES[what].names)
        else:
            assert len(file.read_text().splitlines()) == rows + (ending == "csv")


def test_a_namespace_that_is_deleted_on_the_way_comes_out_whole(space: Space) -> None:
    """Its archives and hidden users are removed meanwhile; the snapshot still has them."""
    space.seal(DAY)
    assert space.api.post(f"{space.url}/users/u7/hide").is_success
    space.api.put(f"{space.url}/users/u8", json={"display_name": "Eight"})
    until(lambda: len(space.board(DAY)["entries"]) == 299, "the user is not hidden yet")

    def delete() -> None:
        assert space.api.delete(space.url, params={"confirm": space.name}).status_code == 204
        gone = "SELECT dropped_at IS NOT NULL FROM namespaces WHERE id = %s"
        until(lambda: space.sql(gone, space.id) == [(True,)], "its data are still there", seconds=30)
        assert space.sql("SELECT count(*) FROM archived_boards WHERE namespace_id = %s", space.id) == [(0,)]

    async def counts(*, deletes: bool) -> Counter[str]:
        rows: Counter[str] = Counter()
        async with LedgerSnapshot.open(space.stack.environment["LEADERBOARD_POSTGRES_URL"]) as snapshot:
            chosen = {one.id: one for one in await snapshot.namespaces() if one.id == space.id}
            if deletes:
                await asyncio.to_thread(delete)
            for what in TABLES:
                async for some in rows_of(what, snapshot, Selection(chosen, is_whole=False)):
                    rows[what] += len(some)
        return rows

    space.stack.wait_flushed(counted=False)
    before = asyncio.run(counts(deletes=False))
    assert before["boards"] > 600
    assert asyncio.run(counts(deletes=True)) == before


def test_the_output_is_one_of_the_two_that_write_it(tmp_path: Path) -> None:
    """Two exports to one name do not write into each other's part."""
    file = tmp_path / "x"
    with open_output(file, sys.stdout.buffer, is_gzip=False) as one:
        one.file.write(b"one")
        with open_output(file, sys.stdout.buffer, is_gzip=False) as two:
            two.file.write(b"two")
        assert file.read_bytes() == b"two"
    assert (file.read_bytes(), list(tmp_path.iterdir())) == (b"one", [file])
