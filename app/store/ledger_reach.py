"""Whether Redis has everything that the ledger has, and the ledger everything that Redis has let go of: by the ends of
both, a partition at a time."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NamedTuple

import asyncpg

from ..drivers.redis import RedisLink
from . import fields, keys
from .log import begin_call, digest_in, entry_call
from .log_format import parse_place
from .partitions import LEDGER_BEHIND
from .state_history import StateNote

#: Why a partition cannot be compared whose node was left out.
AWAY = "its node of Redis does not answer"
#: How the progress of `rebuild --from-redis` begins; the first and the last seq that the ledger lost follow.
FROM_REDIS = "from-redis"
_HEAD = (fields.EPOCH, fields.SEQ, fields.FLUSHED, fields.CHECKED, fields.CLOSED, fields.STATE_VERSION, fields.PROGRESS)


class PartitionReach(NamedTuple):
    """One partition as Redis has it. epoch, seq: of its latest entry; 0 where the head is lost. checked, closed: its
    marks; None where there is none. state: which changes of the deployment's state are published in it. loss: why it
    cannot be trusted; None: it can."""

    partition: int
    epoch: int
    seq: int
    checked: str | None
    closed: str | None
    state: StateNote
    loss: str | None

    @property
    def command(self) -> str:
        """The command that brings back what Redis lost: all of the partition, or what changed since."""
        return "recover" if self.epoch else "rebuild"

    @property
    def reason(self) -> str | None:
        """Why it has to be closed, and the command that opens it; None: it has everything."""
        if self.loss is None or self.is_away or self.loss.startswith(LEDGER_BEHIND):
            return self.loss
        return f"{self.loss}: run leaderboard {self.command} --partition {self.partition}"

    @property
    def is_away(self) -> bool:
        """Whether nothing is known of it."""
        return self.loss == AWAY

    @property
    def is_whole(self) -> bool:
        """Whether nothing speaks against using it but that it may bear no mark; so one does that an older Postgres had
        closed."""
        return self.loss is None and (self.closed is None or self.closed.startswith(LEDGER_BEHIND))


async def look_twice(
    link: RedisLink, read_offsets: Callable[[], Awaitable[Sequence[asyncpg.Record]]]
) -> list[PartitionReach]:
    """As `read_reach`. What looks like a loss is compared once more with the ledger's offsets of then: the ledger may
    have taken a partition's first entries between the two looks."""
    reaches = await read_reach(link, await read_offsets())
    if all(reach.loss is None for reach in reaches):
        return reaches
    later = {reach.partition: reach for reach in await read_reach(link, await read_offsets())}
    return [reach if reach.loss is None else later.get(reach.partition, reach) for reach in reaches]


async def read_reach(link: RedisLink, offsets: Sequence[asyncpg.Record]) -> list[PartitionReach]:
    """Partitions as Redis has them, compared with the ledger's offsets, in order, by one round trip. One that the link
    leaves out is away. O(log n) each."""
    calls: list[Any] = []
    for offset in offsets:
        p = offset["partition"]
        place = entry_call(p, epoch=offset["epoch"], seq=offset["seq"])
        calls += [("HMGET", keys.meta(p), *_HEAD), place, begin_call(p)]
    replies = await link.run(calls) if calls else []
    return [_reach(*answer) for answer in zip(offsets, replies[::3], replies[1::3], replies[2::3], strict=True)]


def _reach(offset: asyncpg.Record, head: Any, entries: Any, begin: Any) -> PartitionReach:
    p = offset["partition"]
    if head is None:
        return PartitionReach(p, 0, 0, None, None, StateNote(0), AWAY)
    if isinstance(head, Exception):
        return PartitionReach(p, 0, 0, None, None, StateNote(0), f"Redis refuses {keys.meta(p)}: {head}")
    epoch, seq, flushed, checked, closed, state, progress = (
        None if value is None else value.decode() for value in head
    )
    try:
        place = int(epoch or 0), int(seq or 0)
        loss: str | None = f"Redis lost its head, {keys.meta(p)}"
        if epoch and seq:
            loss = recording_loss(progress, p) or _loss(offset, place, flushed or "0-0", entries, begin)
        return PartitionReach(p, *place, checked, closed, StateNote.parse(state), loss)
    except ValueError:
        return PartitionReach(
            p, 0, 0, checked, closed, StateNote(0), f"{keys.meta(p)}: a field is not what it should be"
        )


def recording_loss(progress: str | None, p: int) -> str | None:
    """What the ledger lacks of a partition that `rebuild --from-redis` has begun to record; None for any other one."""
    if progress is None or not progress.startswith(FROM_REDIS):
        return None
    _, first, last = progress.split()
    return (
        f"{LEDGER_BEHIND}: {_missing(int(first), int(last))}, and a command records what Redis has; if none "
        f"runs, run leaderboard rebuild --from-redis --partition {p} again"
    )


def _missing(first: int, last: int) -> str:
    """What no log holds: entries from one seq to another, or none but the one before them, which shows that log and
    ledger belong together."""
    if last < first:
        return f"Postgres lost rows, and the log no longer holds the ledger's last one, seq {last}"
    return f"Postgres lost rows, of which {last - first + 1:,} are in no log, seq {first} to {last}"


def _loss(offset: asyncpg.Record, place: tuple[int, int], flushed: str, entries: Any, begin: Any) -> str | None:
    """What a partition in Redis lacks of the ledger, or the ledger of it. The log always keeps the ledger's last
    entry. begin: its oldest one."""
    epoch, seq = offset["epoch"], offset["seq"]
    end = f"{epoch}-{seq}"
    if place[0] < epoch or place[1] < seq:
        return f"Redis ends at {place[0]}-{place[1]}, the ledger at {end}: Redis lost entries"
    if isinstance(entries, Exception):
        return f"Redis refuses {keys.log(offset['partition'])}: {entries}"
    is_there = digest_in(entries) == bytes(offset["digest"])
    first = parse_place(begin[0][0])[1] if begin else 0
    if is_there or (seq == 0 and (flushed.endswith("-0") or first == 1)):
        return None
    if not entries and int(flushed.partition("-")[2]) > seq:
        last = first - 1 if begin else int(flushed.partition("-")[2])
        return (
            f"{LEDGER_BEHIND}: the ledger ends at {end} and held all up to {flushed} before: "
            f"{_missing(seq + 1, last)}: run leaderboard rebuild --from-redis --partition {offset['partition']}"
        )
    why = "one of the two lost entries, or is another deployment's"
    return f"its log in Redis does not hold {end} as the ledger does: {why}"
