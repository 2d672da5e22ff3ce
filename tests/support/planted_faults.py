"""A small deployment that verification is run on, and what can be wrong with it, each with the words that name it."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from unittest.mock import patch

import httpx
import psycopg
from typer.testing import CliRunner

from app.cli import cli
from app.store import fields, keys

NOW = datetime.now(UTC)
DAY = f"{NOW:%Y-%m-%d}"
GRANTS = [("ann", 5, "red"), ("bob", 3, "blue"), ("ann", 2, "blue"), ("cleo", 3, "red"), ("dora", 4, None)]
GRANTS += [("eve", 6, None), ("finn", 1, None), ("gus", 2, "red")]  # seq 6, 7 and 8
TABLES = ["ledger", "standings", "user_buckets", "namespace_buckets", "quarantined_grants"]


def verify(stack: Any) -> tuple[int, list[str]]:
    """In this process: most of a command's time is its start. Logs stay those of the tests."""
    with patch("app.cli.configure"):
        done = CliRunner().invoke(cli, ["verify", "--quiet"], env=stack.environment)
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
        for i, (user, amount, category) in enumerate(GRANTS):
            body = {"grant_id": f"g{i}", "user_id": user, "amount": amount, "category": category, "source": "race"}
            assert client.post("/v1/namespaces/n/grants", json=body).status_code == 201
        assert client.delete("/v1/namespaces/n/grants/g3").status_code == 200
        assert client.post("/v1/users/gus/hide").status_code in (200, 204)
        body = {"grant_id": "odd", "user_id": "hal", "amount": 99, "source": "race"}
        assert client.post("/v1/namespaces/n/grants", json=body).json()["status"] == "quarantined"
        stack.wait_flushed()
        self.hour = f"{self.of_sql('SELECT max(granted_at) FROM ledger').astimezone(UTC):%Y-%m-%dT%H}:00:00Z"
        (key,) = direct.keys("lb:*:b:1:all")
        self.p = int(key.split(b"}")[0].split(b"{")[1])
        self.sql(*(f"CREATE TABLE kept_{table} AS TABLE {table}" for table in TABLES))
        self.kept = {key: direct.dump(key) for key in direct.keys(f"lb:{{{self.p}}}:*")}

    def mend(self) -> None:
        """Everything as it was before anything was planted."""
        for key in self.direct.keys(f"lb:{{{self.p}}}:*"):
            if key not in self.kept:
                self.direct.delete(key)
        for key, value in self.kept.items():
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


def change_score(c: Checked) -> str:
    c.direct.zadd(c.key(keys.board), {c.member("ann"): 8})
    return "n: 'ann', board all: 8 in Redis, 7 by the ledger"


def remove_member(c: Checked) -> str:
    c.direct.zrem(c.key(keys.board, DAY), c.member("bob", DAY))
    return f"n: 'bob', board {DAY}: nothing in Redis, 3 by the ledger"


def add_member(c: Checked) -> str:
    c.direct.zadd(c.key(keys.board), {b"0" * 16 + b"mallory": 99})
    return "n: 'mallory', board all: 99 in Redis, nothing by the ledger"


def replace_member(c: Checked) -> str:
    """As many as before, and the sums are not looked at."""
    c.direct.zrem(c.key(keys.board), c.member("dora"))
    c.direct.zadd(c.key(keys.board), {b"0" * 16 + b"mallory": 4})
    return "n: 'mallory', board all: 4 in Redis, nothing by the ledger"


def add_known_member(c: Checked) -> str:
    c.direct.zadd(c.key(keys.board, f"{DAY}:red"), {c.member("dora"): 4})
    return f"n: board {DAY}:red, users: 2 in Redis, 1 by the ledger"


def count_board(c: Checked) -> str:
    c.direct.zadd(c.key(keys.board), {b"0" * 16 + b"mallory": 99})
    return "n: board all, users: 6 in Redis, 5 by the ledger"


def change_digits(c: Checked) -> str:
    """The hash and the member agree, on a seq that is not that of the last change."""
    c.direct.zrem(c.key(keys.board), c.member("ann"))
    c.direct.hset(c.key(keys.tie_prefixes), "ann", b"8999999999999999")
    c.direct.zadd(c.key(keys.board), {c.member("ann"): 7})
    return "n: 'ann', order on board all: 1 in Redis, 3 by the ledger"


def change_member_digits(c: Checked) -> str:
    """The hash still tells the right ones."""
    held = c.member("ann")
    c.direct.zrem(c.key(keys.board), held)
    c.direct.zadd(c.key(keys.board), {held.replace(b"7ann", b"6ann"): 7})
    return "n: 'ann', board all: 7 as of seq 4 in Redis, nothing by the ledger"


def lose_orders(c: Checked) -> str:
    c.direct.hdel(c.key(keys.tie_prefixes, DAY), "bob")
    return f"n: board {DAY}, orders: 5 in Redis, 6 by the ledger"


def lose_dense_score(c: Checked) -> str:
    c.direct.zrem(c.key(keys.distinct_scores), "7")
    return "n: 'ann', board all: 7 is not among the scores that dense ranks are counted by"


def add_dense_score(c: Checked) -> str:
    c.direct.zadd(c.key(keys.distinct_scores), {"9": 9})
    return "n: board all: dense ranks count the score 9, which nobody has"


def change_sum(c: Checked) -> str:
    c.direct.hset(keys.namespace(c.p, 1), "t:all", "22 111")
    return "n: board all, sum of scores: 22 in Redis, 21 by the ledger"


def change_squares(c: Checked) -> str:
    c.direct.hset(keys.namespace(c.p, 1), f"t:{DAY}:red", "5 26")
    return f"n: board {DAY}:red, sum of squares: 26 in Redis, 25 by the ledger"


def change_bounded_sum(c: Checked) -> str:
    c.direct.hset(c.key(keys.sum_tree), "0", 22)
    return "n: board all: the sum of scores from 0 to 7 is 22, what lies there comes to 21"


def lose_bounded_sum(c: Checked) -> str:
    c.direct.hdel(c.key(keys.sum_tree), "2")
    return "n: board all: the sum of scores from 0 to 32767 is 0, what lies there comes to 21"


def spoil_bounded_sum(c: Checked) -> str:
    c.direct.hset(c.key(keys.sum_tree), "1", "abc")
    return "n: board all: the sum of scores from 0 to 511 is 'abc', what lies there comes to 21"


def add_bounded_sum(c: Checked) -> str:
    c.direct.hset(c.key(keys.sum_tree), "-8", -5)
    return "n: board all: the sum of scores from -8 to -1 is -5, what lies there comes to 0"


def add_strange_sum(c: Checked) -> str:
    """So far out that a double cannot count there."""
    c.direct.hset(c.key(keys.sum_tree), "99999999999999999999", 1)
    return "n: board all: its bounded sums hold '99999999999999999999', which is no stretch"


def write_sum_otherwise(c: Checked) -> str:
    c.direct.hset(c.key(keys.sum_tree), "1", "0021")
    return "n: board all: the sum of scores from 0 to 511 is '0021', what lies there comes to 21"


def lose_bounded_sums(c: Checked) -> str:
    c.direct.delete(c.key(keys.sum_tree, DAY))
    return f"n: board {DAY}, bounded sums together: 0 in Redis, 21 by the ledger"


def mark_bounded_sums(c: Checked) -> str:
    c.direct.hset(c.key(keys.sum_tree), mapping={"broken": 1, "x": 2})
    return "n: board all: its bounded sums are marked as damaged"


def change_total(c: Checked) -> str:
    c.direct.hincrby(c.balances("dora"), "total", 1)
    return "n: 'dora', total: 5 in Redis, 4 by the ledger"


def change_count(c: Checked) -> str:
    c.direct.hincrby(c.balances("dora"), "count", -1)
    return "n: 'dora', count: 0 in Redis, 1 by the ledger"


def lose_category(c: Checked) -> str:
    c.direct.hdel(c.balances("bob"), "c:blue")
    return "n: 'bob', category blue: nothing in Redis, 3 by the ledger"


def change_source(c: Checked) -> str:
    c.direct.hincrby(c.balances("bob"), "s:race", 1)
    return "n: 'bob', source race: 4 in Redis, 3 by the ledger"


def add_day(c: Checked) -> str:
    c.direct.hset(c.days("bob"), "1", b"\x02")
    return "n: 'bob', day 0002-05-28: 1 in Redis, 0 by the ledger"


def lose_days(c: Checked) -> str:
    c.direct.delete(c.days("bob"))
    return f"n: 'bob', day {DAY}: 0 in Redis, 1 by the ledger"


def lose_user(c: Checked) -> str:
    c.direct.delete(c.balances("eve"))
    return "n: 'eve', total: 0 in Redis, 6 by the ledger"


def show_hidden(c: Checked) -> str:
    c.direct.zadd(c.key(keys.board), {c.member("gus"): 2})
    return "n: 'gus', board all: 2 in Redis, though hidden"


def hide_shown(c: Checked) -> str:
    c.direct.zrem(c.key(keys.board), c.member("eve"))
    c.direct.hset(c.balances("eve"), "h:all", 6)
    return "n: 'eve', board all: 6 is kept as of one who is hidden, though shown"


def change_hidden(c: Checked) -> str:
    c.direct.hset(c.balances("gus"), f"h:{DAY}", 3)
    return f"n: 'gus', board {DAY}: 3 in Redis, 2 by the ledger"


def spoil_total(c: Checked) -> str:
    c.direct.hset(c.balances("dora"), "total", "abc")
    return "n: 'dora', total: 'abc' in Redis, 4 by the ledger"


def spoil_score(c: Checked) -> str:
    c.direct.zadd(c.key(keys.board), {c.member("ann"): "inf"})
    return "n: 'ann', board all: 'inf' in Redis, 7 by the ledger"


def change_score_by_a_part(c: Checked) -> str:
    c.direct.zadd(c.key(keys.board), {c.member("ann"): 7.5})
    return "n: 'ann', board all: '7.5' in Redis, 7 by the ledger"


def spoil_stray(c: Checked) -> str:
    c.direct.zadd(c.key(keys.board), {b"x" * 16 + b"ann": "-inf"})
    return f"n: 'ann', board all: '-inf' behind {b'x' * 16!r} in Redis, nothing by the ledger"


def spoil_digits(c: Checked) -> str:
    c.direct.hset(c.key(keys.tie_prefixes), "ann", "abc")
    return "n: 'ann', order on board all: 'abc' in Redis, 3 by the ledger"


def spoil_hidden(c: Checked) -> str:
    c.direct.hset(c.balances("gus"), f"h:{DAY}", "2.5")
    return f"n: 'gus', board {DAY}: '2.5' in Redis, 2 by the ledger"


def spoil_balances(c: Checked) -> str:
    c.direct.set(c.balances("dora"), "abc")
    return f"n: 'dora', {c.balances('dora')}: it is not of the type hash"


def spoil_stretch(c: Checked) -> str:
    c.direct.hset(c.days("dora"), "1", "x" * 65)
    return f"n: 'dora', day 1: '{'x' * 65}' in Redis, 0 by the ledger"


def spoil_days(c: Checked) -> str:
    c.direct.set(c.days("dora"), "abc")
    return f"n: 'dora', {c.days('dora')}: it is not of the type hash"


def spoil_kind(kind: Callable[[int, int, str], str], c: Checked, wanted: str) -> str:
    c.direct.set(c.key(kind), "abc")
    return f"n: board all, {c.key(kind)}: it is of the type string, not {wanted}"


def spoil_board(c: Checked) -> str:
    return spoil_kind(keys.board, c, "zset")


def spoil_orders(c: Checked) -> str:
    return spoil_kind(keys.tie_prefixes, c, "hash")


def spoil_dense_scores(c: Checked) -> str:
    return spoil_kind(keys.distinct_scores, c, "zset")


def spoil_bounded_sums(c: Checked) -> str:
    """And what is wrong elsewhere is told, too."""
    spoil_kind(keys.sum_tree, c, "hash")
    return spoil_total(c)


def lose_row(c: Checked) -> str:
    c.sql(f"DELETE FROM ledger WHERE partition = {c.p} AND seq = 6")
    return f"ledger, partition {c.p}: seq 7 follows 5: rows are missing"


def lose_last_row(c: Checked) -> str:
    c.sql(f"DELETE FROM ledger WHERE partition = {c.p} AND seq = (SELECT max(seq) FROM ledger)")
    return f"ledger, partition {c.p}: it ends at seq "


def change_row(c: Checked) -> str:
    c.sql(f"UPDATE ledger SET amount = 30 WHERE partition = {c.p} AND seq = 7")
    return "n, ledger: 'finn', seq 7: granted 1, counts 30"


def change_whole_row(c: Checked) -> str:
    """The row agrees with itself; the boards say otherwise."""
    c.sql(
        f"UPDATE ledger SET entry_amount = 30, amount = 30, score_delta = 30, score = 30 WHERE partition = "
        f"{c.p} AND seq = 7"
    )
    return "n: 'finn', board all: 1 in Redis, 30 by the ledger"


def change_score_of_row(c: Checked) -> str:
    c.sql(f"UPDATE ledger SET score = 8 WHERE partition = {c.p} AND seq = 3")
    return "n, ledger: 'ann', seq 3: the score goes from 5 by 2 to 8"


def change_standing(c: Checked) -> str:
    c.sql(f"UPDATE standings SET score = score + 1 WHERE user_number = {c.number('ann')}")
    return "n, standings: 'ann' has 8 in 2 grants, the ledger adds up to 7 in 2"


def lose_standing(c: Checked) -> str:
    c.sql(f"DELETE FROM standings WHERE user_number = {c.number('eve')}")
    return "n, standings: 'eve' has nothing in nothing grants, the ledger adds up to 6 in 1"


def change_hour(c: Checked) -> str:
    c.sql(f"UPDATE user_buckets SET grants = grants + 1 WHERE level = 1 AND user_number = {c.number('ann')}")
    return f"n, counts by time: 'ann', the hour of {c.hour}: grants 3, 2 by the ledger"


def change_day_of_recording(c: Checked) -> str:
    c.sql(f"UPDATE user_buckets SET recorded_amount = 8 WHERE level = 0 AND user_number = {c.number('ann')}")
    return f"n, counts by time: 'ann', the day of {DAY}T00:00:00Z: recorded amount 8, 7 by the ledger"


def lose_hour(c: Checked) -> str:
    c.sql(f"DELETE FROM user_buckets WHERE level = 1 AND user_number = {c.number('eve')}")
    return f"n, counts by time: 'eve', the hour of {c.hour}: amount 0, 6 by the ledger"


def change_trend(c: Checked) -> str:
    c.sql("UPDATE namespace_buckets SET users = users - 1 WHERE level = 0")
    return f"n, counts by time: all users, the day of {DAY}T00:00:00Z: users 5, 6 by the ledger"


def change_minute(c: Checked) -> str:
    c.sql(
        "UPDATE namespace_buckets SET grants = grants + 1 WHERE ctid = (SELECT ctid FROM "
        "namespace_buckets WHERE level = 2 LIMIT 1)"
    )
    return f"n, counts by time: all users, the minutes of the hour of {c.hour}: grants "


def change_count_of_boards(c: Checked) -> str:
    c.direct.hincrby(keys.namespace(c.p, 1), fields.BOARD_COUNT, 2)
    return "n: open boards as its quota counts them: 14 in Redis, of which 12 are there"


def change_count_of_users(c: Checked) -> str:
    c.direct.hincrby(keys.namespace(c.p, 1), fields.USER_COUNT, -1)
    return "n: users as its quota counts them: 6 in Redis, 7 by the ledger"


def spoil_count_of_users(c: Checked) -> str:
    c.direct.hset(keys.namespace(c.p, 1), fields.USER_COUNT, "many")
    return "n: users as its quota counts them: 'many' in Redis, 7 by the ledger"


def lose_quarantined(c: Checked) -> str:
    c.sql("DELETE FROM quarantined_grants")
    return "n, grants in quarantine: 'odd' of seq "


def add_quarantined(c: Checked) -> str:
    c.sql("INSERT INTO quarantined_grants SELECT namespace_id, seq, grant_id FROM ledger WHERE grant_id = 'g4'")
    return "n, grants in quarantine: 'g4' of seq 5 is listed and does not wait so"


def change_quarantined(c: Checked) -> str:
    c.sql("UPDATE quarantined_grants SET source = 'other'")
    return "n, grants in quarantine: 'odd' of seq "


FAULTS = [value for value in list(globals().values()) if set(getattr(value, "__annotations__", {})) == {"c", "return"}]
