"""A Postgres that is put back from an earlier copy of its folder, while Redis goes on: as an older dump is restored."""

import subprocess
from pathlib import Path
from typing import Any

import psycopg


def copy_postgres(stack: Any, name: str = "dump") -> None:
    """Keeps a copy of the data folder as it is now."""
    stack.hang_up()
    stack.postgres.stop()
    _copy(stack.folder / "postgres", stack.folder / name)
    stack.start("postgres")


def swap_postgres(stack: Any, name: str = "dump", *, newer: str = "newer") -> None:
    """Postgres comes back as it was when the copy was made; what it was until now is kept under another name."""
    stack.hang_up()
    stack.postgres.stop()
    (stack.folder / "postgres").rename(stack.folder / newer)
    _copy(stack.folder / name, stack.folder / "postgres")
    stack.start("postgres")


def _copy(source: Path, target: Path) -> None:
    """Owners and modes kept: Postgres refuses others' files."""
    subprocess.run(["cp", "-Rp", source, target], check=True, timeout=60)


def change_state(stack: Any, count: int) -> None:
    """Changes of the state on this Postgres that no process of ours makes: API keys that nobody has."""
    with psycopg.connect(stack.postgres.url, autocommit=True) as db:
        for i in range(count):
            db.execute("INSERT INTO api_keys (id, hash, scopes) VALUES (%s, '', '{}')", (f"late{i}",))
