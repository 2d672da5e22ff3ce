"""What Redis holds of each partition, and how much memory each of its nodes uses."""

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from ..drivers.redis import REDIS_ERRORS, Call, RedisConnection, is_loss
from . import fields, keys

_USED = re.compile(rb"^used_memory:(\d+)", re.MULTILINE)
_MAX = re.compile(rb"^maxmemory:(\d+)", re.MULTILINE)


class PartitionUse(NamedTuple):
    """A partition in Redis. lag: entries that the ledger lacks; bytes are Redis' own estimate, 0 where an ACL denies
    MEMORY USAGE."""

    seq: int = 0
    lag: int = 0
    log_entries: int = 0
    log_bytes: int = 0
    dedup_ids: int = 0
    dedup_bytes: int = 0


class NodeMemory(NamedTuple):
    """A node's memory in bytes. max: its maxmemory, 0 for none."""

    address: str
    used: int
    max: int


async def read_uses(redis: RedisConnection, partitions: Sequence[int]) -> list[PartitionUse | None]:
    """What each partition holds, in order; None where its node does not answer, or its head cannot be read.
    O(partitions), two round trips; ConnectionError where nobody tells the nodes."""
    heads = await redis.run_apart([call for p in partitions for call in _head_calls(p)])
    generations = [_generations(head) for head in heads[::3]]
    names = [keys.dedup(p, number) for p, numbers in zip(partitions, generations, strict=True) for number in numbers]
    sizes = iter(await redis.run_apart([call for name in names for call in (("HLEN", name), _memory_call(name))]))
    uses: list[PartitionUse | None] = []
    for i, numbers in enumerate(generations):
        head, *log = heads[3 * i : 3 * i + 3]
        seqs, dedup = _seqs(head), [next(sizes) for _ in range(2 * len(numbers))]
        if seqs is None or any(map(is_loss, (*log, *dedup))):
            uses.append(None)
            continue
        seq, flushed = seqs
        entries, log_bytes = map(_count, log)
        uses.append(PartitionUse(seq, max(0, seq - flushed), entries, log_bytes, _sum(dedup[::2]), _sum(dedup[1::2])))
    return uses


def _head_calls(p: int) -> Sequence[Call]:
    return (
        ("HMGET", keys.meta(p), fields.SEQ, fields.FLUSHED, fields.GENERATIONS),
        ("XLEN", keys.log(p)),
        _memory_call(keys.log(p)),
    )


def _memory_call(key: str) -> Call:
    return ("MEMORY", "USAGE", key)


def _count(reply: Any) -> int:
    return reply if isinstance(reply, int) else 0


def _sum(replies: Sequence[Any]) -> int:
    return sum(map(_count, replies))


def _seqs(head: Any) -> tuple[int, int] | None:
    """A head's seq, and that up to which the ledger has its entries; None where it cannot be read."""
    try:
        return int(head[0]), int(head[1].rpartition(b"-")[2])
    except (TypeError, ValueError, AttributeError):
        return None


def _generations(head: Any) -> list[str]:
    if isinstance(head, Exception) or head[2] is None:
        return []
    return str(head[2].decode(errors="replace")).split(",")


async def read_memory(redis: RedisConnection) -> list[NodeMemory]:
    """The memory of each node that answers INFO. O(nodes); ConnectionError where nobody tells the nodes."""
    nodes = []
    for link in await redis.links():
        try:
            (info,) = await link.run([("INFO", "memory")])
        except REDIS_ERRORS:
            continue
        if not isinstance(info, Exception) and (used := _USED.search(info)) and (most := _MAX.search(info)):
            nodes.append(NodeMemory(link.contact.address, int(used[1]), int(most[1])))
    return nodes
