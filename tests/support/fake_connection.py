"""A connection to a Redis of partitions that know which entries they saw, and no more; rounds fail as a test says."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from app.drivers.redis import Call
from app.drivers.store_contact import contact
from app.store import fields, keys


class SentCall(NamedTuple):
    """One call of the script. known: epoch, seq and digest of the last entry that the caller knows; resend_after: −1
    where it is sent for the first time; ids: its entries', in order."""

    partition: int
    epoch: str
    generations: str
    known: tuple[int, int, bytes]
    resend_after: int
    atomic: bool
    ids: list[bytes]


@dataclass
class Partition:
    """One partition. checked: the Redis that it was compared in; is_whole: whether that would find no loss. refusal:
    what the script answers instead of looking at entries; codes: by id, those of entries that do not count."""

    epoch: int = 1
    generations: str = "1"
    seq: int = 0
    is_open: bool = True
    checked: str = "here"
    closed: str | None = None
    is_whole: bool = True
    recovered: int = 0
    refusal: tuple[str, str] | Exception | None = None
    codes: dict[bytes, str] = field(default_factory=dict)
    seen: dict[bytes, int] = field(default_factory=dict)

    def head(self) -> list[bytes]:
        """What HGETALL answers."""
        oldest = fields.COMPLETE_SINCE + self.generations.rpartition(",")[2]
        values: dict[str, object] = {
            fields.EPOCH: self.epoch,
            fields.SEQ: self.seq,
            fields.GENERATIONS: self.generations,
            fields.CHECKED: self.checked,
            fields.RECOVERED: self.recovered,
            oldest: 0,
        }
        if self.closed is not None:
            values[fields.CLOSED] = self.closed
        return [str(part).encode() for pair in values.items() for part in pair] if self.is_open else []

    def apply(self, sent: SentCall) -> Any:
        """What the script answers: five values an entry."""
        if isinstance(self.refusal, Exception):
            return self.refusal
        refusal = self.refusal
        if sent.epoch != str(self.epoch):
            refusal = ("stale_epoch", str(self.epoch))
        elif sent.generations != self.generations:
            refusal = ("stale_generations", self.generations)
        elif sent.known[1] > self.seq:
            refusal = ("lost_tail", str(sent.known[1]))
        if refusal is not None:
            return [part.encode() for part in refusal]
        codes = [self.codes.get(entry_id, "applied") for entry_id in sent.ids]
        is_refused = sent.atomic and any(code not in ("applied", "duplicate", "quarantined") for code in codes)
        outcomes: list[Any] = [b"unapplied" if is_refused else b"ok"]
        for entry_id, code in zip(sent.ids, codes, strict=True):
            if entry_id in self.seen:
                # What is sent again and counted by that sending is told as it was.
                code = "applied" if -1 < sent.resend_after < self.seen[entry_id] else "duplicate"
            elif code in ("applied", "quarantined") and not is_refused:
                self.seq += 1
                self.seen[entry_id] = self.seq
            seq = self.seen.get(entry_id)
            outcomes += [code.encode(), None if seq is None else self.epoch, seq, seq, None]
        return outcomes


class Round(NamedTuple):
    """What befalls a round of scripts. seconds: until it is done; before, after: what is raised instead of doing it,
    and instead of its replies."""

    seconds: float = 0.0
    before: Exception | None = None
    after: Exception | None = None


async def no_renewal(_name: str) -> None:
    """Marks no partition."""


LOST = ConnectionError("connection lost")
REQUEST_LOST, REPLY_LOST = Round(before=LOST), Round(after=LOST)


class FakeConnection:
    """What a committer needs of a RedisConnection. `ids`: of all entries that may come.

    away: what every attempt to connect meets. rounds: what befalls the rounds of scripts to come, one after the other.
    """

    def __init__(self, ids: Iterable[bytes] = ()) -> None:
        self.ids = set(ids)
        self.partitions: dict[int, Partition] = {}
        self.connected = False
        self.contact = contact("Redis", "redis://here:1")
        self.away: Exception | None = None
        self.rounds: deque[Round] = deque()
        self.sent: list[list[SentCall]] = []
        self.connects = self.heads_read = self.times_read = 0

    def partition(self, p: int = 0) -> Partition:
        """One partition, made at its first use."""
        return self.partitions.setdefault(p, Partition())

    def calls(self) -> list[list[bytes]]:
        """The entries of each call that was sent."""
        return [call.ids for sent in self.sent for call in sent]

    async def connect(self) -> None:
        """Connects unless that is done."""
        if self.away is not None:
            raise self.away
        self.connects += not self.connected
        self.connected = True

    async def close(self) -> None:
        """Ends the connection."""
        self.connected = False

    def server_id(self, key: str) -> str:
        """The Redis whose marks are valid."""
        return "here"

    async def run(self, calls: Sequence[Call], timeout_s: float | None = None) -> list[Any]:
        """The replies, in order."""
        await self.connect()
        sent = [self._read(call) for call in calls if call[0] == "EVALSHA"]
        if sent:
            self.sent.append(sent)
        fate = self.rounds.popleft() if sent and self.rounds else Round()
        if fate.seconds:
            await asyncio.sleep(fate.seconds)
        self._raise(fate.before)
        replies = [self._reply(call) for call in calls]
        self._raise(fate.after)
        return replies

    def _raise(self, error: Exception | None) -> None:
        if error is not None:
            self.connected = False
            raise error

    def _reply(self, call: Call) -> Any:
        match call[0]:
            case "TIME":
                self.times_read += 1
                return [b"1800000000", b"0"]
            case "HSETNX":
                partition = self._at(call[1], keys.meta)
                partition.closed = partition.closed or str(call[3])
                return 1
            case "HGETALL":
                self.heads_read += 1
                return self._at(call[1], keys.meta).head()
            case _:
                sent = self._read(call)
                return self.partition(sent.partition).apply(sent)

    def _at(self, key: object, name: Callable[[int], str]) -> Partition:
        return next(self.partition(p) for p in range(16) if name(p) == key)

    def _read(self, call: Call) -> SentCall:
        count = int(call[2])
        names, args = call[3 : 3 + count], call[3 + count :]
        epoch, seq = map(int, str(args[2]).split("-"))
        digest = args[3]
        assert isinstance(digest, bytes)
        p = next(p for p in range(16) if keys.log(p) == names[0])
        ids = [part for part in args if isinstance(part, bytes) and part in self.ids]
        return SentCall(p, str(args[0]), str(args[1]), (epoch, seq, digest), int(args[4]), args[5] == 1, ids)


class FakeNodes:
    """What a committer needs of PartitionNodes. Every partition is at the node `""` until a test says otherwise."""

    def __init__(self, first: FakeConnection) -> None:
        self.links = {"": first}
        self.version = 0
        self.contact = first.contact
        self._names: dict[int, str] = {}
        self.doubts = 0

    def move(self, p: int, name: str) -> None:
        """A partition is at another node from now on, and everybody knows it."""
        self._names[p] = name
        self.version += 1

    def of(self, p: int) -> str:
        """The node of a partition."""
        return self._names.get(p, "")

    def link(self, name: str) -> FakeConnection:
        """The connection to a node."""
        return self.links[name]

    async def learn(self) -> None:
        """Nothing is in doubt."""

    def doubt(self) -> None:
        """A call was sent away, or the connection lost."""
        self.doubts += 1
