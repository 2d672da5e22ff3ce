"""What a rebuild asks of Redis besides writing users: to close a partition, to clear it, and to open it again.

A closed partition has no epoch, so every script that reads or writes it answers `unopened`.
"""

from collections.abc import AsyncIterator
from typing import NamedTuple

from ..drivers.redis import Call, RedisConnection, RedisRefused, ask, ask_all, evalsha, transact
from ..drivers.scripts import load
from . import fields, keys
from .key_space import delete_call, scan_call
from .log import entry_call
from .partitions import FORMAT, last_seq_call

OPEN_PARTITION = load("open_partition")
#: Keys that one call goes through: a ms of Redis or less.
_KEYS_A_SCAN = 1_000
#: Fields that one call sets: some hundred µs.
_FIELDS_A_CALL = 1_000


class LedgerEnd(NamedTuple):
    """The last entry of a partition in the ledger; seq 0: there is none."""

    epoch: int
    seq: int
    digest: bytes


class RebuildHead(NamedTuple):
    """What the meta of a closed partition tells a rebuild. seq: None where it is lost; progress: of a rebuild that did
    not come to its end, else empty."""

    seq: int | None
    progress: str


async def read_rebuild_head(link: RedisConnection, p: int) -> RebuildHead:
    """What meta tells. RedisRefused where it is no hash of numbers."""
    seq, progress = await ask(link, ("HMGET", keys.meta(p), fields.SEQ, fields.PROGRESS))
    try:
        return RebuildHead(None if seq is None else int(seq), (progress or b"").decode())
    except ValueError:
        raise RedisRefused(f"{keys.meta(p)} holds what is no number: delete it, and rebuild again") from None


async def close_partition(link: RedisConnection, p: int, reason: str) -> int:
    """From here on the partition takes no entry and shows no board. Its epoch before; 0 where it had none."""
    meta = keys.meta(p)
    calls = [("HGET", meta, fields.EPOCH), ("HSET", meta, fields.CLOSED, reason), ("HDEL", meta, fields.EPOCH)]
    epoch = (await transact(link, calls))[0]
    return int(epoch) if epoch is not None and epoch.isdigit() else 0


async def read_last_entry(link: RedisConnection, p: int) -> LedgerEnd | None:
    """The last entry of the log; None where there is none, or no log. O(1)."""
    (reply,) = await link.run([("XREVRANGE", keys.log(p), "+", "-", "COUNT", 1)])
    if isinstance(reply, Exception) or not reply:
        return None
    place, values = reply[0]
    epoch, seq = place.split(b"-")
    return LedgerEnd(int(epoch), int(seq), values[1])


async def write_progress(link: RedisConnection, p: int, progress: str) -> None:
    """Says in meta how far a rebuild has come."""
    await ask(link, ("HSET", keys.meta(p), fields.PROGRESS, progress))


async def holds_entry(link: RedisConnection, p: int, end: LedgerEnd) -> bool:
    """Whether the log holds the ledger's last entry as the ledger does. O(log n)."""
    if end.seq == 0:
        return True
    (reply,) = await link.run([entry_call(p, epoch=end.epoch, seq=end.seq)])
    return not isinstance(reply, Exception) and bool(reply) and reply[0][1][1] == end.digest


def log_page_call(p: int, place: tuple[int, int], count: int) -> Call:
    """Asks for the entries of the log behind a place (epoch, seq), `count` at most."""
    return ("XRANGE", keys.log(p), f"({place[0]}-{place[1]}", "+", "COUNT", count)


async def set_log_aside(link: RedisConnection, p: int, epoch: int) -> int:
    """Keeps a log that does not go on where the ledger ends under another key; how many entries it has. O(1)."""
    (count,) = await link.run([("XLEN", keys.log(p))])
    if isinstance(count, Exception) or not count:
        return 0
    await ask(link, ("RENAME", keys.log(p), keys.log_aside(p, epoch)))
    return int(count)


async def clear_keys(link: RedisConnection, p: int, namespace_id: int | None, *, whole_log: bool) -> AsyncIterator[int]:
    """Deletes what a rebuild writes anew; without a whole log also the log and dedup. Yields how many keys went with
    each call. O(keys of the partition's node)."""
    cursor = b"0"
    while True:
        # A scan has no key: it goes to the node of the call before it.
        _, (cursor, page) = await ask_all(link, [last_seq_call(p), scan_call(cursor, _KEYS_A_SCAN)])
        gone = [
            key
            for key in page
            if keys.is_rebuilt(key, p, namespace_id) or (not whole_log and keys.is_log_or_dedup(key, p))
        ]
        if gone:
            await ask(link, delete_call(gone))
        yield len(gone)
        if cursor == b"0":
            return


async def write_window_states(link: RedisConnection, p: int, namespace_id: int, states: dict[str, str]) -> None:
    """Writes the states of closed windows, by window, and the mark of hidden users if there are any. O(windows)."""
    key, pairs = keys.namespace(p, namespace_id), list(states.items())
    for first in range(0, len(pairs), _FIELDS_A_CALL):
        some = pairs[first : first + _FIELDS_A_CALL]
        values = (part for window, state in some for part in (fields.WINDOW_STATE + window, state))
        await ask(link, ("HSET", key, *values))
    if await ask(link, ("HLEN", keys.hidden_in(p, namespace_id))):
        await ask(link, ("HSET", key, fields.HIDDEN_MARK, 1))


def open_call(
    p: int, *, progress: str, epoch: int, end: LedgerEnd, digest: bytes, body: bytes, moment: int, generation: int
) -> Call:
    """The call that opens a partition; `moment` and what else it takes: see lua/open_partition.lua."""
    return evalsha(
        OPEN_PARTITION,
        [keys.meta(p), keys.log(p), keys.hidden(p)],
        [progress, epoch, end.epoch, end.seq, end.digest, digest, body, moment, FORMAT, generation],
    )
