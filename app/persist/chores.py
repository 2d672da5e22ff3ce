"""What is done for each partition from time to time: seen generations go on, and the ledger's lag is told."""

from ..drivers.redis import Call, RedisConnection, ask, evalsha
from ..drivers.scripts import load
from ..metrics import PERSIST_LAG
from ..settings import Settings
from ..store import fields, keys
from ..store.partitions import read_head
from .ledger_session import LedgerOffset

ROTATE_DEDUP = load("rotate_dedup")


async def maintain(link: RedisConnection, p: int, offset: LedgerOffset, settings: Settings) -> None:
    """One partition. CallRefused where its head holds nonsense, Refused where Redis says no. O(1)."""
    head = await read_head(link, p)
    newest, _, _ = head.generations.partition(",")
    oldest = head.generations.rpartition(",")[2]
    generation_us = settings.seen_generation_s * 1_000_000
    names = [keys.meta(p), keys.dedup(p, newest), keys.dedup(p, oldest)]
    bounds: Call = [head.epoch, head.generations, generation_us, settings.seen_generation_entries_max]
    await ask(link, evalsha(ROTATE_DEDUP, names, bounds))
    seq = await ask(link, ("HGET", keys.meta(p), fields.SEQ))
    PERSIST_LAG.labels(str(p)).set(int(seq) - offset.seq)
