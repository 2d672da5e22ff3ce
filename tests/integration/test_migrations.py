"""`leaderboard migrate` beside others: who has a lock is named, a killed one stops nobody, a hung Postgres ends it."""

import os
import signal
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from app.drivers import migrations
from app.drivers.migrations import MigrationBlocked, migrate
from app.embedded.postgres import PostgresProcess as Cluster
from app.model.errors import StoreUnavailable
from tests.support.template import tables_alone


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with tables_alone(tmp_path_factory.mktemp("migrations"), tmp_path_factory) as postgres:
        yield postgres


@pytest.mark.parametrize(
    ("statement", "object"),
    [
        ("LOCK TABLE _yoyo_migration IN ACCESS EXCLUSIVE MODE", "the table _yoyo_migration"),
        (f"SELECT pg_advisory_lock({migrations._LOCK})", "the lock of migrations"),
    ],
)
def test_a_migration_names_the_session_that_has_the_lock(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch, statement: str, object: str
) -> None:
    monkeypatch.setattr(migrations, "MIGRATION_LOCK_S_MAX", 1.0)
    monkeypatch.setattr(migrations, "LOOK_PAUSE_S", 0.1)
    with psycopg.connect(cluster.url, application_name="psql of an operator") as db:
        db.execute(statement.encode())
        with pytest.raises(MigrationBlocked) as blocked:
            migrate(cluster.url)
        assert str(blocked.value).startswith(
            f"the migration waits for {object}, which session {db.info.backend_pid} has (psql of an operator; idle in"
        )
        assert f"pg_terminate_backend({db.info.backend_pid})" in str(blocked.value)
    assert migrate(cluster.url) == []


def test_the_lock_of_one_that_was_killed_stops_nobody(cluster: Cluster) -> None:
    with psycopg.connect(cluster.url, autocommit=True) as db:
        db.execute("INSERT INTO yoyo_lock (locked, ctime, pid) VALUES (1, now(), 1)")
    assert migrate(cluster.url) == []


def test_a_migration_ends_where_postgres_hangs(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server takes no connection any more, and the session that migrates gets no answer."""
    for name, seconds in (("SILENCE_S_MAX", 1.0), ("LOOK_S_MAX", 0.3), ("LOOK_PAUSE_S", 0.1)):
        monkeypatch.setattr(migrations, name, seconds)
    monkeypatch.setattr("app.drivers.postgres.CONNECT_S_MAX", 0.3)
    stopped: list[int] = []
    apply = migrations._apply

    def apply_stopped(backend: Any) -> list[str]:
        stopped.extend(
            [int((cluster.data / "postmaster.pid").read_text().split()[0]), backend.connection.info.backend_pid]
        )
        for pid in stopped:
            os.kill(pid, signal.SIGSTOP)
        return apply(backend)

    monkeypatch.setattr(migrations, "_apply", apply_stopped)
    try:
        with pytest.raises(StoreUnavailable, match="no answer for 1 s while it was migrated"):
            migrate(cluster.url)
    finally:
        for pid in stopped:
            os.kill(pid, signal.SIGCONT)
