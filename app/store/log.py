"""A partition's log in Redis: calls for the persister that follows it, and for readers of the ledger: which entries
exist, and how many the ledger lacks."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import asyncpg
import msgspec

from ..drivers.postgres import Postgres
from ..drivers.redis import Call
from ..model.errors import Recovering, StoreUnavailable
from ..model.text import count_text
from . import fields, keys
from .log_format import dedup_place, read_fields
from .partitions import last_seq_call
from .read_batcher import ReadBatcher

#: Entries after the ledger's last that one search scans: 3 MB of plain ones, which a busy partition writes in a second.
LOOKED_THROUGH_ENTRIES_MAX = 20_000
#: Entries of one read of the log: each read waits for its turn among other clients' reads, and an entry may carry 2 KiB
#: of meta.
PAGE_ENTRIES_MAX = 500


class _Owner(msgspec.Struct, array_like=True):
    """The first fields of every entry; the others are skipped."""

    kind: str
    namespace_id: int


_decode_owner = msgspec.msgpack.Decoder(_Owner).decode


async def entry_places(batcher: ReadBatcher, p: int, names: Sequence[bytes]) -> list[tuple[int, int] | None]:
    """Epoch and seq at which each entry id was counted, by the dedup generations; None: it was not, or is too old.
    Recovering, StoreUnavailable; O(names)."""
    replies = await _seen(batcher, p, names)
    return [next((dedup_place(hit) for hit in hits if hit is not None), None) for hits in zip(*replies, strict=True)]


async def are_counted(batcher: ReadBatcher, p: int, names: Sequence[bytes]) -> list[bool]:
    """Whether each entry id is in one of the dedup generations. Recovering, StoreUnavailable; O(names)."""
    replies = await _seen(batcher, p, names)
    return [any(hit is not None for hit in hits) for hits in zip(*replies, strict=True)]


async def _seen(batcher: ReadBatcher, p: int, names: Sequence[bytes]) -> list[list[bytes | None]]:
    """The values of some ids in each dedup generation."""
    generations = await batcher.call(("HGET", keys.meta(p), fields.GENERATIONS))
    if generations is None:
        raise Recovering(f"partition {p} lost its head")
    numbers = generations.decode().split(",")
    return list(await asyncio.gather(*(batcher.call(("HMGET", keys.dedup(p, number), *names)) for number in numbers)))


async def lag_behind(batcher: ReadBatcher, p: int, offset: asyncpg.Record | None) -> int:
    """How many entries the ledger lacked when `offset` was read. Read the offset before the answer: then 0 means that
    the answer is complete."""
    return lag_of(p, await batcher.call(last_seq_call(p)), offset["seq"] if offset else 0)


def lag_of(p: int, last_seq: bytes | None, ledger_seq: int) -> int:
    """How many entries the ledger lacks of a partition. Recovering where Redis lacks entries of the ledger."""
    lag = int(last_seq or 0) - ledger_seq
    if lag < 0:
        entries = count_text(-lag, "entry", "entries")
        raise Recovering(f"partition {p}: Redis ends {entries} before the ledger, which ends at seq {ledger_seq}")
    return lag


async def has_entries(batcher: ReadBatcher, postgres: Postgres, p: int, namespace_id: int) -> bool:
    """Whether a namespace has any entry in the ledger, or after it in the log; also one that moved nothing. Exact while
    the partition refuses the namespace's plans. O(entries behind the ledger); StoreUnavailable.

    It reads the log first, from the ledger's offset on: an entry that leaves the log meanwhile is in the ledger.
    """
    offset = await postgres.fetch_one("get_offset", p)
    place = f"{offset['epoch']}-{offset['seq']}" if offset else "0-0"
    for _ in range(LOOKED_THROUGH_ENTRIES_MAX // PAGE_ENTRIES_MAX):
        page = await batcher.call(("XRANGE", keys.log(p), f"({place}", "+", "COUNT", PAGE_ENTRIES_MAX))
        if any(_is_of(entry, namespace_id) for _, entry in page):
            return True
        if len(page) < PAGE_ENTRIES_MAX:
            row = await postgres.fetch_one("has_ledger_rows", namespace_id)
            return row is not None and bool(row["has_rows"])
        place = page[-1][0].decode()
    raise StoreUnavailable(f"the ledger of partition {p} is too far behind to tell whether the namespace holds grants")


def _is_of(entry: Sequence[bytes], namespace_id: int) -> bool:
    """Whether an entry belongs to a namespace; an unreadable one belongs to none."""
    try:
        return _decode_owner(read_fields(entry).packed).namespace_id == namespace_id
    except msgspec.DecodeError:
        return False


def follow_call(places: Mapping[int, tuple[int, int]], entries_max: int, wait_ms: int = 0) -> Call:
    """Asks for the entries after a place (epoch, seq) of each partition's log, at most `entries_max` of each. Waits for
    `wait_ms` if there are none; 0: it does not wait. The reply: pairs of a log's key and its entries, or None."""
    logs, ids = map(keys.log, places), (f"{epoch}-{seq}" for epoch, seq in places.values())
    wait = ("BLOCK", wait_ms) if wait_ms else ()
    return ("XREAD", "COUNT", entries_max, *wait, "STREAMS", *logs, *ids)


def first_entry_call(p: int) -> Call:
    """Asks for the first entry of a partition's log; an error reply if the log cannot be read. O(1)."""
    return ("XREAD", "COUNT", 1, "STREAMS", keys.log(p), "0-0")


def begin_call(p: int) -> Call:
    """Asks for the oldest entry of a partition's log: a list with it, or an empty one. O(1)."""
    return ("XRANGE", keys.log(p), "-", "+", "COUNT", 1)


def entry_call(p: int, *, epoch: int, seq: int) -> Call:
    """Asks for the entry at a place of a partition's log: a list with this entry, or an empty one. O(log n)."""
    place = f"{epoch}-{seq}"
    return ("XRANGE", keys.log(p), place, place)


def digest_in(reply: Sequence[Any]) -> bytes | None:
    """The digest of the entry in the reply of `entry_call`; None if there is no such entry."""
    return read_fields(reply[0][1]).digest if reply else None
