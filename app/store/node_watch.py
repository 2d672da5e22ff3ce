"""What the nodes of Redis lack: slots of a cluster that nobody holds, and replicas that `?ack=replica` needs."""

from collections.abc import Sequence

from ..drivers.redis import REDIS_ERRORS, NodeConnection, RedisConnection
from ..drivers.redis_topology import slot_of
from . import keys
from .replicas import CONNECTED_CALL, read_connected


class NodeWatch:
    """What a server last saw of it. replicas: how many must hold an entry for `?ack=replica`."""

    def __init__(self, replicas: int, partitions: int) -> None:
        self._replicas = replicas
        self._partitions = range(partitions)
        self._lines: list[str] = []

    @property
    def lines(self) -> list[str]:
        """One for each lack, by name."""
        return self._lines

    async def measure(self, redis: RedisConnection) -> None:
        """Looks at all nodes. ConnectionError where nobody tells them."""
        links = await redis.links()
        self._lines = [*slot_holes(redis, self._partitions), *await replica_lacks(redis, links, self._replicas)]


def slot_holes(redis: RedisConnection, partitions: Sequence[int]) -> list[str]:
    """A line for the slots of a cluster that no node holds, by its map, with the partitions in them."""
    holes = redis.holes()
    if not holes:
        return []
    slots = ", ".join(f"{first} to {last}" if first < last else str(first) for first, last in holes)
    inside = [p for p in partitions if any(first <= slot_of(keys.meta(p)) <= last for first, last in holes)]
    what = f"nothing is taken or shown of the partitions {inside}" if inside else "no partition is in them"
    return [f"no node of the cluster holds the slots {slots}: {what}; give them to a node (CLUSTER ADDSLOTSRANGE)"]


async def replica_lacks(redis: RedisConnection, links: Sequence[NodeConnection], replicas: int) -> list[str]:
    """A line for each node that has fewer replicas than `?ack=replica` waits for."""
    lines = []
    for name, link in zip(redis.names, links, strict=True):
        try:
            (reply,) = await link.run([CONNECTED_CALL])
        except REDIS_ERRORS:
            continue  # Other lines report its silence.
        count = read_connected(reply)
        if redis.is_alone and count == 0 and replicas == 1:
            continue  # The usual way to run one Redis; a request that asks for a replica gets a problem that says so.
        if count is not None and count < replicas:
            where = f"Redis at {name}" if name else "Redis"
            lines.append(
                f"{where} has {count} connected replicas: ?ack=replica needs {replicas} (LEADERBOARD_ACK_REPLICAS) "
                "and answers 503"
            )
    return lines
