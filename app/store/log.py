"""What Redis tells of a partition's log to those who read the ledger."""

import asyncio

import asyncpg

from ..model.errors import Recovering
from . import keys
from .gather import Gatherer


async def is_counted(gatherer: Gatherer, p: int, name: bytes) -> bool:
    """Whether an entry id stands in a seen generation that is kept. Recovering, StoreUnavailable; O(1)."""
    generations = await gatherer.call(("HGET", keys.meta(p), "generations"))
    if generations is None:
        raise Recovering(f"partition {p} lost its head")
    calls = (gatherer.call(("HGET", keys.seen(p, held), name)) for held in generations.decode().split(","))
    return any(found is not None for found in await asyncio.gather(*calls))


async def lag_behind(gatherer: Gatherer, p: int, offset: asyncpg.Record | None) -> int:
    """Entries that the ledger lacked when `offset` was read: before what is answered, so that 0 means complete."""
    seq = await gatherer.call(("HGET", keys.meta(p), "seq"))
    return max(0, int(seq or 0) - (offset["seq"] if offset else 0))
