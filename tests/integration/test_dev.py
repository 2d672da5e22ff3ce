"""`leaderboard dev` from outside: what it starts, keeps running, refuses and leaves."""

from __future__ import annotations

import json
import os
import pwd
import re
import shutil
import signal
import socket
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
import redis

from app.embedded import free_port
from app.embedded.folder import DataFolder
from tests.support.dev_process import DEV, Dev, alive
from tests.support.template import made_once, once_a_run
from tests.support.waits import until

pytestmark = pytest.mark.own_valkey

PARTS = ["redis", "postgres", "serve", "persist"]


def dev(data_dir: Path, *options: str, **more: object) -> Dev:
    return Dev(data_dir, "--port", str(free_port()), "--no-demo", *options, **more)  # type: ignore[arg-type]


def refused(*options: str) -> str:
    """Run it and be refused: its one line."""
    ended = subprocess.run([*DEV, *options], capture_output=True, text=True, timeout=30, check=False)
    assert ended.returncode == 2
    assert ended.stdout == ""
    assert ended.stderr.count("\n") == 1
    return ended.stderr


def put_marks(url_redis: str, url_postgres: str) -> None:
    with redis.Redis.from_url(url_redis) as store:
        store.set("mark", "kept")
    with psycopg.connect(url_postgres) as ledger:
        ledger.execute("CREATE TABLE IF NOT EXISTS mark AS SELECT 'kept' AS mark")


def marks(url_redis: str, url_postgres: str) -> list[object]:
    with redis.Redis.from_url(url_redis, decode_responses=True) as store, psycopg.connect(url_postgres) as ledger:
        return [store.get("mark"), *(ledger.execute("SELECT mark FROM mark").fetchone() or ())]


@pytest.fixture(autouse=True)
def folder_cleared(tmp_path: Path) -> Iterator[None]:
    """A data folder is some 40 MB, too much for pytest to keep."""
    yield
    shutil.rmtree(tmp_path)


@pytest.fixture
def data(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder on which dev ran before, for tests of what comes after the first start: that takes seconds."""

    def make(folder: Path) -> None:
        with dev(folder / "data") as first:
            assert first.ready().ends() == 0

    whole = made_once(once_a_run(tmp_path_factory) / "dev", make)
    subprocess.run(["cp", "-Rp", whole / "data", tmp_path], check=True, timeout=60)
    return tmp_path / "data"


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dev]:
    folder = tmp_path_factory.mktemp("dev")
    with dev(folder / "data") as running:
        yield running.ready()
    shutil.rmtree(folder)


def test_says_where_everything_is(up: Dev) -> None:
    run = up.run
    assert list(run) == ["http", "redis", "postgres", "api_key", "pids"]
    assert list(run["pids"]) == PARTS
    assert stat.S_IMODE((up.data_dir / "run.json").stat().st_mode) == 0o600
    assert all(alive(pid) for pid in run["pids"].values())
    assert up.healthy()


def test_starts_without_quotas(up: Dev) -> None:
    environment = Path(f"/proc/{up.run['pids']['serve']}/environ").read_bytes().split(b"\0")
    assert b"LEADERBOARD_QUOTAS=off" in environment


def test_shows_how_to_begin_and_how_to_stop(up: Dev) -> None:
    assert up.run["http"] in up.output
    assert "Ctrl-C" in up.output
    assert "what Redis loses, by FLUSHALL too, comes back from Postgres by itself" in up.output


def test_the_first_call_works_as_it_is_printed(up: Dev) -> None:
    """The two lines begin at the margin: a person copies them into another terminal."""
    export, curl = re.findall(r"^(?:export|curl) .*$", up.output, re.MULTILINE)
    assert export == f"export URL={up.run['http']} KEY={up.run['api_key']}"
    said = subprocess.run(["sh", "-c", f"{export}\n{curl} -s"], capture_output=True, text=True, timeout=30, check=True)
    rules = json.loads(said.stdout)
    assert (rules["name"], rules["visibility"], rules["scale"]) == ("race", "public", 1)


def test_a_command_finds_the_stores_by_itself(up: Dev) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("LEADERBOARD_")}
    environment["LEADERBOARD_DATA_DIR"] = str(up.data_dir)
    made = subprocess.run(
        [*DEV[:-1], "keys", "create", "--scope", "read:*"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert made.stderr == f"leaderboard: with the leaderboard dev of {up.data_dir / 'run.json'}\n"
    assert made.stdout.startswith("lb_")


def test_redis_puts_every_write_on_disk(up: Dev) -> None:
    with redis.Redis.from_url(up.run["redis"], decode_responses=True) as store:
        config = store.config_get("*")
    assert isinstance(config, dict)
    assert config["appendonly"] == "yes"
    assert config["appendfsync"] == "always"
    assert config["no-appendfsync-on-rewrite"] == "no"
    assert config["maxmemory-policy"] == "noeviction"
    assert config["save"] == ""
    assert config["bind"] == "127.0.0.1"
    assert Path(config["dir"]) == up.data_dir / "redis"


def test_postgres_is_utf8_and_asks_for_its_password(up: Dev) -> None:
    with psycopg.connect(up.run["postgres"]) as ledger:
        assert ledger.info.encoding == "utf-8"
        rows = ledger.execute("SELECT datcollate, version() FROM pg_database WHERE datname = current_database()")
        collation, version = rows.fetchone() or ("", "")
    assert collation == "C"
    assert version.startswith("PostgreSQL 18")
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(up.run["postgres"], password="wrong")


def test_a_second_one_on_the_same_folder_is_refused(up: Dev) -> None:
    line = refused("--port", str(free_port()), "--data-dir", str(up.data_dir))
    assert str(up.data_dir) in line
    assert "in use" in line
    assert up.healthy()


@pytest.mark.parametrize("part", PARTS)
def test_a_killed_part_comes_back_with_its_data_at_its_place(up: Dev, part: str) -> None:
    before = up.run
    put_marks(before["redis"], before["postgres"])
    up.kill(part)
    after = up.run
    assert {**after, "pids": None} == {**before, "pids": None}
    assert [name for name in PARTS if after["pids"][name] != before["pids"][name]] == [part]
    assert up.healthy()
    assert marks(after["redis"], after["postgres"]) == ["kept", "kept"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_all_and_the_folder_is_kept(data: Path, number: signal.Signals) -> None:
    with dev(data) as first:
        run = first.ready().run
        put_marks(run["redis"], run["postgres"])
        assert first.ends(number) == 0
        assert not (first.data_dir / "run.json").exists()
    with dev(data) as second:
        again = second.ready().run
        assert again["api_key"] == run["api_key"]
        assert marks(again["redis"], again["postgres"]) == ["kept", "kept"]
        assert second.ends() == 0


def test_a_part_that_hangs_cannot_hold_up_the_end(data: Path) -> None:
    with dev(data) as running:
        for part in ("serve", "postgres"):
            os.kill(running.ready().run["pids"][part], signal.SIGSTOP)
        assert running.ends() == 0


def test_a_killed_dev_leaves_nothing_running_and_the_next_starts_on_its_folder(data: Path) -> None:
    with dev(data) as first:
        run = first.ready().run
        put_marks(run["redis"], run["postgres"])
        first.process.kill()
        with dev(data) as second:
            until(lambda: not any(map(alive, first.family)), "end of the first one's parts", 5)
            until(lambda: second.ran_anew(run), "second run.json")
            again = second.ready().run
            assert marks(again["redis"], again["postgres"]) == ["kept", "kept"]
            assert second.ends() == 0


def test_a_run_json_that_goes_between_two_looks_is_waited_for(up: Dev, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the next one on a killed one's folder takes it away: each look reads the file once."""
    killed, new = {"pids": {"serve": 1}}, {"pids": {"serve": 2}}
    reads = iter([killed, {}, new])
    monkeypatch.setattr(Dev, "run", property(lambda _: next(reads)))
    assert [up.ran_anew(killed) for _ in range(3)] == [False, False, True]


def test_run_json_is_always_read_whole(tmp_path: Path) -> None:
    """Beside one that writes it over and over, longer and shorter."""
    path = tmp_path / "run.json"
    with DataFolder(tmp_path) as folder, ThreadPoolExecutor(1) as pool:
        folder.write_run({"pids": {}, "http": ""})

        def write() -> None:
            for i in range(300):
                folder.write_run({"pids": {}, "http": "x" * (i % 2 * 9_000)})

        writing = pool.submit(write)
        while not writing.done():
            assert list(json.loads(path.read_text())) == ["pids", "http"]
        writing.result()
        assert [one.name for one in tmp_path.iterdir() if one.name.startswith("run.json")] == ["run.json"]


def test_a_stop_while_starting_is_obeyed(tmp_path: Path) -> None:
    with dev(tmp_path / "data") as running:
        until(lambda: list((tmp_path / "data").glob("postgres.new-*")), "initdb")
        assert running.ends() == 0
    with dev(tmp_path / "data") as again:
        assert again.ready().ends() == 0


def test_a_taken_port_is_refused_before_anything_starts(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        line = refused("--port", str(port), "--data-dir", str(tmp_path / "data"))
    assert f":{port}" in line
    assert not (tmp_path / "data" / "redis").exists()


@pytest.mark.parametrize(
    "key", ["", "secret", "lb_short_0123456789", "lb__0123456789abcdef", "xx_dev_0123456789abcdef"]
)
def test_a_bad_api_key_is_refused_by_its_flag(tmp_path: Path, key: str) -> None:
    assert "--api-key" in refused("--data-dir", str(tmp_path / "data"), "--api-key", key)
    assert not (tmp_path / "data").exists()


def test_a_given_api_key_is_used(data: Path) -> None:
    key = "lb_mine_0123456789abcdef"
    with dev(data, "--api-key", key) as running:
        assert running.ready().run["api_key"] == key
        assert (data / "api_key").read_text() == key + "\n"
        assert running.ends() == 0
    with dev(data) as running:
        assert running.ready().run["api_key"] == key, "the folder keeps the key of its last run"
        assert running.ends() == 0


def test_an_unusable_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert str(tmp_path / "file") in refused("--port", str(free_port()), "--data-dir", str(tmp_path / "file" / "data"))


def test_runs_as_a_plain_user() -> None:
    """Where we are root, as nobody; the folder then is found unchanged by root, too."""
    root = os.geteuid() == 0
    uid = pwd.getpwnam("nobody").pw_uid if root else os.geteuid()
    home = Path(tempfile.mkdtemp(prefix="leaderboard-"))
    try:
        os.chown(home, uid, -1)
        with dev(home / "data", uid=uid if root else None) as plain:
            run = plain.ready().run
            assert {Path(f"/proc/{pid}").stat().st_uid for pid in run["pids"].values()} == {uid}
            put_marks(run["redis"], run["postgres"])
            assert plain.ends() == 0
        with dev(home / "data") as other:
            run = other.ready().run
            assert Path(f"/proc/{run['pids']['postgres']}").stat().st_uid == uid
            assert marks(run["redis"], run["postgres"]) == ["kept", "kept"]
            assert other.ends() == 0
    finally:
        shutil.rmtree(home)


def test_data_of_another_format_are_refused_by_name_and_a_reset_starts_afresh(data: Path) -> None:
    folder = data
    with dev(folder) as running:
        run = running.ready().run
        put_marks(run["redis"], run["postgres"])
        with psycopg.connect(run["postgres"]) as db:
            db.execute("INSERT INTO _yoyo_migration (migration_hash, migration_id) VALUES ('x', '0012.ranges')")
        environment = os.environ | {
            "LEADERBOARD_REDIS_URL": run["redis"],
            "LEADERBOARD_POSTGRES_URL": run["postgres"],
            "LEADERBOARD_API_KEY": run["api_key"],
        }
        for verb in (["migrate"], ["persist"], ["serve", "--port", str(free_port())]):
            ended = subprocess.run(
                [*DEV[:-1], *verb], env=environment, capture_output=True, text=True, timeout=60, check=False
            )
            assert ended.returncode == 1, (verb, ended.stderr)
            assert "tables of another format (made by 0012.ranges)" in ended.stderr, (verb, ended.stderr)
            assert "leaderboard dev --reset" in ended.stderr, (verb, ended.stderr)
        assert "in use by another leaderboard dev" in refused("--data-dir", str(folder), "--reset")
        assert marks(run["redis"], run["postgres"]) == ["kept", "kept"]
        assert running.ends() == 0
    (folder / "mine").write_text("kept")
    with dev(folder) as running:
        assert running.process.wait(60) == 1
    with dev(folder, "--reset") as running:
        fresh = running.ready().run
        assert fresh["api_key"] == run["api_key"]
        with redis.Redis.from_url(fresh["redis"]) as store, psycopg.connect(fresh["postgres"]) as ledger:
            assert store.get("mark") is None
            assert ledger.execute("SELECT to_regclass('mark')").fetchone() == (None,)
        assert running.ends() == 0
    assert (folder / "mine").read_text() == "kept"


def test_a_reset_deletes_nothing_of_a_folder_that_is_no_data_folder(tmp_path: Path) -> None:
    (tmp_path / "redis").mkdir()
    (tmp_path / "redis" / "mine").write_text("kept")
    reply = refused("--port", str(free_port()), "--data-dir", str(tmp_path), "--reset")
    assert f"{tmp_path} is not the data folder of a leaderboard dev: nothing was deleted" in reply
    assert [path.name for path in tmp_path.iterdir()] == ["redis"]
    assert (tmp_path / "redis" / "mine").read_text() == "kept"
