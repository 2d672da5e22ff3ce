"""Namespaces of up to 10^7 users, their boards written as apply.lua leaves them: by HTTP it would take half an hour.

It is only here that anything but apply.lua writes a board. `growth` compares the answers with those of a namespace that
was granted the same.
"""

import time
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice
from operator import mul
from random import Random
from typing import Any, NamedTuple

import psycopg
import redis

from app.model.micros import to_micros
from app.store import keys
from app.store.sum_tree import FAN, LEAF, LEVELS
from tests.conftest import Stack

OLD = datetime(2020, 6, 1, tzinfo=UTC)
SEASON = {"name": "old", "starts": "2020-01-01T00:00:00Z", "ends": "2021-01-01T00:00:00Z"}
RULES: dict[str, Any] = {"periods": ["all"], "accept_past": None, "seasons": [SEASON], "bounded_sums": True}
WINDOWS = ("all", "season:old")
BALANCES = 10_000  # how many users have balances: those who are asked for by themselves, and granted something
LOWEST, HIGHEST, ROUND = 100_000_000, 999_999_999, 1_000_000  # nine digits; a tenth of the scores is round, so they tie
_CHUNK = 1_000


class Crowd(NamedTuple):
    """A namespace with a board of `size` users in each of two windows."""

    name: str
    size: int

    @property
    def step(self) -> int:
        """Every so many users one has balances."""
        return max(1, self.size // BALANCES)

    def user(self, chance: Random) -> str:
        """Anyone."""
        return user_of(chance.randrange(self.size))

    def holder(self, chance: Random) -> str:
        """One who has balances."""
        return user_of(chance.randrange(0, self.size, self.step))


def user_of(number: int) -> str:
    """A user's name."""
    return f"user-{number:08}"


def scores(size: int) -> Iterator[list[int]]:
    """Each user's score, in chunks: the same distribution at each size, in no order."""
    chance = Random(size).random
    for _ in range(0, size, _CHUNK):
        drawn = [LOWEST + int(chance() * (HIGHEST - LOWEST)) for _ in range(_CHUNK)]
        yield [score // ROUND * ROUND if score % 10 == 0 else score for score in drawn]


def create(stack: Stack, crowd: Crowd) -> None:
    """The namespace itself."""
    with stack.client() as client:
        client.put(f"/v1/namespaces/{crowd.name}", json=RULES).raise_for_status()


def grant(stack: Stack, crowd: Crowd) -> None:
    """Fills a small one as any client does."""
    with stack.client() as client:
        for n, chunk in enumerate(scores(crowd.size)):
            users = map(user_of, range(n * _CHUNK, (n + 1) * _CHUNK))
            grants = [
                {"grant_id": user, "user_id": user, "amount": score, "granted_at": OLD.isoformat()}
                for user, score in zip(users, chunk, strict=True)
            ]
            client.post(f"/v1/namespaces/{crowd.name}/grants", json=grants).raise_for_status()


def write(stack: Stack, crowds: list[Crowd]) -> None:
    """Fills them by hand, in a Valkey that keeps no log of it meanwhile; server and persister are away."""
    for part in ("serve", "persist"):
        stack.stop(part)
    with redis.Redis.from_url(stack.valkey.url, socket_timeout=300) as store, psycopg.connect(stack.postgres.url) as db:
        store.config_set("appendonly", "no")
        for crowd in crowds:
            row = db.execute("SELECT partition, id FROM namespaces WHERE name = %s", (crowd.name,)).fetchone()
            assert row
            _write(store, crowd, *row)
        store.config_set("appendonly", "yes")
        while any(store.info("persistence")[f"aof_rewrite_{state}"] for state in ("in_progress", "scheduled")):
            time.sleep(0.1)
        assert store.info("persistence")["aof_last_bgrewrite_status"] == "ok"
    for part in ("persist", "serve"):
        stack.start(part)


def _write(store: Any, crowd: Crowd, p: int, space: int) -> None:
    total = squares = 0
    ids: list[int] = []
    board, other = (keys.board(p, space, window) for window in WINDOWS)
    connection = store.connection_pool.get_connection()
    for first, chunk in zip(range(0, crowd.size, _CHUNK), scores(crowd.size), strict=True):
        connection.send_packed_command([_zadd(board, first, chunk)])
        total, squares = total + sum(chunk), squares + sum(map(mul, chunk, chunk))
        ids += chunk[-first % crowd.step :: crowd.step]
        if first:
            connection.read_response()  # of the one before: the next is made while this one is worked on
    connection.read_response()
    store.connection_pool.release(connection)
    assert store.zcard(board) == crowd.size
    assert store.copy(board, other)
    board, other = (keys.sum_tree(p, space, window) for window in WINDOWS)
    _write_sums(store, board, crowd.size)
    assert store.copy(board, other)
    seq = int(store.hget(keys.meta(p), "seq"))
    fields = {
        f"{kind}:{window}": text for window in WINDOWS for kind, text in (("t", f"{total} {squares}"), ("v", seq))
    }
    store.hset(keys.namespace(p, space), mapping=fields)
    with store.pipeline(transaction=False) as pipeline:
        for number, score in zip(range(0, crowd.size, crowd.step), ids, strict=True):
            fields = {"total": score, "count": 1, "last": to_micros(OLD), "seq": seq, "at": to_micros(OLD)}
            pipeline.hset(keys.balances(p, space) + user_of(number), mapping=fields)
        pipeline.execute()


def _write_sums(store: Any, key: str, size: int) -> None:
    """The tree of sums, level by level."""
    totals: dict[int, int] = defaultdict(int)
    for chunk in scores(size):
        for score in chunk:
            totals[score // LEAF] += score
    for level in range(LEVELS):
        nodes = iter(totals.items())
        while group := list(islice(nodes, 10 * _CHUNK)):
            store.execute_command(
                "HSET", key, *(part for index, total in group for part in (index * LEVELS + level, total))
            )
        above: dict[int, int] = defaultdict(int)
        for index, total in totals.items():
            above[index // FAN] += total
        totals = above


def _zadd(board: str, first: int, chunk: list[int]) -> bytes:
    """One ZADD as it travels. In one go: a call for each of 10^7 members would take longer than Valkey does."""
    flat = [0] * (2 * _CHUNK)
    flat[::2], flat[1::2] = chunk, range(first, first + _CHUNK)
    head = f"*{2 + len(flat)}\r\n$4\r\nZADD\r\n${len(board)}\r\n{board}\r\n"
    return (head + "$9\r\n%d\r\n$13\r\nuser-%08d\r\n" * _CHUNK % tuple(flat)).encode()
