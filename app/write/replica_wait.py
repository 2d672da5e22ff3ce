"""Waits until replicas of Redis hold what counted. One WAIT serves all that wait at a node.

WAIT covers what its own connection wrote before. So each round writes the seq of its partitions again, as it is. That
write is behind every entry that counted so far, also one of another server or of a lost connection, and so is the WAIT.
The round has a connection of its own: grants of others do not wait for it.
"""

import asyncio
from dataclasses import dataclass
from time import monotonic

from ..drivers.redis import REDIS_ERRORS, unavailable
from ..model.errors import StoreUnavailable
from ..model.text import count_text
from ..store.apply import CallRefused
from ..store.nodes import PartitionNodes
from ..store.replicas import (
    CONNECTED_CALL,
    ReplicaNeed,
    read_connected,
    read_count,
    read_place,
    rewrite_seq_call,
    wait_calls,
)

#: Seconds of the first wait of a round. A replica acknowledges within some ms; one that needs longer may be away, which
#: is found out next.
FIRST_WAIT_S = 0.05
#: Seconds of each further wait. Who waits has a deadline, and others begin their round after this one.
NEXT_WAIT_S = 0.25
#: Seconds between two attempts to reach a Redis that is away or has moved.
RETRY_PAUSE_S = 0.05


@dataclass(slots=True)
class _Waiter:
    """One request's entries of one partition. epoch: of the partition when it answered for them; seq: the last one's;
    until: on the clock of `monotonic`; cause: why it waits so long."""

    partition: int
    epoch: int
    seq: int
    until: float
    done: asyncio.Future[None]
    cause: str = ""

    def fail(self, cause: str) -> None:
        if not self.done.done():
            self.done.set_exception(StoreUnavailable(cause))


class ReplicaWait:
    """The waits of a process. There is a task for a node as long as somebody waits there."""

    def __init__(self, nodes: PartitionNodes, need: ReplicaNeed) -> None:
        self._nodes = nodes
        self._need = need
        self._waiting: dict[str, list[_Waiter]] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def wait(self, p: int, place: tuple[int, int], until: float) -> None:
        """Returns once enough replicas hold a partition up to a place: its epoch, and a seq. until: as `monotonic`
        counts. StoreUnavailable, with the cause, if they do not by then, or if Redis is in another epoch: it may have
        lost the entries."""
        waiter = _Waiter(p, *place, until, asyncio.get_running_loop().create_future())
        self._join(waiter)
        try:
            async with asyncio.timeout(max(0.0, until - monotonic())):
                await waiter.done
        except TimeoutError:
            raise StoreUnavailable(waiter.cause or self._nodes.contact.silence) from None

    def _join(self, waiter: _Waiter) -> None:
        name = self._nodes.of(waiter.partition)
        self._waiting.setdefault(name, []).append(waiter)
        if name not in self._tasks:
            self._tasks[name] = asyncio.create_task(self._run(name))

    async def _run(self, name: str) -> None:
        waiters: list[_Waiter] = []
        try:
            while waiters := [waiter for waiter in self._waiting.pop(name, []) if not waiter.done.done()]:
                try:
                    await self._round(name, waiters)
                except REDIS_ERRORS as error:
                    await self._lost(name, waiters, error)
        finally:
            del self._tasks[name]
            for waiter in (*waiters, *self._waiting.pop(name, [])):
                waiter.fail("the server could not ask Redis")

    async def _lost(self, name: str, waiters: list[_Waiter], error: Exception) -> None:
        """They wait on: the next round is behind their entries, too."""
        self._nodes.doubt()
        await self._nodes.link(name).close()
        for waiter in waiters:
            if not waiter.done.done():
                waiter.cause = unavailable(error, self._nodes.contact).detail
        await asyncio.sleep(RETRY_PAUSE_S)
        await self._learn()
        for waiter in waiters:
            if not waiter.done.done():
                self._join(waiter)

    async def _learn(self) -> None:
        try:
            await self._nodes.learn()
        except REDIS_ERRORS:
            pass  # the next round meets it again

    async def _round(self, name: str, waiters: list[_Waiter]) -> None:
        await self._nodes.learn()
        link = self._nodes.link(name)
        partitions = sorted({waiter.partition for waiter in waiters})
        replies = await link.run([*map(rewrite_seq_call, partitions), *wait_calls(self._need, FIRST_WAIT_S)])
        heads, waits = replies[: len(partitions)], replies[len(partitions) :]
        for p, head in zip(partitions, heads, strict=True):
            _check_head(head, [waiter for waiter in waiters if waiter.partition == p])
        try:
            count = read_count(waits)
            while count < self._need.replicas and (late := self._late(waiters, count)):
                info, *waits = await link.run([CONNECTED_CALL, *wait_calls(self._need, NEXT_WAIT_S)])
                count = read_count(waits)
                connected = read_connected(info)
                if connected is not None and connected < self._need.replicas > count:
                    for waiter in late:
                        waiter.fail(
                            f"Redis has {count_text(connected, 'replica')}, and {self._need.replicas} must hold it"
                        )
        except CallRefused as refusal:
            for waiter in waiters:
                waiter.fail(f"Redis refuses to wait for its replicas: {refusal.detail}")
        for waiter in waiters:
            if not waiter.done.done():
                waiter.done.set_result(None)

    def _late(self, waiters: list[_Waiter], count: int) -> list[_Waiter]:
        """Those who wait on for a round that `count` replicas hold so far."""
        late = [waiter for waiter in waiters if not waiter.done.done()]
        for waiter in late:
            waiter.cause = f"{count} of {count_text(self._need.replicas, 'replica')} of Redis acknowledged it in time"
        return late


def _check_head(reply: object, waiters: list[_Waiter]) -> None:
    """Fails those whose entries the partition may lack, because it is not the one that answered for them."""
    try:
        epoch, seq = read_place(reply)
    except CallRefused as refusal:
        for waiter in waiters:
            waiter.fail(f"partition {waiter.partition}: {refusal}")
        return
    for waiter in waiters:
        if epoch != waiter.epoch or seq < waiter.seq:
            waiter.fail(
                f"partition {waiter.partition} stands at {epoch}-{seq}, and it counted at {waiter.epoch}-{waiter.seq}"
            )
