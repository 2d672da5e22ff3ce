"""Migrated stores, made once a run and copied for every system: `initdb` and the schema cost two seconds.

In `schema` stands a Postgres that has the tables alone; beside it the pair that `leaderboard migrate` has opened.
"""

import asyncio
import fcntl
import os
import shutil
import subprocess
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import psycopg
import pytest
from psycopg import sql

from app.admin.migrate import migrate
from app.drivers import migrations
from app.embedded import PostgresProcess, ValkeyProcess, free_port
from app.settings import read_settings

T = TypeVar("T")
#: Partitions of the systems of tests: fewer than by default, because all of them are looked at again and again.
PARTITIONS = "16"
#: What makes up the stores in a data folder: the cluster, its password, and Redis' append-only file.
PARTS = ("postgres", "postgres.password", "redis")
#: Of every deployment that tests make.
DIGEST_KEY = "0123456789abcdef" * 2
#: A Postgres whose data nobody needs after the test. It leaves it to the system when its pages reach the disk: a killed
#: process loses nothing by that, only a machine without power does; each commit and each end is 10 to 200 ms shorter.
#: Its shared memory lies in its folder: what a killed one leaves in `/dev/shm` would stay there for ever.
THROWAWAY = {"fsync": "off", "dynamic_shared_memory_type": "mmap"}


def template(factory: pytest.TempPathFactory) -> Path:
    """The folder of the run's stores. The first worker that asks makes it; the others wait for it at its lock."""
    return made_once(once_a_run(factory) / "stores", _make)


def once_a_run(factory: pytest.TempPathFactory) -> Path:
    """The folder that all workers of a run share."""
    base = factory.getbasetemp()
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base


def made_once(folder: Path, make: Callable[[Path], None]) -> Path:
    """`folder`, filled by `make` in the first process that asks; a half one is never taken for a whole one."""
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            half = folder.with_suffix(".half")
            shutil.rmtree(half, ignore_errors=True)
            half.mkdir()
            # Its owner is another user where we are root.
            half.chmod(0o755)
            make(half)
            half.rename(folder)
    return folder


def fill(source: Path, folder: Path) -> None:
    """Copies the stores into a data folder that has none, owners and modes kept."""
    folder.mkdir(parents=True, exist_ok=True)
    parts = (source / part for part in PARTS)
    subprocess.run(["cp", "-Rp", *(part for part in parts if part.exists()), folder], check=True, timeout=60)


@contextmanager
def tables_alone(folder: Path, factory: pytest.TempPathFactory) -> Iterator[PostgresProcess]:
    """A running Postgres with nothing but the schema, killed at the end."""
    fill(template(factory) / "schema", folder)
    # Statistics are what the test makes them: a table that is analysed on the way has another plan.
    postgres = PostgresProcess(folder, free_port(), options=THROWAWAY | {"autovacuum": "off"})
    try:
        yield postgres.start()
    finally:
        postgres.kill()
        shutil.rmtree(postgres.data, ignore_errors=True)  # its orphans take files away meanwhile


def here(work: Coroutine[Any, Any, T]) -> T:
    """Runs to its end in this process what would be a command, whose start would take longer.

    In a thread, as a browser test has a loop.
    """
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, work).result()


def migrate_here(environment: dict[str, str]) -> None:
    """`leaderboard migrate` in this process."""
    here(migrate(read_settings(environment)))


def _drop_empty_databases(url: str) -> None:
    """Two thirds of a new cluster's files are databases that nobody opens."""
    with psycopg.connect(url, autocommit=True) as db:
        db.execute("UPDATE pg_database SET datistemplate = false")
        for name in ("template0", "template1"):
            db.execute(sql.SQL("DROP DATABASE {}").format(sql.Identifier(name)))


def _shorten_password_hash(postgres: PostgresProcess) -> None:
    """Thousands of connections prove the password: one round of its hash in place of 4,096 saves each a millisecond."""
    with psycopg.connect(postgres.url, autocommit=True) as db:
        db.execute("SET scram_iterations = 1")
        db.execute(sql.SQL("ALTER ROLE CURRENT_USER PASSWORD {}").format(sql.Literal(db.info.password)))


def _make(folder: Path) -> None:
    postgres, valkey = PostgresProcess(folder, free_port(), options=THROWAWAY), ValkeyProcess(folder, free_port())
    try:
        postgres.start()
        _drop_empty_databases(postgres.url)
        _shorten_password_hash(postgres)
        migrations.migrate(postgres.url)
        postgres.stop()
        fill(folder, folder / "schema")
        postgres.start()
        valkey.start()
        migrate_here(
            {
                "LEADERBOARD_REDIS_URL": valkey.url,
                "LEADERBOARD_POSTGRES_URL": postgres.url,
                "LEADERBOARD_PARTITIONS": PARTITIONS,
                "LEADERBOARD_API_KEY": "lb_test_0123456789abcdef",
                "LEADERBOARD_DIGEST_KEY": DIGEST_KEY,
            }
        )
    finally:
        # In good order: who starts on a copy has nothing to recover.
        postgres.stop()
        valkey.stop()
