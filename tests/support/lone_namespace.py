"""A namespace alone in its tables, for tests of what a user's other grants come to."""

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import msgspec
import psycopg

from app.drivers.postgres import PLANNER_SETTINGS, queries
from app.model.namespace import Namespace, Rules
from app.persist.time_buckets import count_in_time

KINDS = [("sum", "desc"), ("best", "desc"), ("best", "asc"), ("latest", "desc")]


def tables(db: psycopg.Connection[Any]) -> None:
    """What a deployment of one partition begins with."""
    db.execute("INSERT INTO deployment (id, partitions) VALUES ('d', 1)")
    db.execute("INSERT INTO partitions (partition) VALUES (0)")


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[asyncpg.Connection]:
    db = await asyncpg.connect(url, server_settings=PLANNER_SETTINGS)
    try:
        yield db
    finally:
        await db.close()


async def space_of(db: asyncpg.Connection, aggregation: str, order: str, tie_break: str) -> Namespace:
    """A new namespace alone in its tables."""
    await db.execute(
        "TRUNCATE ledger, live_grants, user_buckets, namespace_buckets, standings, dead_letters, users CASCADE"
    )
    rules = {"aggregation": aggregation, "order": order, "tie_break": tie_break, "category_boards": True}
    all_rules = msgspec.convert(rules | {"timezone": "Europe/Berlin"}, Rules)
    number = await db.fetchval(
        "INSERT INTO namespaces (name, partition, rules) VALUES ($1, 0, $2::jsonb) RETURNING id",
        f"n{random.random()}",
        msgspec.json.encode(all_rules).decode(),
    )
    return Namespace(number, "n", 0, 1, all_rules)


async def count(db: asyncpg.Connection, counted: int, end: int) -> None:
    span = [[0], [1], [0], [1], [counted]]
    await db.execute(queries()["add_standings"], *span)
    await count_in_time(db, span)
    await db.execute("UPDATE partitions SET epoch = 1, seq = $2, counted_epoch = 1, counted_seq = $1", counted, end)
