"""Which node of Redis holds which partition, as far as this process knows."""

from ..drivers.redis import NodeConnection, RedisConnection
from ..drivers.store_contact import StoreContact
from . import keys


class PartitionNodes:
    """The nodes behind one connection, by partition. Between two changes of the map each look-up is one of a table."""

    def __init__(self, redis: RedisConnection) -> None:
        self._redis = redis
        self._version = redis.version
        self._names: dict[int, str] = {}

    @property
    def version(self) -> int:
        """Rises with each change of the map."""
        return self._redis.version

    @property
    def contact(self) -> StoreContact:
        """What this process knows of the answers of Redis as a whole."""
        return self._redis.contact

    @property
    def are_several(self) -> bool:
        """Whether there may be several nodes."""
        return self._redis.is_cluster

    def of(self, p: int) -> str:
        """The name of the node that holds a partition, UNKNOWN before it is known. O(1)."""
        if self._version != self._redis.version:
            self._version = self._redis.version
            self._names.clear()
        name = self._names.get(p)
        if name is None:
            name = self._names[p] = self._redis.node(keys.meta(p))
        return name

    def link(self, name: str) -> NodeConnection:
        """The connection to a node."""
        return self._redis.link(name)

    async def learn(self) -> None:
        """Learns the map where it is in doubt. ConnectionError where nobody tells it."""
        await self._redis.learn()

    def doubt(self) -> None:
        """A node was lost, or sent a call away."""
        self._redis.doubt()
