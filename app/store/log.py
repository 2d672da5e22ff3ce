"""What Redis tells of a partition's log to those who read the ledger."""

import asyncio
from collections.abc import Sequence

import asyncpg

from ..model.errors import Recovering
from . import keys
from .gather import Gatherer


async def is_counted(gatherer: Gatherer, p: int, name: bytes) -> bool:
    """Whether an entry id stands in a seen generation that is kept. Recovering, StoreUnavailable; O(1)."""
    (counted,) = await are_counted(gatherer, p, [name])
    return counted


async def are_counted(gatherer: Gatherer, p: int, names: Sequence[bytes]) -> list[bool]:
    """Whether each entry id stands in a seen generation that is kept. Recovering, StoreUnavailable; O(names)."""
    generations = await gatherer.call(("HGET", keys.meta(p), "generations"))
    if generations is None:
        raise Recovering(f"partition {p} lost its head")
    kept = generations.decode().split(",")
    found = await asyncio.gather(*(gatherer.call(("HMGET", keys.seen(p, held), *names)) for held in kept))
    return [any(hit is not None for hit in hits) for hits in zip(*found, strict=True)]


async def lag_behind(gatherer: Gatherer, p: int, offset: asyncpg.Record | None) -> int:
    """Entries that the ledger lacked when `offset` was read: before what is answered, so that 0 means complete."""
    seq = await gatherer.call(("HGET", keys.meta(p), "seq"))
    return max(0, int(seq or 0) - (offset["seq"] if offset else 0))
