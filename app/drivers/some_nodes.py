"""Calls that go to some nodes and not to others: what one node has to do, and what those have that answer."""

from collections.abc import Sequence
from typing import Any

from .redis import Call, RedisConnection, is_elsewhere, is_loss


class NodeLink:
    """A link that sends one node what it holds the keys of. Other calls are left out, and None stands for their
    replies."""

    def __init__(self, redis: RedisConnection, name: str) -> None:
        self._redis = redis
        self._link = redis.link(name)
        self._name = name

    @property
    def is_cluster(self) -> bool:
        """Whether there may be other nodes."""
        return self._redis.is_cluster

    def has(self, key: str) -> bool:
        """Whether the node holds a key, as far as is known. O(1)."""
        return self._redis.node(key) == self._name

    def server_id(self, key: str) -> str:
        """Which Redis answers, see NodeConnection."""
        return self._link.server_id(key)

    async def run(self, calls: Sequence[Call], timeout_s: float | None = None) -> list[Any]:
        """The replies, in order. ConnectionError where a key has moved to another node."""
        numbers = [i for i, call in enumerate(calls) if self._redis.node_of(call) in (self._name, None)]
        replies: list[Any] = [None] * len(calls)
        answers = await self._link.run([calls[i] for i in numbers], timeout_s) if numbers else []
        for i, reply in zip(numbers, answers, strict=True):
            if is_elsewhere(reply):
                self._redis.doubt()
                raise ConnectionError(str(reply))
            replies[i] = reply
        return replies

    async def close(self) -> None:
        """Ends the connection; the next call makes another one."""
        await self._link.close()


class PresentNodes:
    """A link to the nodes that answer. None stands for the replies of the others.

    lost: the names of nodes that did not answer some call.
    """

    def __init__(self, redis: RedisConnection) -> None:
        self._redis = redis
        self.lost: set[str] = set()

    def server_id(self, key: str) -> str:
        """Which Redis answers for a key, see NodeConnection."""
        return self._redis.server_id(key)

    def lacks(self, key: str) -> bool:
        """Whether the node that holds a key did not answer. O(1)."""
        return self._redis.node(key) in self.lost

    async def run(self, calls: Sequence[Call], timeout_s: float | None = None) -> list[Any]:
        """The replies, in order. What a single Redis raises."""
        replies = await self._redis.run_apart(calls, timeout_s)
        for i, reply in enumerate(replies):
            if is_loss(reply):
                self.lost.add(self._redis.node_of(calls[i]) or "")
                replies[i] = None
        return replies

    async def close(self) -> None:
        """Ends the connections; the next call makes others."""
        await self._redis.close()
