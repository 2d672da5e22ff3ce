"""The embedded servers alone: started, killed at once, started again; and what `dev` does when a part fails."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
import redis

from app.embedded import Child, EmbeddedError, PostgresProcess, ValkeyProcess, free_port, postgres
from app.embedded.postgres import postgres_programs
from tests.support.dev_process import Dev, alive, descendants
from tests.support.waits import until

pytestmark = pytest.mark.own_valkey

DEBIAN = shutil.which("redis-server")
BUILDS = [None, *([Path(DEBIAN)] if DEBIAN else [])]

# A program whose verbs fail as its environment says; `serve` answers 200 to all.
STAND_IN = """
import http.server, os, signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
verb = sys.argv[1]
if verb == os.environ.get("FAILING"):
    sys.exit(f"{verb}: no such thing")
if verb == "serve" and os.environ.get("FAILING") == "grandchild" and not os.fork():
    time.sleep(600)
class Yes(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
if verb == "serve":
    where = os.environ["LEADERBOARD_HOST"], int(os.environ["LEADERBOARD_PORT"])
    http.server.ThreadingHTTPServer(where, Yes).serve_forever()
while verb == "persist":
    time.sleep(1)
"""
RUN = """
import pathlib, sys
from app.embedded import run_dev
program, port, data_dir = sys.argv[1], int(sys.argv[2]), pathlib.Path(sys.argv[4])
sys.exit(run_dev(host="127.0.0.1", port=port, data_dir=data_dir, api_key=None, demo=False,
                 program=(sys.executable, program)))
"""


@contextmanager
def ended(*children: Child) -> Iterator[None]:
    try:
        yield
    finally:
        for child in children:
            child.kill()


def stand_in(tmp_path: Path, failing: str = "") -> Dev:
    program = tmp_path / "stand_in.py"
    program.write_text(STAND_IN)
    command = (sys.executable, "-c", RUN, str(program), str(free_port()))
    return Dev(tmp_path / "data", command=command, environment={"FAILING": failing})


@pytest.fixture(autouse=True)
def folder_cleared(tmp_path: Path) -> Iterator[None]:
    """A data folder is some 40 MB, too much for pytest to keep."""
    yield
    shutil.rmtree(tmp_path)


@pytest.mark.parametrize("binary", BUILDS, ids=str)
def test_redis_keeps_what_it_acknowledged_through_a_kill(tmp_path: Path, binary: Path | None) -> None:
    server = ValkeyProcess(tmp_path, free_port(), binary=binary)
    with ended(server), redis.Redis(port=server.port, decode_responses=True) as store:
        before = server.start().pid
        for number in range(1, 101):
            store.incrby("sum", number)
        server.kill()
        assert server.start().pid != before
        assert store.get("sum") == "5050"
        server.stop()
        assert server.returncode == 0


def test_redis_options_win_over_ours(tmp_path: Path) -> None:
    server = ValkeyProcess(tmp_path, free_port(), options={"appendonly": "no", "maxmemory": "64mb"})
    with ended(server), redis.Redis.from_url(server.url, decode_responses=True) as store:
        server.start()
        config = store.config_get("appendonly", "maxmemory")
    assert config == {"appendonly": "no", "maxmemory": str(64 * 1024 * 1024)}


def test_another_server_on_the_port_is_not_taken_for_ours(tmp_path: Path) -> None:
    port = free_port()
    one, other = ValkeyProcess(tmp_path / "one", port), ValkeyProcess(tmp_path / "other", port)
    with ended(one, other):
        one.start()
        with pytest.raises(EmbeddedError, match=r"(?s)redis ended with exit code 1.*in use"):
            other.start()


def test_postgres_keeps_what_it_committed_through_a_kill(tmp_path: Path) -> None:
    server = PostgresProcess(tmp_path, free_port(), options={"max_connections": "20"})
    with ended(server):
        before = server.start().pid
        with psycopg.connect(server.url) as ledger:
            assert ledger.execute("SHOW max_connections").fetchone() == ("20",)
            ledger.execute("CREATE TABLE kept AS SELECT generate_series(1, 1000) AS number")
        server.kill()
        assert server.start().pid != before
        with psycopg.connect(server.url) as ledger:
            assert ledger.execute("SELECT sum(number) FROM kept").fetchone() == (500500,)
        server.stop()
        assert server.returncode == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root's folders are closed to the user that Postgres runs as")
def test_programs_in_a_folder_that_is_closed_to_others_are_run(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As those that root installs below /root: initdb asks by access(2) whether it may run them."""
    closed, package = tmp_path_factory.mktemp("closed") / "root", postgres_programs().parents[1]
    for folder in (package, package.with_name(f"{package.name}.libs")):
        shutil.copytree(folder, closed / folder.name, symlinks=True)
    closed.chmod(0o700)
    programs = closed / postgres_programs().relative_to(package.parent)
    monkeypatch.setattr(postgres, "postgres_programs", lambda major=None: programs)
    server = PostgresProcess(tmp_path, free_port())
    with ended(server):
        server.start()
        with psycopg.connect(server.url) as ledger:
            assert ledger.execute("SELECT 1").fetchone() == (1,)
        server.stop()
    shutil.rmtree(closed)


def test_half_a_cluster_is_made_anew(tmp_path: Path) -> None:
    server = PostgresProcess(tmp_path, free_port())
    step = next(server.preparation())
    step.spawn()
    until(lambda: list(tmp_path.glob("postgres.new-*/PG_VERSION")), "initdb's first file")
    step.kill()
    with ended(server):
        server.start()
        with psycopg.connect(server.url) as ledger:
            assert ledger.execute("SELECT 1").fetchone() == (1,)
        server.stop()


def test_a_dead_postmasters_pid_that_another_process_has_by_now_is_no_obstacle(tmp_path: Path) -> None:
    server = PostgresProcess(tmp_path, free_port())
    with ended(server):
        server.start()
        server.kill()
        file = server.data / "postmaster.pid"
        lines = file.read_text().splitlines()
        # Postgres asks kill(pid, 0), which tells only about processes of its own user.
        user = server.account.uid if server.account else os.getuid()
        with subprocess.Popen(["sleep", "60"], user=user) as sleeper:
            file.write_text("\n".join([str(sleeper.pid), *lines[1:]]) + "\n")
            server.start()
            assert sleeper.poll() is None
            sleeper.kill()
        with psycopg.connect(server.url) as db:
            assert db.execute("SELECT 1").fetchone() == (1,)
        server.stop()


def test_a_running_postmaster_is_an_obstacle(tmp_path: Path) -> None:
    one, other = PostgresProcess(tmp_path, free_port()), PostgresProcess(tmp_path, free_port())
    with ended(one, other):
        one.start()
        with pytest.raises(EmbeddedError, match="postmaster"):
            other.start()
        psycopg.connect(one.url).close()


def test_a_cluster_without_its_password_or_of_another_version_is_refused_in_words(tmp_path: Path) -> None:
    server = PostgresProcess(tmp_path, free_port())
    with ended(server):
        server.start()
        server.stop()
        server.password_file.unlink()
        with pytest.raises(EmbeddedError, match=r"postgres\.password is missing"):
            server.start()
    (tmp_path / "postgres" / "PG_VERSION").write_text("9\n")
    with pytest.raises(EmbeddedError, match="of PostgreSQL 9, and only"):
        PostgresProcess(tmp_path, free_port())


def test_a_failing_migration_stops_dev_and_is_shown(tmp_path: Path) -> None:
    with stand_in(tmp_path, failing="migrate") as dev:
        assert dev.process.wait(30) == 1
        assert "migrate ended with exit code 1" in dev.output
        assert "migrate: no such thing" in dev.output
        assert not dev.run


@pytest.mark.parametrize("part", ["serve", "persist"])
def test_a_part_that_dies_again_and_again_stops_dev_and_its_log_is_shown(tmp_path: Path, part: str) -> None:
    with stand_in(tmp_path, failing=part) as dev:
        assert dev.process.wait(30) == 1
        assert f"{part} died 5 times at its start" in dev.output
        assert str(tmp_path / "data" / "logs" / f"{part}.log") in dev.output
        assert f"{part}: no such thing" in dev.output


def test_what_a_killed_part_leaves_behind_is_killed(tmp_path: Path) -> None:
    with stand_in(tmp_path, failing="grandchild") as dev:
        serve = dev.ready().run["pids"]["serve"]
        left = descendants(serve)
        assert len(left) == 1
        dev.kill("serve")
        assert not any(map(alive, left))
        assert dev.ends() == 0


def test_killing_parts_again_and_again_is_no_failure_to_start(tmp_path: Path) -> None:
    with stand_in(tmp_path) as dev:
        dev.ready()
        for _ in range(6):
            dev.kill("redis")
        assert dev.ends() == 0


def test_logs_begin_anew_and_the_last_ones_are_kept(tmp_path: Path) -> None:
    for _ in range(2):
        with stand_in(tmp_path) as dev:
            assert dev.ready().ends() == 0
    logs = tmp_path / "data" / "logs"
    assert (logs / "postgres.log").read_text().count("ready to accept connections") == 1
    assert (logs / "postgres.log.1").read_text().count("ready to accept connections") == 1
