"""A small deployment that verification is run on, and what `verify` says of it."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, NamedTuple
from unittest.mock import patch

import httpx
import psycopg

from app.store import keys
from tests.support.command_here import command_here

GRANTS = [("ann", 5, "red"), ("bob", 3, "blue"), ("ann", 2, "blue"), ("cleo", 3, "red"), ("dora", 4, None)]
GRANTS += [("eve", 6, None), ("finn", 1, None), ("gus", 2, "red")]  # seq 6, 7 and 8
TABLES = ["ledger", "standings", "user_buckets", "namespace_buckets", "quarantined_grants"]
TABLES += ["searchable_users"]


def verify(stack: Any, *names: str) -> tuple[int, list[str]]:
    """Of all namespaces, or of some; where nothing is wrong, also of the chain of the ledger's hashes."""
    chosen = [word for name in names for word in ("--namespace", name)]
    code, lines = _run(stack, *chosen)
    return _run(stack, "--chain") if (code, names) == (0, ()) else (code, lines)


def _run(stack: Any, *options: str) -> tuple[int, list[str]]:
    """In this process: most of a command's time is its start. Logs stay those of the tests."""
    with patch("app.commands.verify.configure"):
        done = command_here(stack.environment, "verify", "--quiet", *options)
    assert done.exit_code in (0, 1), (done.stderr, done.exception)
    assert done.stderr == ""
    return done.exit_code, done.stdout.splitlines()


class Checked:
    """A deployment of its own with one namespace, and what verify says of it."""

    def __init__(self, stack: Any, client: httpx.Client, direct: Any) -> None:
        self.stack, self.client, self.direct = stack, client, direct
        rules = {"category_boards": True, "streaks": True, "tie_break": "earliest", "ranking": "dense"}
        rules |= {"bounded_sums": True, "amount_max": 50, "suspicious": "quarantine"}
        assert client.put("/v1/namespaces/n", json=rules).status_code == 201
        # One moment for all: a run that crosses midnight has all of them in one day.
        now = datetime.now(UTC)
        self.day, self.hour = f"{now:%Y-%m-%d}", f"{now:%Y-%m-%dT%H}:00:00Z"
        for i, (user, amount, category) in enumerate(GRANTS):
            body = {
                "granted_at": now.isoformat(),
                "grant_id": f"g{i}",
                "user_id": user,
                "amount": amount,
                "category": category,
                "source": "race",
            }
            assert client.post("/v1/namespaces/n/grants", json=body).status_code == 201
        assert client.delete("/v1/namespaces/n/grants/g3").status_code == 200
        assert client.post("/v1/users/gus/hide").status_code in (200, 204)
        body = {"granted_at": now.isoformat(), "grant_id": "odd", "user_id": "hal", "amount": 99, "source": "race"}
        assert client.post("/v1/namespaces/n/grants", json=body).json()["status"] == "quarantined"
        stack.wait_flushed()
        (key,) = direct.keys("lb:*:b:1:all")
        self.p = int(key.split(b"}")[0].split(b"{")[1])
        self.sql(*(f"CREATE TABLE kept_{table} AS TABLE {table}" for table in TABLES))
        self.dumps = {key: direct.dump(key) for key in direct.keys(f"lb:{{{self.p}}}:*")}

    def mend(self) -> None:
        """Everything as it was before anything was planted."""
        for key in self.direct.keys(f"lb:{{{self.p}}}:*"):
            if key not in self.dumps:
                self.direct.delete(key)
        for key, value in self.dumps.items():
            self.direct.restore(key, 0, value, replace=True)
        for table in TABLES:
            self.sql(f"BEGIN; DELETE FROM {table}; INSERT INTO {table} TABLE kept_{table}; COMMIT")

    def verify(self) -> tuple[int, list[str]]:
        return verify(self.stack)

    def sql(self, *texts: str) -> None:
        with psycopg.connect(self.stack.postgres.url, autocommit=True) as db:
            for text in texts:
                db.execute(text)

    def of_sql(self, text: str, *args: Any) -> Any:
        with psycopg.connect(self.stack.postgres.url) as db:
            return db.execute(text, args).fetchall()[0][0]

    def number(self, user: str) -> int:
        return int(self.of_sql("SELECT number FROM users WHERE name = %s", user))

    def member(self, user: str, board: str = "all") -> bytes:
        digits: bytes = self.direct.hget(keys.tie_prefixes(self.p, 1, board), user)
        return digits + user.encode()

    def key(self, kind: Callable[[int, int, str], str], board: str = "all") -> str:
        return kind(self.p, 1, board)

    def balances(self, user: str) -> str:
        return keys.balances(self.p, 1) + user

    def days(self, user: str) -> str:
        return keys.days(self.p, 1) + user


class Fault(NamedTuple):
    """Something that can be wrong. plant: makes it so, and answers the beginning of the line that names it."""

    name: str
    plant: Callable[[Checked], str]
