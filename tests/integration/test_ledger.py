"""The ledger's own guarantees on a real Postgres, without a server around it."""

import asyncio
import json
import random
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncpg
import msgspec
import psycopg
import pytest

from app.drivers.postgres import Postgres, queries
from app.embedded.postgres import PostgresProcess as Cluster
from app.model.entry_kinds import GRANT
from app.model.errors import StoreUnavailable
from app.model.ledger_chain import LedgerChain
from app.model.micros import to_micros
from app.model.namespace import Namespace, Rules
from app.persist.leases import Superseded
from app.persist.ledger_row import LedgerRow, read_row
from app.persist.ledger_session import LedgerSession
from app.store.ledger_offset import LedgerOffset
from app.verify.connections import StoreConnections
from app.verify.ledger_checks import check_namespace
from app.verify.report import Report
from tests.support.template import tables_alone
from tests.support.time_counts import check_counts
from tests.support.waits import until

START = LedgerOffset(0, 0, b"")
WRITERS = 8


@pytest.fixture
def cluster(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with tables_alone(tmp_path, tmp_path_factory) as postgres:
        yield postgres


def row(
    p: int,
    seq: int,
    grant_id: str = "g1",
    user: str = "otter",
    amount: int = 5,
    result: str = "1000000 5 0",
    space: int = 1,
) -> LedgerRow:
    """A grant at the moment at which it is recorded. result: that moment, the score after it and before it."""
    at = int(result.split(" ")[0])
    entry = (GRANT.name, space, user, grant_id, 1, amount, 1, None, None, None, None, None, at, ("all",), None)
    fields = (b"d", b"digest", b"e", msgspec.msgpack.encode(entry), b"r", result.encode())
    return read_row(p, f"1-{seq}".encode(), fields)


async def race(url: str, writes: list[tuple[int, list[LedgerRow]]]) -> list[Any]:
    """Each write on a connection of its own, all at once; their outcomes."""
    sinks = [await LedgerSession.connect(url, chain=LedgerChain()) for _ in writes]
    try:
        pairs = zip(sinks, writes, strict=True)
        return await asyncio.gather(
            *(session.write({p: (START, rows)}) for session, (p, rows) in pairs), return_exceptions=True
        )
    finally:
        for session in sinks:
            session.terminate()


def open_partitions(url: str) -> None:
    with psycopg.connect(url) as db:
        db.execute(queries()["create_partitions"].replace("$1", "%s"), (WRITERS,))


def test_writers_of_the_same_rows_leave_them_once(cluster: Cluster) -> None:
    open_partitions(cluster.url)
    outcomes = asyncio.run(race(cluster.url, [(0, [row(0, 1), row(0, 2, "g2")]) for _ in range(WRITERS)]))
    assert outcomes.count({}) == 1
    late = [o.get(0) if isinstance(o, dict) else o for o in outcomes if o != {}]
    assert all(isinstance(o, (Superseded, asyncpg.UniqueViolationError)) for o in late)
    with psycopg.connect(cluster.url) as db:
        assert db.execute("SELECT seq, kind, entry_amount FROM ledger ORDER BY seq").fetchall() == [
            *((1, "grant", 5), (2, "grant", 5)),
        ]
        assert db.execute("SELECT score, grants FROM standings").fetchall() == [(10, 2)]
        assert db.execute("SELECT epoch, seq FROM partitions WHERE partition = 0").fetchone() == (1, 2)
        assert db.execute("SELECT count(*) FROM dead_letters").fetchone() == (0,)


def test_an_update_of_a_score_touches_no_index(cluster: Cluster) -> None:
    """A thousand users, of whom a tenth gets a grant in each of three transactions, by chance: the first of these meet
    pages that nothing was taken out of yet."""
    open_partitions(cluster.url)
    users, share, rounds = 1_000, 100, 3
    rng = random.Random(7)

    async def write() -> None:
        session = await LedgerSession.connect(cluster.url, chain=LedgerChain())
        try:
            known = START
            for who in [range(users), *(rng.sample(range(users), share) for _ in range(rounds))]:
                rows = [row(0, known.seq + i, f"g{known.seq + i}", f"u{n}") for i, n in enumerate(who, 1)]
                assert await session.write({0: (known, rows)}) == {}
                known = LedgerOffset(1, rows[-1].seq, b"digest")
        finally:
            session.terminate()  # which tells Postgres what it counted

    asyncio.run(write())
    with psycopg.connect(cluster.url, autocommit=True) as db:

        def updates() -> tuple[int, int]:
            counts = "SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables WHERE relname = 'standings'"
            return db.execute(counts).fetchone() or (0, 0)

        until(lambda: updates()[0] == share * rounds, "the updates are not counted", 10)
        assert updates()[1] >= 0.9 * share * rounds


def test_an_entry_of_another_partition_than_its_namespaces_is_set_aside(cluster: Cluster) -> None:
    """Its boards there are nobody's: reads go to the namespace's own partition."""
    home = 3
    open_partitions(cluster.url)
    with psycopg.connect(cluster.url) as db:
        db.execute("INSERT INTO namespaces (name, partition, rules) VALUES ('n', %s, '{}')", (home,))
    batches = [(p, [row(p, 1, user=f"otter-{p}"), row(p, 2, space=2)]) for p in range(WRITERS)]
    assert asyncio.run(race(cluster.url, batches)) == [{}] * WRITERS
    with psycopg.connect(cluster.url) as db:
        assert db.execute("SELECT partition, namespace_id FROM ledger WHERE seq = 1 AND kind = 'grant'").fetchall() == [
            (home, 1)
        ]
        rows = db.execute(
            "SELECT partition, namespace_id, user_number, score_delta FROM ledger WHERE kind = 'tombstone'"
        )
        others = [p for p in range(WRITERS) if p != home]
        assert sorted(rows.fetchall()) == [(p, 0, None, 0) for p in others]
        letters = db.execute("SELECT partition, reason, cause FROM dead_letters ORDER BY 1").fetchall()
        assert letters == [(p, "poison", f"namespace 1 is in partition {home}, not in {p}") for p in others]
        scores = db.execute("SELECT score, grants FROM standings WHERE namespace_id = 1").fetchall()
        assert scores == [(5, 1)]
        # A namespace that Postgres does not know has no partition that would be another one.
        assert db.execute("SELECT count(*) FROM ledger WHERE namespace_id = 2").fetchone() == (WRITERS,)


def test_an_entry_is_set_aside_while_another_persister_binds_the_namespace(cluster: Cluster) -> None:
    """Both meet the namespace's first entries at the same moment."""
    open_partitions(cluster.url)

    async def work() -> None:
        other = await asyncpg.connect(cluster.url)
        session = await LedgerSession.connect(cluster.url, chain=LedgerChain())
        try:
            async with other.transaction():
                assert len(await other.fetch(queries()["bind_namespaces"], [1])) == 1
                writing = asyncio.create_task(session.write({6: (START, [row(6, 1)])}))
                assert await asyncio.wait([writing], timeout=0.3) == (set(), {writing})
            assert await writing == {}
        finally:
            session.terminate()
            await other.close()

    with psycopg.connect(cluster.url, autocommit=True) as db:
        db.execute("INSERT INTO namespaces (name, partition, rules, version) VALUES ('n', 3, '{}', 1)")
        asyncio.run(work())
        assert db.execute("SELECT partition, kind FROM ledger").fetchall() == [(6, "tombstone")]


def test_a_namespace_with_a_row_stays_in_its_partition(cluster: Cluster) -> None:
    """Who changes its rules and read it before the row came, too."""
    open_partitions(cluster.url)

    async def work() -> tuple[Any, ...]:
        postgres, session = (
            await asyncpg.connect(cluster.url),
            await LedgerSession.connect(cluster.url, chain=LedgerChain()),
        )
        change = 1, 1, "{}", 4, "key", None, 0, datetime(2026, 1, 1, tzinfo=UTC)
        try:
            async with postgres.transaction():
                await postgres.execute("UPDATE namespaces SET partition = 3")
                writing = asyncio.create_task(session.write({3: (START, [row(3, 1)])}))
                # It waits for the move, and takes the partition that comes of it.
                assert await asyncio.wait([writing], timeout=0.3) == (set(), {writing})
            assert await writing == {}
            return await postgres.fetchrow(queries()["update_namespace"], *change), await postgres.fetch(
                "SELECT partition, has_user_data FROM namespaces"
            )
        finally:
            session.terminate()
            await postgres.close()

    with psycopg.connect(cluster.url, autocommit=True) as db:
        db.execute("INSERT INTO namespaces (name, partition, rules, version) VALUES ('n', 0, '{}', 1)")
        moved, rows = asyncio.run(work())
        assert (moved, [tuple(record) for record in rows]) == (None, [(3, True)])
        assert db.execute("SELECT kind FROM ledger").fetchall() == [("grant",)]


# Hours begin at a quarter past in Kathmandu.
@pytest.mark.parametrize(
    ("zone", "edge"), [("UTC", "2026-11-20T15:00:00Z"), ("Asia/Kathmandu", "2026-11-20T15:15:00Z")]
)
@pytest.mark.parametrize("ends", [[5], [1, 2, 3, 4, 5], [2, 5], [3, 5]])
def test_what_a_board_came_to_is_known_behind_every_hour(
    cluster: Cluster, zone: str, edge: str, ends: list[int]
) -> None:
    """Entries around the edge of an hour, in one transaction or in several; in the second hour no score changes."""
    open_partitions(cluster.url)
    at, hour = to_micros(datetime.fromisoformat(edge)), 3_600_000_000
    results = [
        (5, f"{at - 2} 5 "),
        (2, f"{at - 1} 7 5"),
        (0, f"{at} 7 7"),
        (0, f"{at + 1} 7 7"),
        (1, f"{at + hour} 8 7"),
    ]
    rows = [row(0, i, f"g{i}", "otter", amount, result) for i, (amount, result) in enumerate(results, 1)]

    async def write(db: psycopg.Connection[Any]) -> None:
        session = await LedgerSession.connect(cluster.url, chain=LedgerChain())
        try:
            for first, last in zip([0, *ends], ends, strict=False):
                known = LedgerOffset(1, first, b"digest") if first else START
                await session.write({0: (known, rows[first:last])})
            assert check_counts(db) == 0  # they come behind the ledger
            assert await session.leases.take([0], 1)
            assert await session.count(0)
            assert not await session.count(0)
        finally:
            session.terminate()

    with psycopg.connect(cluster.url, autocommit=True) as db:
        db.execute(
            "INSERT INTO namespaces (name, partition, rules) VALUES ('n', 0, %s)", (json.dumps({"timezone": zone}),)
        )
        asyncio.run(write(db))
        assert check_counts(db) == 4  # three hours and a day of its user


def test_days_are_the_calendars_whatever_postgres_reads_in_a_name(cluster: Cluster) -> None:
    """Postgres takes these names for abbreviations of a fixed offset; clocks change in March and October."""
    open_partitions(cluster.url)
    zones = ("CET", "MET", "EET", "WET", "Africa/Cairo")
    moments = [
        datetime(2021, month, day, hour, 30, tzinfo=UTC)
        for month, days in ((3, (27, 28, 29)), (7, (18, 19)), (10, (30, 31)), (11, (1,)))
        for day in days
        for hour in range(24)
    ]

    async def write() -> None:
        session = await LedgerSession.connect(cluster.url, chain=LedgerChain())
        try:
            for p, _ in enumerate(zones):
                results = [f"{to_micros(at)} {i} {i - 1 or ''}" for i, at in enumerate(moments, 1)]
                rows = [row(p, i, f"g{i}", "otter", 1, result, p + 1) for i, result in enumerate(results, 1)]
                await session.write({p: (START, rows)})
            assert await session.leases.take(range(len(zones)), len(zones))
            for p, _ in enumerate(zones):
                assert await session.count(p)
        finally:
            session.terminate()

    async def verified() -> list[str]:
        lane = await StoreConnections.open("redis://localhost:1", cluster.url, by_index=False)
        report = Report()
        for p, zone in enumerate(zones):
            rules = Rules(timezone=zone)
            await check_namespace(lane, Namespace(p + 1, zone, p, 1, rules), report)
        await lane.close()
        return [finding.where for finding in report.findings]

    with psycopg.connect(cluster.url, autocommit=True) as db:
        for p, zone in enumerate(zones):
            rules = json.dumps({"timezone": zone})
            db.execute("INSERT INTO namespaces (name, partition, rules) VALUES (%s, %s, %s)", (zone, p, rules))
        asyncio.run(write())
        assert check_counts(db) > 0
        assert [what for what in asyncio.run(verified()) if "counts by time" in what] == []
        db.execute("UPDATE user_buckets SET at = at + interval '1 hour' WHERE namespace_id = 1 AND level = 0")
        assert [what for what in asyncio.run(verified()) if "counts by time" in what] != []


def test_a_postgres_killed_under_queries_counts_as_away(cluster: Cluster) -> None:
    outcomes: list[BaseException | None] = []

    async def ask(postgres: Postgres) -> None:
        while not isinstance(outcomes[-1] if outcomes else None, StoreUnavailable):
            try:
                await postgres.fetch("find_recorded_grants", 1, ["g1"])
            except Exception as error:
                outcomes.append(error)

    async def run() -> None:
        postgres = Postgres(cluster.url)
        askers = [asyncio.create_task(ask(postgres)) for _ in range(8)]
        await asyncio.sleep(0.3)
        await asyncio.to_thread(cluster.kill)
        await asyncio.gather(*askers)
        await postgres.close()

    asyncio.run(run())
    assert outcomes
    assert {type(outcome) for outcome in outcomes} == {StoreUnavailable}


def test_counts_go_in_bounded_steps_across_epochs(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """A partition that was recovered far behind its counts: no statement counts all of it."""
    monkeypatch.setattr("app.persist.ledger_session.COUNT_ROWS_MAX", 3)
    open_partitions(cluster.url)
    places = [(1, seq) for seq in range(1, 6)] + [(3, seq) for seq in range(6, 11)]

    async def work(db: psycopg.Connection[Any]) -> list[tuple[int, int]]:
        session, steps, known = await LedgerSession.connect(cluster.url, chain=LedgerChain()), [], START
        try:
            for epoch, seq in places:
                made = row(0, seq, f"g{seq}")
                made.epoch = epoch
                await session.write({0: (known, [made])})
                known = LedgerOffset(epoch, seq, b"digest")
            assert await session.leases.take([0], 1)
            while await session.count(0):
                value = db.execute("SELECT counted_epoch, counted_seq FROM partitions WHERE partition = 0").fetchone()
                steps.append(value)
        finally:
            session.terminate()
        return steps  # type: ignore[return-value]

    with psycopg.connect(cluster.url, autocommit=True) as db:
        db.execute("INSERT INTO namespaces (name, partition, rules) VALUES ('n', 0, '{\"timezone\": \"UTC\"}')")
        assert asyncio.run(work(db)) == [(1, 3), (3, 6), (3, 9), (3, 10)]
        assert db.execute("SELECT sum(grants) FROM namespace_buckets WHERE level = 0").fetchone() == (10,)
