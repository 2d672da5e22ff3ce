"""What the ledger chain costs the persister: rows with hashes against rows without, taking turns in one run."""

import asyncio
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

import msgspec
import psycopg

from app.drivers.migrations import migrate
from app.drivers.postgres import queries
from app.embedded import PostgresProcess, free_port
from app.model.entry_kinds import GRANT
from app.model.ledger_chain import HASH_BYTES, LedgerChain
from app.persist import ledger_session
from app.persist.ledger_row import LedgerRow, read_row, row_values
from app.persist.ledger_session import LedgerSession
from app.persist.row_chain import chain_records
from app.store.ledger_offset import LedgerOffset
from app.verify.ledger_chain import ChainVerifier
from app.verify.progress import NullProgress

ROWS, USERS = 5_000, 10_000

Tell = Callable[[str, float, float, str, float | None], None]


def unhashed(*args: Any) -> tuple[list[Any], bytes]:
    """Records as they were without a chain."""
    _chain, _p, _last, rows, numbers = args
    return [(*row_values(row, numbers), None, None) for row in rows], bytes(HASH_BYTES)


def rows_behind(p: int, seq: int) -> list[LedgerRow]:
    """Grants with four windows, a source with its id, and a session."""
    rows = []
    for i in range(seq + 1, seq + ROWS + 1):
        at = 1_600_000_000_000_000 + i * 1_000
        entry = (
            *(GRANT.name, 1, f"user-{i % USERS}", f"g{p}-{i}", 1, 5, 1, "red", "race", f"{i}", "finish", "session-1"),
            *(at, ("all", "2020-09-13", "2020-W37", "2020-09"), None, None, False, None, None, "key"),
        )
        fields = (b"d", b"%016d" % i, b"e", msgspec.msgpack.encode(entry), b"r", f"{at} {5 * i} {5 * i - 5}".encode())
        rows.append(read_row(p, f"1-{i}".encode(), fields))
    return rows


async def measure(url: str, rounds: int) -> tuple[list[list[float]], list[list[float]]]:
    """Seconds by the clock, and CPU seconds of this process, for each round of both."""
    clocks: list[list[float]] = [[], []]
    costs: list[list[float]] = [[], []]
    session = await LedgerSession.connect(url, chain=LedgerChain(b"k" * 64))
    try:
        for r in range(rounds + 1):
            for p, make in enumerate((chain_records, unhashed)):
                rows = rows_behind(p, r * ROWS)
                offset = LedgerOffset(1 if r else 0, r * ROWS, b"")
                with patch.object(ledger_session, "chain_records", make):
                    clock, cost = time.perf_counter(), time.process_time()
                    assert await session.write({p: (offset, rows)}) == {}
                    if r:  # the first round makes the users
                        clocks[p].append(time.perf_counter() - clock)
                        costs[p].append(time.process_time() - cost)
    finally:
        session.terminate()
    return clocks, costs


def main(tell: Tell, rounds: int = 15) -> None:
    """Rows a second by the clock and by CPU of the persister, and how fast the chain is walked."""
    with tempfile.TemporaryDirectory() as folder:
        postgres = PostgresProcess(Path(folder), free_port())
        postgres.start()
        try:
            migrate(postgres.url)
            with psycopg.connect(postgres.url) as db:
                db.execute(queries()["create_partitions"].replace("$1", "%s"), (2,))
            clocks, costs = asyncio.run(measure(postgres.url, rounds))
            for what, times in (("by the clock", clocks), ("a CPU s", costs)):
                hashed, plain = (ROWS / sorted(one)[rounds // 2] for one in times)
                tell(f"persister, hashed: {what}", hashed, plain, "rows/s", None)
            with psycopg.connect(postgres.url) as db:
                db.execute("DELETE FROM ledger WHERE partition = 1")
                db.execute("DELETE FROM partitions WHERE partition = 1")
            began = time.perf_counter()
            verifier = ChainVerifier(postgres.url, LedgerChain(b"k" * 64), NullProgress(), {})
            report = asyncio.run(verifier.run())
            assert report.findings == {}
            print(f"verify --chain: {report.numbers / (time.perf_counter() - began):,.0f} rows/s")
        finally:
            postgres.stop()
