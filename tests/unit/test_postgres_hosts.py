"""The hosts of a Postgres URL: which is asked, in which order and for how long, and what is told where none takes
writes."""

import asyncio
import re
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import psycopg.conninfo
import pytest

from app.drivers.postgres_connection import PostgresConnection
from app.drivers.postgres_hosts import NoWritableHost, PostgresHosts
from app.model.postgres_url import check_postgres_url, libpq_url
from app.settings import SettingsError, read_settings

URL = "postgresql://me:p%40ss@h1:5433,h2,[::1]:5434/db"
STANDBY = asyncpg.TargetServerAttributeNotMatched("not this one")


class Servers:
    """Hosts by address: an error, or a connection. asked: each call."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, **hosts: Any) -> None:
        self.hosts = hosts
        self.calls: list[tuple[str, float, str]] = []
        monkeypatch.setattr(asyncpg, "connect", self.connect)

    async def connect(self, url: str, *, timeout: float, target_session_attrs: str, connection_class: type) -> object:
        assert connection_class is PostgresConnection
        address = urlsplit(url).hostname or ""
        self.calls.append((address, round(timeout, 1), target_session_attrs))
        answer = self.hosts[address]
        if isinstance(answer, BaseException):
            raise answer
        return answer


async def connected(hosts: PostgresHosts) -> Any:
    return await hosts.connect(timeout=3.0)


def test_the_host_that_takes_writes_is_asked_first_from_then_on(monkeypatch: pytest.MonkeyPatch) -> None:
    servers = Servers(monkeypatch, h1=ConnectionRefusedError(), h2=STANDBY, h3="connection")
    hosts = PostgresHosts("postgresql://h1,h2,h3/db")
    assert asyncio.run(connected(hosts)) == "connection"
    assert [name for name, _, _ in servers.calls] == ["h1", "h2", "h3"]
    servers.calls.clear()
    assert asyncio.run(connected(hosts)) == "connection"
    assert servers.calls == [("h3", 3.0 / 3, "read-write")]
    servers.calls.clear()
    servers.hosts.update(h1="new primary", h3=STANDBY)
    assert asyncio.run(connected(hosts)) == "new primary"
    assert [name for name, _, _ in servers.calls] == ["h3", "h1"]


def test_a_host_that_hangs_leaves_the_others_their_share_of_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    servers = Servers(monkeypatch, h1=TimeoutError(), h2="connection")
    asyncio.run(PostgresHosts("postgresql://h1,h2/db").connect(timeout=3.0))
    assert [seconds for _, seconds, _ in servers.calls] == [1.5, 3.0]


def test_a_standby_is_told_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    Servers(monkeypatch, h1=STANDBY, h2=TimeoutError())
    with pytest.raises(NoWritableHost) as error:
        asyncio.run(PostgresHosts("postgresql://me:secret@h1:5433,h2/db").connect(timeout=3.0))
    assert str(error.value) == "no host of Postgres takes writes: h1:5433 is a standby, h2 does not answer"


def test_where_none_answers_the_last_error_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    Servers(monkeypatch, h1=TimeoutError(), h2=ConnectionRefusedError("refused"))
    with pytest.raises(ConnectionRefusedError, match="refused"):
        asyncio.run(PostgresHosts("postgresql://h1,h2/db").connect(timeout=3.0))


def test_a_wrong_password_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    servers = Servers(monkeypatch, h1=asyncpg.InvalidPasswordError("wrong"), h2="connection")
    with pytest.raises(asyncpg.InvalidPasswordError):
        asyncio.run(PostgresHosts("postgresql://h1,h2/db").connect(timeout=3.0))
    assert len(servers.calls) == 1


def test_the_url_may_ask_for_another_kind_of_host(monkeypatch: pytest.MonkeyPatch) -> None:
    servers = Servers(monkeypatch, h1="connection")
    asyncio.run(PostgresHosts("postgresql://h1/db?target_session_attrs=any").connect(timeout=3.0))
    assert servers.calls[0][2] == "any"


@pytest.mark.parametrize(
    ("hosts", "problem"),
    [
        ("h,h,h,h,h,h,h,h,h", "has 9 hosts, at most 8"),
        ("h1:5432,,h2", "has a host without a name between its commas"),
        ("h1:5432,h2:http", "has the port 'http' for host h2: a port is a number from 1 to 65535"),
    ],
)
def test_a_url_that_names_no_hosts_is_refused(hosts: str, problem: str) -> None:
    with pytest.raises(ValueError, match=re.escape(problem)):
        check_postgres_url(f"postgresql://me:secret@{hosts}/db")
    with pytest.raises(SettingsError, match=re.escape(f"LEADERBOARD_POSTGRES_URL: {problem}")):
        read_settings({"LEADERBOARD_POSTGRES_URL": f"postgresql://me:secret@{hosts}/db"})


def test_libpq_reads_the_same_hosts() -> None:
    options = psycopg.conninfo.conninfo_to_dict(libpq_url(URL))
    assert (options["host"], options["port"]) == ("h1,h2,::1", "5433,5432,5434")
    assert (options["user"], options["password"], options["dbname"]) == ("me", "p@ss", "db")
    assert options["target_session_attrs"] == "read-write"
    one = psycopg.conninfo.conninfo_to_dict(libpq_url("postgres://h1:1/db?target_session_attrs=any&sslmode=require"))
    assert (one["host"], one["port"], one["target_session_attrs"], one["sslmode"]) == ("h1", "1", "any", "require")
