"""`leaderboard verify` on real parts: it finds what was planted by name, and nothing where nothing is wrong."""

import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import httpx
import psycopg
import pytest
import redis

from app.store import keys

NOW = datetime.now(UTC)
DAY = f"{NOW:%Y-%m-%d}"
GRANTS = [("ann", 5, "red"), ("bob", 3, "blue"), ("ann", 2, "blue"), ("cleo", 3, "red"), ("dora", 4, None)]
GRANTS += [("eve", 6, None), ("finn", 1, None)]  # seq 6 and 7


class Checked:
    """A deployment of its own with one namespace, and what verify says of it."""

    def __init__(self, stack: Any, client: httpx.Client, direct: Any) -> None:
        self.stack, self.client, self.direct = stack, client, direct
        rules = {"category_boards": True, "streaks": True, "tie_break": "earliest", "ranking": "dense"}
        assert client.put("/v1/namespaces/n", json=rules).status_code == 201
        for i, (user, amount, category) in enumerate(GRANTS):
            body = {"grant_id": f"g{i}", "user_id": user, "amount": amount, "category": category, "source": "race"}
            assert client.post("/v1/namespaces/n/grants", json=body).status_code == 201
        assert client.delete("/v1/namespaces/n/grants/g3").status_code == 200
        stack.wait_flushed()
        (key,) = direct.keys("lb:*:b:1:all")
        self.p = int(key.split(b"}")[0].split(b"{")[1])

    def verify(self) -> tuple[int, list[str]]:
        done = self.stack.run("verify", "--quiet")
        assert done.returncode in (0, 1), done.stderr
        return done.returncode, done.stdout.splitlines()

    def sql(self, text: str) -> None:
        with psycopg.connect(self.stack.postgres.url, autocommit=True) as db:
            db.execute(text)


@pytest.fixture
def checked(own_stack: Any) -> Iterator[Checked]:
    with own_stack.client() as client, redis.Redis.from_url(own_stack.valkey.url) as direct:
        yield Checked(own_stack, client, direct)


def test_nothing_is_found_where_nothing_is_wrong(checked: Checked) -> None:
    done = checked.stack.run("verify")
    assert (done.returncode, done.stdout.startswith("ok: ")) == (0, True), done.stdout + done.stderr


def member(checked: Checked, user: str, board: str = "all") -> bytes:
    digits: bytes = checked.direct.hget(keys.orders(checked.p, 1, board), user)
    return digits + user.encode()


def plant(checked: Checked, fault: str) -> str:
    """Plants a fault; words of what has to be said of it."""
    direct, p = checked.direct, checked.p
    balances = keys.balances(p, 1)
    match fault:
        case "a score changed by hand":
            direct.zadd(keys.board(p, 1, "all"), {member(checked, "ann"): 8})
            return "n: 'ann', board all: 8 in Redis, 7 by the ledger"
        case "a member removed":
            direct.zrem(keys.board(p, 1, DAY), member(checked, "bob", DAY))
            return f"n: 'bob', board {DAY}: nothing in Redis, 3 by the ledger"
        case "a member added":
            direct.zadd(keys.board(p, 1, "all"), {b"0" * 16 + b"mallory": 99})
            return "n: 'mallory', board all: 99 in Redis, nothing by the ledger"
        case "a balance off by one":
            direct.hincrby(balances + "dora", "total", 1)
            return "n: 'dora', total: 5 in Redis, 4 by the ledger"
        case "a count off by one":
            direct.hincrby(balances + "dora", "count", -1)
            return "n: 'dora', count: 0 in Redis, 1 by the ledger"
        case "a category's balance lost":
            direct.hdel(balances + "bob", "c:blue")
            return "n: 'bob', category blue: nothing in Redis, 3 by the ledger"
        case "a day counted twice":
            direct.hincrby(balances + "bob", f"d:{DAY}", 1)
            return f"n: 'bob', day {DAY}: 2 in Redis, 1 by the ledger"
        case "a category's board changed":
            direct.zadd(keys.board(p, 1, "all:red"), {member(checked, "ann", "all:red"): 6})
            return "n: 'ann', board all:red: 6 in Redis, 5 by the ledger"
        case "a ledger row missing":
            checked.sql(f"DELETE FROM ledger WHERE partition = {p} AND seq = 6")
            return f"ledger, partition {p}: seq 7 follows 5: rows are missing"
        case "a ledger row changed":
            checked.sql(f"UPDATE ledger SET value = 30 WHERE partition = {p} AND seq = 7")
            return "n: 'finn', board all: 1 in Redis, 30 by the ledger"
        case "a standing changed":
            checked.sql("UPDATE standings SET score = score + 1 FROM users WHERE number = user_number AND name = 'ann'")
            return "n, standings: 'ann' has 8 in 2 grants, the ledger adds up to 7 in 2"
    raise AssertionError(fault)


FAULTS = ["a score changed by hand", "a member removed", "a member added", "a balance off by one", "a count off by one"]
FAULTS += ["a category's balance lost", "a day counted twice", "a category's board changed", "a ledger row missing"]
FAULTS += ["a ledger row changed", "a standing changed"]


@pytest.mark.timeout(240)
def test_each_planted_fault_is_named(checked: Checked) -> None:
    """One after the other: what was found stays found."""
    wanted: set[str] = set()
    for fault in FAULTS:
        wanted.add(plant(checked, fault))
        code, lines = checked.verify()
        assert code == 1
        assert wanted <= set(lines), lines


@pytest.mark.timeout(180)
def test_nothing_is_found_under_writes(checked: Checked) -> None:
    stop = threading.Event()

    def write(number: int) -> None:
        with checked.stack.client() as client:
            for i in range(100_000):
                if stop.is_set():
                    return
                body = {"grant_id": f"w{number}-{i}", "user_id": f"u{i % 50}", "amount": i % 7 - 1, "category": "red"}
                client.post("/v1/namespaces/n/grants", json=body)
                if i % 5 == 0:
                    client.delete(f"/v1/namespaces/n/grants/w{number}-{i}")
                if i % 9 == 0:
                    client.post(f"/v1/users/u{i % 50}/{'hide' if i % 2 else 'unhide'}")

    threads = [threading.Thread(target=write, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(4):
            code, lines = checked.verify()
            assert (code, lines[:20]) == (0, [])
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert checked.verify() == (0, [])
