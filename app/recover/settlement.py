"""A partition that has all that the ledger has, and was closed because a server remembers more: what nobody has is
given up, and told."""

import asyncio
from collections.abc import AsyncIterator, Collection
from time import monotonic
from typing import NamedTuple

from ..drivers.postgres import Postgres
from ..drivers.redis import RedisConnection
from ..store.ledger_reach import PartitionReach, read_reach
from ..store.marks import settle_loss
from ..store.partitions import LEDGER_BEHIND
from .loss import Loss, record_loss

#: Seconds in which servers at work meet a partition that was just opened, and say what they remember.
SETTLE_S = 0.5
#: Seconds between two looks at it.
_POLL_S = 0.05


class Recovery(NamedTuple):
    """What became of a partition that was closed, or would have been. is_open: whether it takes grants again; text:
    what came back, what is lost, or what is to be done."""

    partition: int
    is_open: bool
    text: str


async def settle(link: RedisConnection, postgres: Postgres, reach: PartitionReach) -> Recovery:
    """Opens a partition of which neither Redis nor the ledger has what a server had acknowledged. `link` knows
    SETTLE_LOSS."""
    p, reason = reach.partition, reach.closed or reach.loss or ""
    if reason.startswith(LEDGER_BEHIND):
        return Recovery(p, False, reason)
    (row,) = await postgres.fetch("raise_epoch", p, reach.epoch)
    if not await settle_loss(link, reach, row["newest_epoch"]):
        return Recovery(p, False, f"{reason}; the partition changed meanwhile: run leaderboard recover again")
    if (loss := Loss.parse(reason)) is not None:
        await record_loss(postgres, p, loss, reason)
    count = "" if loss is None else f"{loss}: "
    end = f"{reach.epoch}-{reach.seq}"
    return Recovery(p, True, f"opened in epoch {row['newest_epoch']}, behind {end}; lost: {count}{reason}")


async def settle_soon(
    link: RedisConnection, postgres: Postgres, partitions: Collection[int]
) -> AsyncIterator[Recovery]:
    """The same for partitions that were just opened, as soon as a server closes one for what it remembers. It waits
    SETTLE_S for that."""
    until = monotonic() + SETTLE_S
    while partitions and monotonic() < until:
        await asyncio.sleep(_POLL_S)
        offsets = await postgres.fetch("get_offsets_of", list(partitions))
        for reach in await read_reach(link, offsets):
            if reach.closed is not None and reach.loss is None and Loss.parse(reach.closed) is not None:
                yield await settle(link, postgres, reach)
