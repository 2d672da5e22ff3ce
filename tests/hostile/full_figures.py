"""`python -m tests.hostile.full_figures`: what a full store costs, for docs/reliability.md. The full disk of Postgres
is a small tmpfs, so it needs root."""

import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import httpx
import psycopg

from app.embedded.valkey import valkey_binary
from tests.conftest import Stack
from tests.support.full_store import (
    fill_disk,
    fill_memory,
    fill_until_refused,
    free_disk,
    grant,
    grants,
    score,
    small_disk,
    stack_with,
)
from tests.support.waits import until

#: Grants before the fault, in batches.
BATCHES, BATCH = 20, 500
#: Entries that wait for a Postgres whose disk is full before there is room again.
BACKLOG = 10_000
SMALL_DISK, LARGE_DISK = "24m", "512m"


class Figures(NamedTuple):
    """One fault. backlog: entries that the ledger lacked when there was room again, and the seconds in which it got
    them."""

    fault: str
    grants: int
    refusal: str
    again_s: float
    backlog: int
    backlog_s: float
    is_whole: bool


def _seconds_until(is_so: Callable[[], bool], what: str) -> float:
    start = time.monotonic()
    until(is_so, what, 120)
    return time.monotonic() - start


def _lag(client: httpx.Client) -> int:
    lag = client.get("/readyz").json()["lag_seq"]
    return 1 if lag is None else int(lag)


def _drain(client: httpx.Client) -> float:
    return _seconds_until(lambda: _lag(client) == 0, "the ledger does not catch up")


def _fill(client: httpx.Client) -> int:
    return sum(grants(client, f"fill{batch}-", BATCH) for batch in range(BATCHES))


def _is_whole(stack: Stack, client: httpx.Client, count: int) -> bool:
    return bool(score(client) == count) and stack.run("verify").returncode == 0


def memory(folder: Path) -> Figures:
    """maxmemory is reached with 10,000 entries in the log of which the ledger lacks 1,000."""
    with stack_with(folder, valkey_binary()) as stack, stack.client() as client:
        count = _fill(client)
        stack.wait_flushed()
        stack.stop("persist")
        count += grants(client, "last", 1000)
        fill_memory(stack)
        refusal = grant(client, "again").json()["detail"]
        lag = _lag(client)
        stack.start("persist")
        again_s = _seconds_until(lambda: grant(client, "again").status_code == 201, "it stays full")
        return Figures(
            "Redis at maxmemory", count, refusal, again_s, lag, _drain(client), _is_whole(stack, client, count + 1)
        )


def disk_of_redis(folder: Path) -> Figures:
    """The append-only file cannot grow; then it can, and Redis is started again."""
    with stack_with(folder, small_disk(folder)) as stack, stack.client() as client:
        count = _fill(client)
        stack.wait_flushed()
        fill_disk(stack)
        more, refused = fill_until_refused(client)
        until(lambda: stack.valkey.returncode is not None, "Redis goes on")
        stack.start("redis")
        again_s = _seconds_until(lambda: grant(client, f"g{more}").status_code in (200, 201), "it stays away")
        whole = _is_whole(stack, client, count + more + 1)
        return Figures("disk of Redis full, fsync always", count + more, refused.json()["detail"], again_s, 0, 0, whole)


def disk_of_redis_everysec(folder: Path) -> Figures:
    """The same with a Redis that writes its file each second."""
    with stack_with(folder, small_disk(folder), appendfsync="everysec") as stack, stack.client() as client:
        count = _fill(client)
        stack.wait_flushed()
        fill_disk(stack)
        more, refused = fill_until_refused(client)
        free_disk(stack)
        again_s = _seconds_until(lambda: grant(client, f"g{more}").status_code == 201, "it stays full")
        whole = _is_whole(stack, client, count + more + 1)
        return Figures(
            "the same, fsync everysec", count + more, refused.json()["detail"], again_s, 0, _drain(client), whole
        )


@contextmanager
def _small_tablespace(stack: Stack, folder: Path) -> Iterator[Callable[[], None]]:
    """The ledger on a small disk. Yields what makes it a large one."""
    disk = folder / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SMALL_DISK},mode=777", "ledger", disk], check=True)
    try:
        inside = disk / "ledger"
        inside.mkdir(mode=0o777)
        owner = stack.postgres.data.stat()
        subprocess.run(["chown", f"{owner.st_uid}:{owner.st_gid}", inside], check=True)
        with psycopg.connect(stack.postgres.url, autocommit=True) as db:
            db.execute(f"CREATE TABLESPACE small LOCATION '{inside}'")
            tables = "SELECT relname FROM pg_class WHERE relname ~ '^ledger' AND relkind = 'r'"
            for (table,) in db.execute(tables).fetchall():
                db.execute(f"ALTER TABLE {table} SET TABLESPACE small")

        def free() -> None:
            subprocess.run(["mount", "-o", f"remount,size={LARGE_DISK}", disk], check=True)

        yield free
    finally:
        stack.down()
        subprocess.run(["umount", disk], check=True)


def disk_of_postgres(folder: Path) -> Figures:
    """The ledger's tables cannot grow; grants go on, and wait in the log."""
    with (
        stack_with(folder, valkey_binary()) as stack,
        stack.client() as client,
        _small_tablespace(stack, folder) as free,
    ):
        count, batch, problem = 0, 0, ""
        while not problem or _lag(client) < BACKLOG:
            count += grants(client, f"fill{batch}-", BATCH)
            batch += 1
            full = [line for line in client.get("/readyz").json()["degraded"] if "53100" in line]
            problem = full[0] if full else problem
            time.sleep(0.05)
        lag = _lag(client)
        free()
        backlog_s = _drain(client)
        return Figures("disk of Postgres full", count, problem, 0, lag, backlog_s, _is_whole(stack, client, count))


def main() -> None:
    """Prints a row for each fault."""
    for fault in (memory, disk_of_redis, disk_of_redis_everysec, disk_of_postgres):
        with tempfile.TemporaryDirectory() as folder:
            Path(folder).chmod(0o755)
            one = fault(Path(folder))
        whole = "yes" if one.is_whole else "NO"
        rate = f"{one.backlog / one.backlog_s:,.0f}/s" if one.backlog and one.backlog_s else "–"
        cells = (one.fault, f"{one.grants:,}", one.refusal, f"{one.again_s:.1f}", f"{one.backlog:,}", rate, whole)
        print("| " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
