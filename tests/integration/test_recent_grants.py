"""Which grant ids a partition that was written anew knows, and since when."""

import asyncio
from typing import Any

import httpx
import psycopg
import pytest
import redis

from app.drivers.postgres import connect
from app.drivers.redis import RedisConnection
from app.model.entry_kinds import GRANT
from app.model.entry_names import entry_id
from app.recover import recent_grants
from app.recover.recent_grants import remember_recent_grants
from app.store import keys
from app.store.ledger_offset import LedgerOffset

#: A generation that no partition has.
GENERATION = 99
Row = tuple[int, int, str, bytes, int]


@pytest.fixture
def rows(live_server: Any, api: httpx.Client, space: str) -> list[Row]:
    """Ten grants, each of a call of its own, among them a correction: those of the partition, the latest last."""
    for i in range(10):
        grant = {"grant_id": f"g{i}", "user_id": "ann", "amount": 1}
        assert api.post(f"/v1/namespaces/{space}/grants", json=grant).status_code == 201
    assert api.delete(f"/v1/namespaces/{space}/grants/g9").status_code == 200
    live_server.wait_flushed()
    with psycopg.connect(live_server.postgres.url) as db:
        sql = (
            "SELECT epoch, seq, grant_id, digest, (extract(epoch FROM recorded_at) * 1000000)::bigint FROM ledger"
            " WHERE partition = (SELECT partition FROM namespaces WHERE name = %s) ORDER BY seq"
        )
        return db.execute(sql, (space,)).fetchall()


def remember(stack: Any, direct: redis.Redis, space: str, rows: list[Row], now: int) -> tuple[int, dict[bytes, bytes]]:
    """Since when the ids are known, and those that stand in Redis."""
    with psycopg.connect(stack.postgres.url) as db:
        ((p,),) = db.execute("SELECT partition FROM namespaces WHERE name = %s", (space,)).fetchall()

    async def work() -> int:
        connection = await connect(stack.postgres.url, 5)
        link = RedisConnection(stack.redis.url, [])
        try:
            epoch, seq, _, digest, _ = rows[-1]
            end = LedgerOffset(epoch, seq, digest)
            return await remember_recent_grants(connection, link, p, end, now=now, generation=GENERATION)
        finally:
            connection.terminate()
            await link.close()

    key = keys.dedup(p, GENERATION)
    try:
        since = asyncio.run(work())
        return since, dict(direct.hgetall(key))  # type: ignore[arg-type]
    finally:
        direct.delete(key)


def value_of(stack: Any, space: str, row: Row) -> tuple[bytes, bytes]:
    """The id of a grant, and what Redis remembers of it."""
    with psycopg.connect(stack.postgres.url) as db:
        ((namespace_id,),) = db.execute("SELECT id FROM namespaces WHERE name = %s", (space,)).fetchall()
    return entry_id(GRANT, namespace_id, row[2], 1), row[3] + f"{row[0]}-{row[1]}".encode()


def test_all_of_a_short_ledger_is_known(live_server: Any, direct: redis.Redis, space: str, rows: list[Row]) -> None:
    since, known = remember(live_server, direct, space, rows, rows[-1][4])
    assert since == 0
    assert dict([value_of(live_server, space, row) for row in rows[-11:-1]]).items() <= known.items()


def test_where_too_many_came_the_last_ones_are_known(
    monkeypatch: pytest.MonkeyPatch, live_server: Any, direct: redis.Redis, space: str, rows: list[Row]
) -> None:
    monkeypatch.setattr(recent_grants, "ENTRIES_A_QUESTION_MAX", 2)
    monkeypatch.setattr(recent_grants, "RECENT_ENTRIES_MAX", 4)
    since, known = remember(live_server, direct, space, rows, rows[-1][4])
    assert since == rows[-4][4] + 1
    assert known == dict([value_of(live_server, space, row) for row in rows[-4:-1]])


def test_ids_of_long_ago_are_left_to_the_ledger(
    monkeypatch: pytest.MonkeyPatch, live_server: Any, direct: redis.Redis, space: str, rows: list[Row]
) -> None:
    monkeypatch.setattr(recent_grants, "ENTRIES_A_QUESTION_MAX", 2)
    an_hour_later = rows[-1][4] + 3_600_000_000
    since, known = remember(live_server, direct, space, rows, an_hour_later)
    assert since == rows[-2][4] + 1
    assert known == dict([value_of(live_server, space, rows[-2])])
