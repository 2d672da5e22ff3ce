"""An export and a comparison of 100,000 users need Postgres alone, and no more memory than small ones."""

import gzip
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.house_rules import ROOT
from tests.support.lone_namespace import tables
from tests.support.template import tables_alone

USERS = 100_000
#: Bytes that a command may take: Python with its libraries is 50 MB, a fetch of rows some.
BYTES_MAX = 100 << 20
FILL = """
INSERT INTO namespaces (name, partition, rules) VALUES ('many', 0, '{"scale": 1, "periods": ["all", "month"]}');
INSERT INTO users (name) SELECT 'user-' || i FROM generate_series(1, %(users)s) AS i;
INSERT INTO ledger (partition, epoch, seq, kind, namespace_id, grant_id, revision, user_number, entry_amount,
    live_delta, score, category, source, granted_at, recorded_at, windows, digest, score_delta, amount)
SELECT 0, 1, i, 'grant', n.id, 'g' || i, 1, 1 + i %% %(users)s, i, 1, i, 'red', 'race', t.at, t.at, '{all,2026-01}',
    'd', i, i
FROM namespaces n, generate_series(1, 2 * %(users)s) AS i, (VALUES ('2026-01-02T00:00:00Z'::timestamptz)) AS t (at);
UPDATE partitions SET epoch = 1, seq = 2 * %(users)s;
ANALYZE;
"""


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with tables_alone(tmp_path_factory.mktemp("transfer"), tmp_path_factory) as cluster:
        with psycopg.connect(cluster.url, autocommit=True) as db:
            tables(db)
            for statement in (FILL % {"users": USERS}).split(";")[:-1]:
                db.execute(statement.encode())
        yield cluster.url


#: Runs the command, and writes down the most memory that its process had. (What the kernel tells a parent of a child
#: begins with what the parent itself has.)
COMMAND = """
import re, sys
from pathlib import Path
from app.cli import main
try:
    main()
finally:
    Path(sys.argv.pop(0)).write_text(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
"""


def run(url: str, folder: Path, *words: str) -> tuple[int, int]:
    """The exit code of a command, and the most memory that it had, in bytes."""
    environment, notes = {**os.environ, "LEADERBOARD_POSTGRES_URL": url}, folder / "memory"
    script = f"import sys; sys.argv[0] = {str(notes)!r}\n{COMMAND}"
    done = subprocess.run([sys.executable, "-c", script, *words], env=environment, cwd=ROOT, check=False)
    return done.returncode, int(notes.read_text()) * 1024


@pytest.mark.full
@pytest.mark.parametrize(("what", "rows"), [("grants", 2 * USERS), ("revisions", 2 * USERS), ("boards", 2 * USERS)])
def test_an_export_of_any_size_takes_the_same_memory(url: str, tmp_path: Path, what: str, rows: int) -> None:
    file = tmp_path / f"{what}.ndjson.gz"
    code, memory = run(url, tmp_path, "export", what, "--output", str(file))
    assert (code, memory < BYTES_MAX) == (0, True), memory
    with gzip.open(file) as lines:
        assert sum(1 for _ in lines) == rows


@pytest.mark.full
def test_a_comparison_of_any_size_takes_the_same_memory(url: str, tmp_path: Path) -> None:
    totals: list[Any] = [(f"user-{1 + i % USERS}", (i + i + USERS) / 10) for i in range(1, USERS + 1)]
    totals[0], totals[-1] = (totals[0][0], totals[0][1] + 1), ("ghost", 5)
    file, output = tmp_path / "legacy.csv", tmp_path / "result.json"
    file.write_text("user_id,score\n" + "".join(f"{user},{score}\n" for user, score in totals))
    words = (str(file), "--namespace", "many", "--format", "json", "--output", str(output))
    for more in ((), ("--as-of", "2026-02-01T00:00:00Z")):
        code, memory = run(url, tmp_path, "compare", *words, *more)
        assert (code, memory < BYTES_MAX) == (1, True), memory
        figures = json.loads(output.read_text())["figures"]
        expected = {"users_here": USERS, "equal": USERS - 2, "differing": 1, "missing_here": 1, "missing_there": 1}
        assert {name: figures[name] for name in expected} == expected
