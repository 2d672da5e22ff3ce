"""A deployment whose parts reach the stores through links that can be cut; clients and replicas do not."""

from __future__ import annotations

import re
from contextlib import ExitStack
from typing import Any

from tests.conftest import Stack
from tests.support.redis_topologies import ValkeyCluster, WatchedValkey
from tests.support.tcp_proxy import TcpProxy


class LinkedStack(Stack):
    """A stack whose own processes reach Postgres through a link, and Redis, unless it is a cluster. links: by the
    store's port; behind Sentinels each of them has one, too, which tells the links to the nodes in place of these."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.links: dict[int, TcpProxy] = {}

    def link(self, ends: ExitStack) -> None:
        """Makes the links, until the end."""
        nodes = [self.valkey]
        if isinstance(self.redis, ValkeyCluster):
            nodes = []
        elif isinstance(self.redis, WatchedValkey):
            nodes = self.redis.nodes
        for node in nodes:
            self.links[node.port] = ends.enter_context(TcpProxy(node.port))
        if isinstance(self.redis, WatchedValkey):
            ports = {_as_reply(port): _as_reply(link.port) for port, link in self.links.items()}
            for sentinel in self.redis.sentinels:
                self.links[sentinel.port] = ends.enter_context(TcpProxy(sentinel.port, ports))
        self.links[self.postgres.port] = ends.enter_context(TcpProxy(self.postgres.port))

    @property
    def environment(self) -> dict[str, str]:
        """With the ports of the links."""
        environment = super().environment
        for name in ("LEADERBOARD_REDIS_URL", "LEADERBOARD_POSTGRES_URL"):
            environment[name] = re.sub(r"(?<=:)\d+(?=[,/])", self._link_port, environment[name])
        return environment

    def _link_port(self, port: re.Match[str]) -> str:
        link = self.links.get(int(port[0]))
        return port[0] if link is None else str(link.port)


def _as_reply(port: int) -> bytes:
    """A port as Sentinels tell it."""
    return b"$%d\r\n%d\r\n" % (len(str(port)), port)
