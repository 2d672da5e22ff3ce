"""What a rebuild asks of Redis besides writing users: to close a partition, to clear it, and to open it again.

A closed partition has no epoch, so every script that reads or writes it answers `unopened`.
"""

from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

from ..drivers.redis import Call, RedisConnection, RedisRefused, ask, ask_all, evalsha, transact
from ..drivers.scripts import load
from . import fields, keys
from .key_space import delete_call, scan_call
from .ledger_offset import LedgerOffset
from .log import digest_in, entry_call
from .partitions import FORMAT, last_seq_call

OPEN_PARTITION = load("open_partition")
APPEND_ENTRIES = load("append_entries")
#: Keys that one call goes through: a ms of Redis or less.
_KEYS_A_SCAN = 1_000
#: Fields that one call sets: some hundred µs.
_FIELDS_A_CALL = 1_000


class RebuildHead(NamedTuple):
    """What the meta of a closed partition tells a rebuild. seq: None where it is lost; progress: of a rebuild that did
    not come to its end, else empty; asides: the epochs before which a log was set aside; generations: of dedup."""

    seq: int | None
    progress: str
    asides: list[int]
    generations: list[str]


async def read_rebuild_head(link: RedisConnection, p: int) -> RebuildHead:
    """What meta tells. RedisRefused where it is no hash of numbers."""
    names = fields.SEQ, fields.PROGRESS, fields.ASIDES, fields.GENERATIONS
    seq, progress, asides, generations = await ask(link, ("HMGET", keys.meta(p), *names))
    try:
        return RebuildHead(
            None if seq is None else int(seq),
            (progress or b"").decode(),
            [int(epoch) for epoch in (asides or b"").split()],
            (generations or b"").decode().split(","),
        )
    except ValueError:
        raise RedisRefused(
            f"{keys.meta(p)} holds a value that is no number: delete this key, and run leaderboard rebuild"
        ) from None


async def close_partition(link: RedisConnection, p: int, reason: str) -> int:
    """From here on the partition takes no entry and shows no board. Its epoch before; 0 where it had none."""
    meta = keys.meta(p)
    calls = [("HGET", meta, fields.EPOCH), ("HSET", meta, fields.CLOSED, reason), ("HDEL", meta, fields.EPOCH)]
    epoch = (await transact(link, calls))[0]
    return int(epoch) if epoch is not None and epoch.isdigit() else 0


async def read_closed(link: RedisConnection, p: int) -> str | None:
    """Why a partition is closed; None: it is not. O(1)."""
    reason = await ask(link, ("HGET", keys.meta(p), fields.CLOSED))
    return None if reason is None else bytes(reason).decode()


async def read_epoch(link: RedisConnection, p: int) -> int:
    """A partition's epoch; 0: it has none. O(1)."""
    return int(await ask(link, ("HGET", keys.meta(p), fields.EPOCH)) or 0)


async def is_open(link: RedisConnection, p: int) -> bool:
    """Whether a partition that was closed by `close_partition` is open again. O(1)."""
    return bool(await ask(link, ("HEXISTS", keys.meta(p), fields.EPOCH)))


async def read_last_entry(link: RedisConnection, p: int) -> LedgerOffset | None:
    """The last entry of the log; None where there is none, or no log. O(1)."""
    (reply,) = await link.run([("XREVRANGE", keys.log(p), "+", "-", "COUNT", 1)])
    if isinstance(reply, Exception) or not reply:
        return None
    place, values = reply[0]
    epoch, seq = place.split(b"-")
    return LedgerOffset(int(epoch), int(seq), values[1])


async def write_progress(link: RedisConnection, p: int, progress: str) -> None:
    """Says in meta how far a rebuild has come."""
    await ask(link, ("HSET", keys.meta(p), fields.PROGRESS, progress))


async def holds_entry(link: RedisConnection, p: int, end: LedgerOffset) -> bool:
    """Whether the log holds the ledger's last entry as the ledger does. O(log n)."""
    if end.seq == 0:
        return True
    (reply,) = await link.run([entry_call(p, epoch=end.epoch, seq=end.seq)])
    return not isinstance(reply, Exception) and digest_in(reply) == end.digest


def log_page_call(p: int, place: tuple[int, int], count: int) -> Call:
    """Asks for the entries of the log behind a place (epoch, seq), `count` at most."""
    return ("XRANGE", keys.log(p), f"({place[0]}-{place[1]}", "+", "COUNT", count)


def log_page_back_call(p: int, before: str, count: int) -> Call:
    """Asks for the last entries of the log before a place, `+`: the end; the latest first, `count` at most."""
    return ("XREVRANGE", keys.log(p), before, "-", "COUNT", count)


def aside_page_call(p: int, epoch: int, *, place: tuple[int, int], count: int) -> Call:
    """Asks for the entries behind a place of the log that was set aside before an epoch, `count` at most."""
    return ("XRANGE", keys.log_aside(p, epoch), f"({place[0]}-{place[1]}", "+", "COUNT", count)


async def read_asides(link: RedisConnection, p: int) -> list[int]:
    """The epochs before which a log was set aside. O(1)."""
    return [int(epoch) for epoch in (await ask(link, ("HGET", keys.meta(p), fields.ASIDES)) or b"").split()]


async def set_log_aside(link: RedisConnection, p: int, epoch: int, behind: tuple[int, int], asides: list[int]) -> None:
    """Keeps what the log holds behind a place under another key, where it holds anything: those entries are not in the
    ledger. asides: the epochs of earlier ones. O(entries)."""
    (count,) = await link.run([("XLEN", keys.log(p))])
    if isinstance(count, Exception) or not count:
        return
    key, names = keys.log_aside(p, epoch), " ".join(map(str, [*asides, epoch]))
    await transact(
        link,
        [
            ("RENAME", keys.log(p), key),
            ("XTRIM", key, "MINID", f"{behind[0]}-{behind[1] + 1}"),
            ("HSET", keys.meta(p), fields.ASIDES, names),
        ],
    )


async def trim_aside(link: RedisConnection, p: int, epoch: int, place: tuple[int, int]) -> None:
    """Deletes what stands up to a place in the log that was set aside before an epoch. O(these entries)."""
    await ask(link, ("XTRIM", keys.log_aside(p, epoch), "MINID", f"{place[0]}-{place[1] + 1}"))


async def forget_aside(link: RedisConnection, p: int, epoch: int) -> None:
    """Deletes the log that was set aside before an epoch, once all of it is submitted or reported. O(its entries)."""
    names = " ".join(str(other) for other in await read_asides(link, p) if other != epoch)
    note = ("HSET", keys.meta(p), fields.ASIDES, names) if names else ("HDEL", keys.meta(p), fields.ASIDES)
    await transact(link, [delete_call([keys.log_aside(p, epoch).encode()]), note])


async def delete_generations(link: RedisConnection, p: int, generations: Iterable[str]) -> None:
    """Deletes generations of dedup."""
    await ask(link, delete_call([keys.dedup(p, generation).encode() for generation in generations]))


async def remember_ids(
    link: RedisConnection, p: int, generation: int, entries: Mapping[bytes, tuple[int, int, bytes]]
) -> None:
    """Writes ids into a generation of dedup, each with epoch, seq and digest of its entry. RedisRefused; O(ids)."""
    pairs = [(name, digest + f"{epoch}-{seq}".encode()) for name, (epoch, seq, digest) in entries.items()]
    calls: list[Call] = [
        ("HSET", keys.dedup(p, generation), *(part for pair in pairs[first : first + _FIELDS_A_CALL] for part in pair))
        for first in range(0, len(pairs), _FIELDS_A_CALL)
    ]
    await ask_all(link, calls, what="ids of grants")


async def clear_keys(
    link: RedisConnection, p: int, namespace_ids: Collection[int] | None, *, whole_log: bool
) -> AsyncIterator[int]:
    """Deletes what a rebuild of a partition, or of some of its namespaces, writes anew; without a whole log also the
    log and dedup. Yields how many keys went with each call. O(keys of the partition's node)."""
    cursor = b"0"
    while True:
        # A scan has no key: it goes to the node of the call before it.
        _, (cursor, page) = await ask_all(link, [last_seq_call(p), scan_call(cursor, _KEYS_A_SCAN)])
        gone = [
            key
            for key in page
            if keys.is_rebuilt(key, p, namespace_ids) or (not whole_log and keys.is_log_or_dedup(key, p))
        ]
        if gone:
            await ask(link, delete_call(gone))
        yield len(gone)
        if cursor == b"0":
            return


async def is_evicted(link: RedisConnection, p: int, *, namespace_id: int, window: str) -> bool:
    """Whether a window's boards have left Redis. A window that is not closed here is, from here on."""
    key, field = keys.namespace(p, namespace_id), fields.WINDOW_STATE + window
    await ask(link, ("HSETNX", key, field, "s"))
    return bool((await ask(link, ("HGET", key, field))).startswith(b"a"))


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
    p: int,
    *,
    progress: str,
    epoch: int,
    end: LedgerOffset,
    digest: bytes,
    body: bytes,
    moment: int,
    generation: int,
    complete_since: int,
    is_settled: bool,
) -> Call:
    """The call that opens a partition; `moment` and what else it takes: see lua/open_partition.lua."""
    return evalsha(
        OPEN_PARTITION,
        [keys.meta(p), keys.log(p), keys.hidden(p)],
        [
            progress,
            epoch,
            end.epoch,
            end.seq,
            end.digest,
            digest,
            body,
            moment,
            FORMAT,
            generation,
            int(is_settled),
            complete_since,
        ],
    )


class AppendedEntry(NamedTuple):
    """An entry that moves nothing. digest, body: as the log has them; score, score_before: the user's on the `all`
    board behind it and before it; None: not there."""

    digest: bytes
    body: bytes
    score: int | None
    score_before: int | None


async def append_entries(
    link: RedisConnection, p: int, *, progress: str, seq: int, epoch: int, entries: Sequence[AppendedEntry]
) -> int | None:
    """Appends entries to the log of a closed partition behind a seq; the seq of the last one. None: meta tells another
    progress or seq, and nothing was written. `link` knows APPEND_ENTRIES. RedisRefused; O(entries × log n)."""
    flat = [
        part
        for one in entries
        for part in (one.digest, one.body, *("" if score is None else score for score in (one.score, one.score_before)))
    ]
    reply = await ask(link, evalsha(APPEND_ENTRIES, [keys.meta(p), keys.log(p)], [progress, seq, epoch, *flat]))
    return int(reply[1]) if reply[0] == b"ok" else None


async def forget_progress(link: RedisConnection, p: int) -> None:
    """What was under way is done: the next comparison with the ledger opens the partition."""
    await ask(link, ("HDEL", keys.meta(p), fields.PROGRESS))
