"""Where the epochs of a partition end that are over: the ledger takes nothing of them behind that, see decision 91."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import asyncpg
import structlog

from ..drivers.postgres import Fetch, queries
from ..drivers.redis import RedisLink, RedisRefused, ask_all
from . import fields, keys
from .ledger_reach import PartitionReach

log = structlog.get_logger()


class Undo(Exception):
    """The fence is not set, because no epoch began."""


class FormerPrimaryAnswers(RedisRefused):
    """A Redis that has more of an epoch than the one that took its place."""

    def __init__(self, reach: PartitionReach) -> None:
        super().__init__(
            f"this Redis is a former primary of partition {reach.partition}: it ends at {reach.epoch}-{reach.seq}, and "
            "another one went on"
        )


async def check_present(fetch: Fetch, reach: PartitionReach) -> None:
    """FormerPrimaryAnswers where a partition ended before. Whoever is refused by `fence` again and again would begin an
    epoch each time, and persisters would look at Redis anew for each."""
    if await fetch("get_fence", reach.partition, reach.epoch, reach.seq):
        raise FormerPrimaryAnswers(reach)


@asynccontextmanager
async def fence(connection: asyncpg.Connection, reach: PartitionReach, epoch: int) -> AsyncIterator[None]:
    """Within it the caller has Redis begin an epoch. The epochs before it end where this Redis does, unless `Undo` or
    anything else is raised. FormerPrimaryAnswers."""
    try:
        async with connection.transaction():
            args = reach.partition, reach.epoch, reach.seq, epoch
            if await connection.fetchval(queries()["set_fence"], *args) is None:
                raise FormerPrimaryAnswers(reach)
            yield
    except Undo:
        pass


async def set_missing_fences(fetch: Fetch, link: RedisLink, reaches: Sequence[PartitionReach]) -> None:
    """Sets the fences of partitions that bear the mark of this Redis: who made it may have ended before Postgres had
    the fence. O(partitions). RedisRefused."""
    fences = {row["partition"]: row["fence_epoch"] for row in await fetch("get_fence_epochs", _numbers(reaches))}
    unfenced = [reach for reach in reaches if reach.epoch - 1 > fences[reach.partition]]
    if not unfenced:
        return
    names = fields.EPOCH, fields.EPOCH_BEGINS_AFTER, fields.REBUILT
    heads = await ask_all(link, [("HMGET", keys.meta(p), *names) for p in _numbers(unfenced)], "to read a head")
    for reach, head in zip(unfenced, heads, strict=True):
        epoch, begins_after, rebuilt = (int(value) if value is not None else None for value in head)
        if epoch != reach.epoch or begins_after is None:
            continue
        # Behind a rebuild the epoch is told to begin before the rebuild's own entry.
        end = begins_after + (rebuilt == begins_after + 1)
        if await fetch("set_fence", reach.partition, epoch - 1, end, epoch):
            log.warning("a fence was missing", partition=reach.partition, epoch=epoch - 1, seq=end)


def _numbers(reaches: Sequence[PartitionReach]) -> list[int]:
    return [reach.partition for reach in reaches]
