"""The reader of a process: each call joins the next round of the node that has its keys."""

import asyncio
from collections.abc import Callable
from time import monotonic
from typing import Any

from ..drivers.redis import REDIS_ERRORS, Call, RedisConnection, is_elsewhere, unavailable
from ..loops import NamedLoops
from ..model.errors import StoreUnavailable
from .change_follower import ChangeFollower
from .changes import Changed
from .node_reader import WAIT_S_MAX, NodeReader
from .partitions import Renew

#: Seconds before a call is sent again that a node sent away: its partition is on its way to another one.
ELSEWHERE_PAUSE_S = 0.02


class ReadBatcher:
    """Hands calls to the readers of the nodes; `run` runs these. A node that is away fails its own calls only."""

    def __init__(self, redis: RedisConnection, renew_marks: Renew) -> None:
        self._redis = redis
        self._renew_marks = renew_marks
        self._changes = ChangeFollower()
        self._by_name: dict[str, NodeReader] = {}
        self._loops = NamedLoops()

    def subscribe_changes(self, listener: Callable[[int, Changed], None]) -> None:
        """Calls a listener with the changes of namespaces and keys, see ChangeFollower."""
        self._changes.subscribe(listener)

    def subscribe_profiles(self, listener: Callable[[int, tuple[str, ...] | None], None]) -> None:
        """Calls a listener with the changes of profiles, see ChangeFollower."""
        self._changes.subscribe_profiles(listener)

    async def call(self, call: Call, weight: int = 1) -> Any:
        """The reply within WAIT_S_MAX; an error reply is raised. weight: how many calls it counts as.

        StoreUnavailable if the node does not answer, Overloaded if too many calls wait for it, RateLimited if too many
        of them are this client's.
        """
        if not self._redis.has_map:
            await self._learn()
        reply = await self._at(call).call(call, weight)
        if is_elsewhere(reply):
            reply = await self._follow(call, weight, monotonic() + WAIT_S_MAX)
        if isinstance(reply, Exception):
            raise StoreUnavailable(f"Redis refuses a read: {reply}")
        return reply

    async def run(self) -> None:
        """Runs the readers of all nodes, for ever."""
        await self._loops.run()

    def reader(self, name: str) -> NodeReader:
        """The reader of a node."""
        reader = self._by_name.get(name)
        if reader is None:
            for former in self._by_name.keys() - set(self._redis.names):
                if self._by_name[former].is_idle:
                    self._loops.end(former)
                    del self._by_name[former]
            reader = self._by_name[name] = NodeReader(name, self._redis, self._changes, self._renew_marks)
            self._loops.begin(name, reader.run)
        return reader

    def _at(self, call: Call) -> NodeReader:
        """The reader of the node that has the keys of a call; of a call without keys, of one that answers."""
        name = self._redis.node_of(call)
        if name is not None:
            return self.reader(name)
        readers = [self.reader(name) for name in self._redis.names]
        return next((reader for reader in readers if not reader.is_silent), readers[0])

    async def _learn(self) -> None:
        try:
            await self._redis.learn()
        except REDIS_ERRORS as error:
            raise unavailable(error, self._redis.contact) from error

    async def _follow(self, call: Call, weight: int, until: float) -> Any:
        """The reply of the node to which a partition is on its way."""
        while True:
            self._redis.doubt()
            await asyncio.sleep(ELSEWHERE_PAUSE_S)
            await self._learn()
            reply = await self._at(call).call(call, weight)
            if not is_elsewhere(reply) or monotonic() >= until:
                return reply
