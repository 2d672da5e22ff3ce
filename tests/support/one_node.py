"""What the readers of a process need of a RedisConnection, where a test plays its one node."""

from typing import Any


class OneNode:
    """A Redis of one node. link: what answers its calls; it has a contact."""

    names = ("",)
    version = 0
    has_map = True
    is_cluster = False

    def __init__(self, link: Any) -> None:
        self._link = link
        self.contact = link.contact

    def node(self, key: str) -> str:
        """The node that holds a key."""
        return ""

    def node_of(self, call: Any) -> str:
        """The node that has the keys of a call."""
        return ""

    def link(self, name: str) -> Any:
        """The connection to it."""
        return self._link

    async def learn(self) -> None:
        """There is nothing to learn."""

    def doubt(self) -> None:
        """There is nothing to learn."""
