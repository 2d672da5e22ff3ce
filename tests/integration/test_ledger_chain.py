"""The ledger chain on a real Postgres: whatever is changed, removed or inserted is found, and our own work is not."""

import asyncio
from collections.abc import Iterator, Mapping

import msgspec
import psycopg
import pytest

from app.drivers.postgres import connect, queries
from app.drivers.postgres_micros import use_micros
from app.embedded.postgres import PostgresProcess as Cluster
from app.model.chain_anchor import ChainAnchor
from app.model.entry_kinds import CORRECTION, GRANT
from app.model.ledger_chain import LedgerChain
from app.persist.ledger_row import LedgerRow, read_row
from app.persist.ledger_session import LedgerSession
from app.store.ledger_columns import CHAIN_COLUMNS, ENTRY_COLUMNS
from app.store.ledger_offset import LedgerOffset
from app.verify.ledger_chain import ChainVerifier
from app.verify.progress import NullProgress
from tests.support.template import tables_alone

CHAIN = LedgerChain(b"k" * 64)
PARTITIONS, ROWS = 2, 8
#: What stands in the place of a value, by the type of its column.
OTHERS = {
    "smallint": "{} + 1",
    "integer": "{} + 1",
    "bigint": "coalesce({}, 0) + 1",
    "text": "coalesce({}, '') || 'x'",
    "boolean": "NOT {}",
    "bytea": "coalesce({}, '') || 'x'::bytea",
    "date": "coalesce({}, '2020-01-01') + 1",
    "timestamp with time zone": "{} + interval '1 microsecond'",
    "ARRAY": "{} || 'x'::text",
}


def ledger_row(p: int, seq: int) -> LedgerRow:
    """Every third one has no text but its actor, every fourth is a correction with all of them."""
    is_grant = seq % 4 != 0
    texts = (None, None) if seq % 3 == 0 else (f"source {seq}", f"session {seq}")
    correction = (None,) * 2 if is_grant else ("edit", f"because {seq}")
    key = (None, None) if is_grant else (f"k{p}-{seq}", b"request")
    entry = (
        *(GRANT.name if is_grant else CORRECTION.name, 1, f"user {seq % 3}", f"g{p}-{seq}", 1 if is_grant else 2, 5, 1),
        *("red", "race", texts[0], "run", texts[1], 1_000_000 + seq, ("all", "2020"), None, 5, False),
        *(*correction, "key", key[0], "2020-01-02", key[1]),
    )
    outcome = f"{2_000_000 + seq} {5 * seq} 0".encode()
    fields = (b"d", b"%016d" % seq, b"e", msgspec.msgpack.encode(entry), b"r", outcome)
    return read_row(p, f"1-{seq}".encode(), fields)


def write(url: str, p: int, first: int, last: int, batch: int = 3) -> None:
    """Rows of a partition, as a persister writes them, some at a time."""

    async def work() -> None:
        session = await LedgerSession.connect(url, chain=CHAIN)
        try:
            for begin in range(first, last + 1, batch):
                rows = [ledger_row(p, seq) for seq in range(begin, min(begin + batch, last + 1))]
                offset = LedgerOffset(1 if begin > 1 else 0, begin - 1, b"")
                assert await session.write({p: (offset, rows)}) == {}
        finally:
            session.terminate()

    asyncio.run(work())


def findings(url: str, chain: LedgerChain = CHAIN, anchors: Mapping[int, ChainAnchor] | None = None) -> list[str]:
    verifier = ChainVerifier(url, chain, NullProgress(), anchors or {})
    return [f"{one.where}: {one.what}" for one in asyncio.run(verifier.run()).findings]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with tables_alone(tmp_path_factory.mktemp("chain"), tmp_path_factory) as server:
        with psycopg.connect(server.url) as db:
            db.execute(queries()["create_partitions"].replace("$1", "%s"), (PARTITIONS,))
        for p in range(PARTITIONS):
            write(server.url, p, 1, ROWS)
        yield server


@pytest.fixture
def db(cluster: Cluster) -> Iterator[psycopg.Connection]:
    """A connection; what it writes is taken back by what stood there before."""
    with psycopg.connect(cluster.url, autocommit=True) as connection:
        connection.execute("CREATE TABLE rows_before AS SELECT * FROM ledger")
        connection.execute("CREATE TABLE heads_before AS SELECT * FROM partitions")
        yield connection
        connection.execute("DELETE FROM ledger; INSERT INTO ledger SELECT * FROM rows_before")
        connection.execute(
            "UPDATE partitions p SET (seq, chain_hash, chain_mac) = (b.seq, b.chain_hash, b.chain_mac) "
            "FROM heads_before b WHERE b.partition = p.partition"
        )
        connection.execute("DROP TABLE rows_before, heads_before")
    assert findings(cluster.url) == []


def test_what_a_persister_wrote_is_whole(cluster: Cluster) -> None:
    assert findings(cluster.url) == []


def column_types(db: psycopg.Connection) -> dict[str, str]:
    rows = db.execute("SELECT column_name, data_type FROM information_schema.columns WHERE table_name = 'ledger'")
    return dict(rows.fetchall())


def test_a_change_of_any_column_is_found(cluster: Cluster, db: psycopg.Connection) -> None:
    """Of a row in the middle, and of the last one."""
    types = column_types(db)
    assert set(types) == {*ENTRY_COLUMNS, *CHAIN_COLUMNS}, "a column that no hash covers"
    for seq in (4, ROWS):
        for column in (*ENTRY_COLUMNS, "chain_hash", "salt"):
            if column in ("partition", "epoch", "seq"):
                continue
            where = f"WHERE partition = 1 AND seq = {seq}"
            (before,) = db.execute(f"SELECT {column} FROM ledger {where}").fetchone() or (None,)
            db.execute(f"UPDATE ledger SET {column} = {OTHERS[types[column]].format(column)} {where}")
            (lines,) = findings(cluster.url)
            cause = "its hash was changed" if column == "chain_hash" else "the row was changed"
            assert lines == f"ledger, partition 1: 1-{seq}: {cause}", column
            db.execute(f"UPDATE ledger SET {column} = %s {where}", (before,))


#: A copy of a row of partition 0 with some other values.
INSERT = (
    "INSERT INTO ledger SELECT * FROM jsonb_populate_record(NULL::ledger, "
    "(SELECT to_jsonb(l) || '{}' FROM ledger l WHERE partition = 0 AND seq = {}))"
)
OF_ROW = "WHERE partition = 0 AND seq = "
FAULTS: dict[str, tuple[str, list[str]]] = {
    "a row is removed": (f"DELETE FROM ledger {OF_ROW} 4", ["1-5: row 4 is missing before it"]),
    "some rows are removed": (
        "DELETE FROM ledger WHERE partition = 0 AND seq IN (2, 3)",
        ["1-4: rows 2 to 3 are missing before it"],
    ),
    "the first rows are removed": (
        "DELETE FROM ledger WHERE partition = 0 AND seq < 3",
        ["1-3: rows 1 to 2 are missing before it"],
    ),
    "the tail is removed": (
        "DELETE FROM ledger WHERE partition = 0 AND seq > 6",
        ["1-8: the ledger ended here, and its rows end at 1-6: rows are missing"],
    ),
    "the tail is removed, and the offset set back": (
        "DELETE FROM ledger WHERE partition = 0 AND seq > 6; UPDATE partitions SET seq = 6, chain_hash = "
        "(SELECT chain_hash FROM ledger WHERE partition = 0 AND seq = 6) WHERE partition = 0",
        ["1-6: the head of the chain was changed: no persister with this digest key wrote it"],
    ),
    "everything is removed": (
        "DELETE FROM ledger WHERE partition = 0",
        ["1-8: the ledger ended here, and its rows end at 0-0: rows are missing"],
    ),
    "a removed row, and those behind it moved up": (
        "DELETE FROM ledger WHERE partition = 0 AND seq = 7; UPDATE ledger SET seq = 7 WHERE partition = 0 AND seq = 8;"
        "UPDATE partitions SET seq = 7 WHERE partition = 0",
        [
            "1-7: the row was changed",
            "1-7: the head of the chain was changed: no persister with this digest key wrote it",
        ],
    ),
    "a row behind the end": (
        INSERT.format('{"seq": 9, "grant_id": "mine"}', 8),
        ["1-9: it stands behind the end of the ledger: it was inserted"],
    ),
    "a row before the first": (
        INSERT.format('{"epoch": 0, "seq": 0, "grant_id": "mine", "chain_hash": null}', 1),
        ["0-0: it stands behind 0-0: one of the two was inserted"],
    ),
    "a row between two, those behind it moved down": (
        "UPDATE ledger SET seq = seq + 101 WHERE partition = 0 AND seq > 6;"
        "UPDATE ledger SET seq = seq - 100 WHERE partition = 0 AND seq > 6;"
        + INSERT.format('{"seq": 7, "grant_id": "mine"}', 1)
        + "; UPDATE partitions SET seq = 9 WHERE partition = 0",
        [
            "1-7: the row does not follow from the one before it: one of the two was changed",
            "1-8: the row does not follow from the one before it: one of the two was changed",
            "1-9: the row was changed",
            "1-9: the head of the chain was changed: no persister with this digest key wrote it",
        ],
    ),
    "the head of the chain": (
        "UPDATE partitions SET chain_hash = 'other' WHERE partition = 0",
        [
            "1-8: the head of the chain is not the hash of this last row",
            "1-8: the head of the chain was changed: no persister with this digest key wrote it",
        ],
    ),
    "the proof of the head": (
        "UPDATE partitions SET chain_mac = '' WHERE partition = 0",
        ["1-8: the head of the chain was changed: no persister with this digest key wrote it"],
    ),
    "no head": (
        "UPDATE partitions SET chain_mac = '', chain_hash = '' WHERE partition = 0",
        ["1-8: the head of the chain is not the hash of this last row"],
    ),
    "a hash is removed": (f"UPDATE ledger SET chain_hash = NULL {OF_ROW} 4", ["1-4: its hash was changed"]),
    "the first hashes are removed": (
        "UPDATE ledger SET chain_hash = NULL WHERE partition = 0 AND seq < 4",
        ["1-4: the chain begins here by itself: the hashes of rows before it were removed"],
    ),
    "two rows change places": (
        "UPDATE ledger SET seq = 100 WHERE partition = 0 AND seq = 3;"
        "UPDATE ledger SET seq = 3 WHERE partition = 0 AND seq = 5;"
        "UPDATE ledger SET seq = 5 WHERE partition = 0 AND seq = 100",
        [
            "1-3: the row does not follow from the one before it: one of the two was changed",
            "1-4: the row does not follow from the one before it: one of the two was changed",
            "1-5: the row does not follow from the one before it: one of the two was changed",
            "1-6: the row was changed",
        ],
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_found_and_named(cluster: Cluster, db: psycopg.Connection, fault: str) -> None:
    statements, expected = FAULTS[fault]
    for statement in statements.split(";"):
        db.execute(statement.encode())
    assert findings(cluster.url) == [f"ledger, partition 0: {one}" for one in expected]


def test_without_the_digest_key_no_row_can_be_made_to_fit(cluster: Cluster) -> None:
    lines = findings(cluster.url, LedgerChain())
    assert len(lines) >= PARTITIONS * 2
    assert any("the head of the chain was changed" in one for one in lines)


def test_a_row_that_was_made_anew_with_the_key_is_found_by_an_anchor(cluster: Cluster, db: psycopg.Connection) -> None:
    """Who has the key can make all later hashes, but not those that are kept elsewhere."""
    columns = db.execute("SELECT epoch, seq, chain_hash FROM ledger WHERE partition = 0 AND seq = 5").fetchone()
    assert columns is not None
    anchors = {0: ChainAnchor(0, columns[0], columns[1], columns[2].hex())}
    assert findings(cluster.url, anchors=anchors) == []
    db.execute("DELETE FROM ledger WHERE partition = 0 AND seq > 3")
    rows = "SELECT chain_hash FROM ledger WHERE partition = 0 AND seq = 3"
    (last,) = db.execute(rows).fetchone() or (b"",)
    db.execute(
        "UPDATE partitions SET seq = 3, chain_hash = %s, chain_mac = %s WHERE partition = 0",
        (last, CHAIN.head_mac((0, 1, 3), last)),
    )
    assert findings(cluster.url) == []
    assert findings(cluster.url, anchors=anchors) == ["ledger, partition 0: 1-5: the row of the anchor is gone"]
    db.execute("DELETE FROM standings; DELETE FROM quarantined_grants")
    write(cluster.url, 0, 4, ROWS)
    assert findings(cluster.url) == []
    what = "the row has another hash than the anchor: it, or one before it, was changed or written again"
    assert findings(cluster.url, anchors=anchors) == [f"ledger, partition 0: 1-5: {what}"]
    assert findings(cluster.url, anchors={7: ChainAnchor(7, 1, 5, "")}) == [
        "ledger, partition 7: the anchor tells of this partition, and the deployment has none"
    ]


def test_rows_from_before_there_were_hashes_are_told_and_the_chain_goes_on_behind_them(
    cluster: Cluster, db: psycopg.Connection
) -> None:
    db.execute("DELETE FROM ledger WHERE partition = 1 AND seq > 5")
    db.execute("UPDATE ledger SET chain_hash = NULL, salt = NULL WHERE partition = 1")
    db.execute("UPDATE partitions SET seq = 5, chain_hash = '', chain_mac = '' WHERE partition = 1")
    assert findings(cluster.url) == []
    write(cluster.url, 1, 6, ROWS)
    verifier = ChainVerifier(cluster.url, CHAIN, NullProgress(), {})
    assert asyncio.run(verifier.run()).findings == {}
    assert verifier.unchained == {1: 5}


def test_a_walk_holds_one_page_and_reads_as_python_has_written(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pages of three rows; and the order of columns is that of the query."""
    monkeypatch.setattr("app.verify.ledger_chain.ROWS_A_PAGE_MAX", 3)
    assert findings(cluster.url) == []

    async def names() -> list[str]:
        connection = await connect(cluster.url, 10)
        try:
            await use_micros(connection)
            (row,) = await connection.fetch(queries()["get_chained_rows"], 0, 1, 3, 1)
            return list(row.keys())
        finally:
            connection.terminate()

    assert asyncio.run(names()) == [*ENTRY_COLUMNS, *CHAIN_COLUMNS]
