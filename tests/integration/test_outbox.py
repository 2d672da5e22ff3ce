"""The outbox of docs/outbox.md, as it stands there: nothing is lost or counts twice, however its worker dies."""

import itertools
import os
import random
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from tests.support.guide_script import blocks
from tests.support.import_run import import_here, scores
from tests.support.waits import until

PAGE = (Path(__file__).parents[2] / "docs" / "outbox.md").read_text()
EVENTS_SQL, WORKER, TOTALS_SQL = (block.text for block in blocks(PAGE) if block.language in ("sql", "python"))
TABLE = """CREATE TABLE score_events (id serial PRIMARY KEY, user_id text NOT NULL, points numeric NOT NULL,
reason text, created_at timestamptz NOT NULL DEFAULT now())"""


class OldSystem:
    """A schema with score_events and the outbox; workers that empty it into a namespace."""

    def __init__(self, stack: Any, url: str, namespace: str, folder: Path) -> None:
        self.url = url
        self.db = psycopg.connect(url, autocommit=True)
        self.sql(TABLE)
        self.db.execute(EVENTS_SQL.encode())
        self._script = folder / "worker.py"
        self._script.write_text(WORKER)
        self._environment = os.environ | {
            "OLD": url,
            "LEADERBOARD_URL": stack.url,
            "LEADERBOARD_API_KEY": stack.key,
            "NAMESPACE": namespace,
        }

    def sql(self, text: str, *args: Any) -> list[Any]:
        cursor = self.db.execute(text.encode(), args or None)
        return cursor.fetchall() if cursor.description else []

    @contextmanager
    def worker(self) -> Iterator[subprocess.Popen[bytes]]:
        """One that is killed at the end."""
        with subprocess.Popen([sys.executable, self._script], env=self._environment) as process:
            try:
                yield process
            finally:
                process.kill()

    def left(self) -> int:
        return int(self.sql("SELECT count(*) FROM leaderboard_outbox")[0][0])

    def totals(self) -> dict[str, float]:
        return {
            user: float(n) for user, n in self.sql("SELECT user_id, sum(points) FROM score_events GROUP BY user_id")
        }

    def dump(self, file: Path) -> Path:
        """The events as a CSV."""
        text = (
            "COPY (SELECT id, user_id, points, reason, created_at FROM score_events ORDER BY id) TO STDOUT CSV HEADER"
        )
        with self.db.cursor().copy(text.encode()) as copy:
            file.write_bytes(b"".join(bytes(part) for part in copy))
        return file

    def write(self, chance: random.Random, count: int) -> None:
        """Inserts, edits and deletions; some transactions do not happen."""
        for i in range(count):
            with self.db.transaction():
                self.sql(
                    "INSERT INTO score_events (user_id, points) VALUES (%s, %s)", f"u{i % 9}", chance.randrange(1, 90)
                )
                if i % 3 == 0:
                    self.sql("UPDATE score_events SET points = points + 0.5 WHERE id = %s", chance.randrange(1, i + 2))
                if i % 5 == 0:
                    self.sql("DELETE FROM score_events WHERE id = %s", chance.randrange(1, i + 2))
                if i % 7 == 0:
                    raise psycopg.Rollback


@pytest.fixture
def old(live_server: Any, api: httpx.Client, names: Any, tmp_path: Path) -> Iterator[tuple[OldSystem, str]]:
    """In a schema of its own beside the ledger's."""
    namespace = names.fresh()
    api.put(f"/v1/namespaces/{namespace}", json={"mode": "shadow", "scale": 1}).raise_for_status()
    name = f"old_{namespace.replace('-', '_')}"
    live_server.sql(f'CREATE SCHEMA "{name}"')
    url = psycopg.conninfo.make_conninfo(live_server.postgres.url, options=f"-csearch_path={name}")
    system = OldSystem(live_server, url, namespace, tmp_path)
    yield system, namespace
    system.db.close()
    live_server.sql(f'DROP SCHEMA "{name}" CASCADE')


def test_a_refused_call_tells_why_and_takes_nothing_back(old: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """Grants are settled, and corrections wait for the ledger."""
    system, _ = old
    system.sql("INSERT INTO score_events (user_id, points) VALUES ('ann', 1), ('bob', 2)")
    system.sql("DELETE FROM leaderboard_outbox WHERE grant_id = 'score_events-1'")
    system.sql("UPDATE score_events SET points = 5 WHERE id = 1")
    paths = []

    def answer(request: httpx.Request) -> httpx.Response:
        paths.append(request.url.path)
        if paths[-1] == "/grants":
            return httpx.Response(200, json={"results": [{"status": "applied"}]})
        return httpx.Response(503, json={"code": "correction_unavailable", "detail": "the ledger is behind"})

    worker: dict[str, Any] = {}
    exec(WORKER.partition("\nurl =")[0], worker)
    with httpx.Client(base_url="http://s/", transport=httpx.MockTransport(answer)) as api, system.db.transaction():
        assert worker["send"](api, system.db) == 1
    assert paths == ["/grants", "/corrections"]
    assert system.sql("SELECT op, error FROM leaderboard_outbox") == [("edit", None)]
    assert "503" in (out := capsys.readouterr().out)
    assert "the ledger is behind" in out


def test_what_was_sent_before_a_kill_counts_once(api: httpx.Client, old: Any) -> None:
    system, namespace = old
    system.sql("INSERT INTO score_events (user_id, points) SELECT 'u' || i % 5, i FROM generate_series(1, 150) AS i")
    expected = system.totals()
    with psycopg.connect(system.url) as other:
        # Rows can be taken, and cannot be deleted.
        other.execute("LOCK TABLE leaderboard_outbox IN SHARE MODE")
        with system.worker():
            until(lambda: scores(api, namespace) == expected, "the worker sends nothing")
    assert system.left() == 150
    with system.worker():
        until(lambda: system.left() == 0, "the outbox is not emptied")
    assert scores(api, namespace) == expected


def test_writers_edits_deletions_and_dying_workers(
    live_server: Any, api: httpx.Client, old: Any, tmp_path: Path
) -> None:
    system, namespace = old
    chance = random.Random(7)
    with system.worker():
        for _ in range(3):
            with system.worker():
                system.write(chance, 120)
        until(lambda: system.left() == 0, "the outbox is not emptied")
    assert scores(api, namespace) == system.totals()
    # A dump of the same table finds everything there; one that was counted anew, past the trigger, replaces it.
    maps = ("--map", "amount=points", "--map", "granted_at=created_at", "--map", "action=reason")
    flags = ("--namespace", namespace, "--grant-id", "score_events-{id}", "--set", "source=score_events", *maps)
    done = import_here(live_server, system.dump(tmp_path / "first.csv"), *flags)
    assert done.counts["new"] == 0
    assert scores(api, namespace) == system.totals()
    system.sql("ALTER TABLE score_events DISABLE TRIGGER note_score_event")
    system.sql("UPDATE score_events SET points = points + 3 WHERE id % 2 = 0")
    live_server.wait_flushed()
    done = import_here(live_server, system.dump(tmp_path / "second.csv"), *flags, "--replace")
    assert (done.code, done.counts["new"]) == (0, 0), done.stdout
    assert scores(api, namespace) == system.totals()


def test_an_edit_waits_for_the_import_of_its_event(api: httpx.Client, old: Any) -> None:
    system, namespace = old
    system.sql("ALTER TABLE score_events DISABLE TRIGGER note_score_event")
    system.sql("INSERT INTO score_events (user_id, points) VALUES ('ann', 5)")
    system.sql("ALTER TABLE score_events ENABLE TRIGGER note_score_event")
    system.sql("UPDATE score_events SET points = 6")
    with system.worker():
        until(
            lambda: bool(system.sql("SELECT 1 FROM leaderboard_outbox WHERE error LIKE '%%grant_not_found%%'")),
            "no error",
        )
        grant = {"grant_id": "score_events-1", "user_id": "ann", "amount": 5}
        assert api.post(f"/v1/namespaces/{namespace}/grants", json=grant).status_code == 201
        system.sql("UPDATE leaderboard_outbox SET error = NULL")
        until(lambda: system.left() == 0, "the edit is not sent")
    assert scores(api, namespace) == {"ann": 6}


def test_an_edit_does_not_overtake_its_grant(api: httpx.Client, old: Any) -> None:
    """While another worker has the grant's row, the edit is left alone."""
    system, namespace = old
    system.sql("INSERT INTO score_events (user_id, points) VALUES ('ann', 5)")
    system.sql("UPDATE score_events SET points = 6")
    system.sql("INSERT INTO score_events (user_id, points) VALUES ('bob', 7)")
    with psycopg.connect(system.url) as other, system.worker():
        other.execute("SELECT 1 FROM leaderboard_outbox WHERE op = 'grant' ORDER BY id LIMIT 1 FOR UPDATE")
        until(lambda: system.left() == 2, "the grant of bob is not sent")
        assert system.sql("SELECT op, error FROM leaderboard_outbox ORDER BY id") == [("grant", None), ("edit", None)]
        other.rollback()
        until(lambda: system.left() == 0, "the outbox is not emptied")
    assert scores(api, namespace) == {"ann": 6, "bob": 7}


def test_an_edit_of_an_event_that_was_gone_before_the_dump_is_settled(api: httpx.Client, old: Any) -> None:
    system, _ = old
    system.sql("ALTER TABLE score_events DISABLE TRIGGER note_score_event")
    system.sql("INSERT INTO score_events (user_id, points) VALUES ('ann', 5), ('bob', 6)")
    system.sql("ALTER TABLE score_events ENABLE TRIGGER note_score_event")
    system.sql("UPDATE score_events SET points = 6")
    system.sql("DELETE FROM score_events WHERE user_id = 'ann'")
    lost = "SELECT count(*) FROM leaderboard_outbox WHERE error LIKE '%%grant_not_found%%'"
    with system.worker():
        until(lambda: system.sql(lost) == [(2,)], "two edits are of events that are not here")
    settle = re.search(r"`(DELETE FROM leaderboard_outbox .+?)`", PAGE, re.DOTALL)
    assert settle is not None
    system.sql(settle[1])
    assert system.left() == 0


def test_totals_without_events_flow_while_writes_go_on(
    live_server: Any, api: httpx.Client, old: Any, tmp_path: Path
) -> None:
    """What came before the trigger is in the dump, what came behind it in the outbox, and nothing in both."""
    system, namespace = old
    system.sql("CREATE TABLE leaderboard_entries (user_id text PRIMARY KEY, score numeric NOT NULL)")
    system.sql("INSERT INTO leaderboard_entries SELECT 'u' || i, i * 3 FROM generate_series(1, 20) AS i")
    before, copy, after = re.split(r"^\\copy (.+) TO 'opening.csv' CSV HEADER$", TOTALS_SQL, flags=re.MULTILINE)
    is_over = threading.Event()

    def write() -> None:
        with psycopg.connect(system.url, autocommit=True) as db:
            for i in itertools.count():
                if is_over.is_set():
                    return
                db.execute("UPDATE leaderboard_entries SET score = score + 5 WHERE user_id = %s", [f"u{i % 20 + 1}"])

    with ThreadPoolExecutor(1) as pool:
        writer = pool.submit(write)
        try:
            until(lambda: system.sql("SELECT sum(score) > 1000 FROM leaderboard_entries") == [(True,)], "no writes")
            system.sql(before)
            with system.db.cursor().copy(f"COPY {copy} TO STDOUT CSV HEADER".encode()) as rows:
                (tmp_path / "opening.csv").write_bytes(b"".join(bytes(part) for part in rows))
            system.sql(after)
            until(lambda: system.left() > 20, "the trigger notes nothing")
        finally:
            is_over.set()
        writer.result()
    system.sql("INSERT INTO leaderboard_entries VALUES ('new', 4)")
    system.sql("DELETE FROM leaderboard_entries WHERE user_id = 'u9'")
    words = ("--namespace", namespace, "--opening", "2020-12-31")
    assert import_here(live_server, tmp_path / "opening.csv", *words).counts["new"] == 20
    with system.worker():
        until(lambda: system.left() == 0, "the outbox is not emptied")
    totals = {user: float(score) for user, score in system.sql("SELECT user_id, score FROM leaderboard_entries")}
    assert scores(api, namespace) == totals | {"u9": 0}
