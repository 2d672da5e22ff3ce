"""`leaderboard recover`: partitions that are closed are opened again, where Redis has all that the ledger has."""

from collections.abc import AsyncIterator
from typing import NamedTuple

from ..drivers.postgres import Postgres
from ..drivers.redis import RedisConnection
from ..settings import Settings
from ..store.ledger_reach import PartitionReach, read_reach
from ..store.marks import SETTLE_LOSS, settle_loss
from ..store.partitions import LEDGER_BEHIND
from .store_agreement import check_together


class Recovery(NamedTuple):
    """What became of a partition that was closed, or would have been. is_open: whether it takes grants again; text:
    what is lost, or what is to be done."""

    partition: int
    is_open: bool
    text: str


async def recover(settings: Settings) -> AsyncIterator[Recovery]:
    """Opens what can be opened. RedisRefused, FormatRefused, StoreUnavailable; O(partitions)."""
    link, postgres = RedisConnection(settings.redis_url, [SETTLE_LOSS]), Postgres(settings.postgres_url)
    try:
        wrong = await check_together(link, postgres)
        offsets = [row for row in await postgres.fetch("get_offsets") if row["partition"] in wrong]
        for reach in await read_reach(link, offsets):
            yield await _recover(link, postgres, reach)
    finally:
        await link.close()
        await postgres.close()


async def _recover(link: RedisConnection, postgres: Postgres, reach: PartitionReach) -> Recovery:
    p, end = reach.partition, f"{reach.epoch}-{reach.seq}"
    if reach.loss is not None:
        return Recovery(p, False, reach.closed or f"{reach.loss}: run leaderboard rebuild --partition {p}")
    reason = reach.closed or ""
    if reason.startswith(LEDGER_BEHIND):
        return Recovery(p, False, f"{reason}; it opens by itself once Postgres has all of it")
    (row,) = await postgres.fetch("raise_epoch", p, reach.epoch)
    if not await settle_loss(link, reach, row["newest_epoch"]):
        return Recovery(p, False, f"{reason}; it changed meanwhile: run this again")
    return Recovery(p, True, f"open again, in epoch {row['newest_epoch']} behind {end}; lost: {reason}")
