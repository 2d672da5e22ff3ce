"""A Valkey Cluster and a primary that Sentinels watch: processes on free ports of loopback."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, cast

from redis import Redis, RedisCluster
from redis.exceptions import RedisError

from app.drivers.redis_topology import SLOTS, slot_of
from app.embedded import ValkeyProcess, free_port
from app.embedded.child import Child
from app.model.redis_url import Topology, parse_redis_url
from app.store import keys

#: Milliseconds after which a silent master counts as failed: a failover takes this and about a second more.
NODE_TIMEOUT_MS = 1_000
#: The same where no failover is meant: a busy machine keeps a node from answering for seconds.
PATIENCE_MS = 15_000
#: The environment variable that names on which Redis a run of the tests has its systems: `cluster`, `sentinel`.
TOPOLOGY = "TEST_REDIS"
#: Seconds in which a cluster must come together, or a replica be promoted.
AGREE_S_MAX = 30.0


def wait_until(is_so: Callable[[], Any], what: str) -> None:
    """Waits until it is so; an error of Redis is a no."""
    deadline = time.monotonic() + AGREE_S_MAX
    while True:
        try:
            if is_so():
                return
        except RedisError:
            pass
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


def ask(port: int, *call: str | int) -> Any:
    """The reply to one call on a connection of its own."""
    with Redis(port=port, socket_timeout=5, decode_responses=True, protocol=2) as link:
        # Replies as they come, without redis-py's own reading of them.
        link.response_callbacks.clear()
        return link.execute_command(*call)


def topology() -> str:
    """On which Redis of several nodes this run has its systems; "": on a single one."""
    return os.environ.get(TOPOLOGY, "")


def topology_of_run(folder: Path) -> ValkeyCluster | WatchedValkey | None:
    """The nodes for a system of this run, not started; None: one Valkey."""
    return KINDS[topology()](folder)


def open_store(url: str, *, decode_responses: bool = False) -> Redis:
    """A connection to the Redis that a URL names, whatever it is made of. A cluster's has the same methods."""
    parts = parse_redis_url(url)
    if parts.topology is Topology.CLUSTER:
        host = parts.hosts[0]
        return cast(Redis, ClusterStore(host.name, host.port, decode_responses=decode_responses))
    if parts.topology is Topology.SENTINEL:
        _, port = ask(parts.hosts[0].port, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", parts.service)
        return Redis(port=int(port), decode_responses=decode_responses)
    return Redis.from_url(url, decode_responses=decode_responses)


class ClusterStore(RedisCluster):
    """Looks for keys at all masters, also where a pattern looks like one slot's."""

    def keys(self, pattern: Any = "*", **kwargs: Any) -> Any:
        return super().keys(pattern, target_nodes=RedisCluster.PRIMARIES, **kwargs)


class ValkeyCluster:
    """Masters with a replica each, or none. Master i is `nodes[i]`, its replica `nodes[i + masters]`."""

    def __init__(
        self,
        folder: Path,
        masters: int = 3,
        replicas: bool = True,
        timeout_ms: int = NODE_TIMEOUT_MS,
    ) -> None:
        self.masters = masters
        self._followed = range(masters) if replicas else ()
        count = masters + len(self._followed)
        self.nodes = [
            ValkeyProcess(
                folder / f"node{i}",
                free_port(),
                options={
                    "cluster-enabled": "yes",
                    "cluster-port": str(free_port()),
                    "cluster-node-timeout": str(timeout_ms),
                    "cluster-require-full-coverage": "no",
                    "cluster-replica-validity-factor": "0",
                    "repl-diskless-sync-delay": "0",
                },
            )
            for i in range(count)
        ]

    @property
    def url(self) -> str:
        """What LEADERBOARD_REDIS_URL names."""
        return "redis+cluster://" + ",".join(f"127.0.0.1:{node.port}" for node in self.nodes)

    def start(self) -> ValkeyCluster:
        """Starts the nodes, gives each master its share of the slots, and waits until all agree."""
        for node in self.nodes:
            node.start()
        for i, node in enumerate(self.nodes[: self.masters]):
            first, end = SLOTS * i // self.masters, SLOTS * (i + 1) // self.masters
            ask(node.port, "CLUSTER", "ADDSLOTSRANGE", first, end - 1)
            ask(node.port, "CLUSTER", "SET-CONFIG-EPOCH", i + 1)
        first_node, *others = self.nodes
        for node in others:
            ask(first_node.port, "CLUSTER", "MEET", "127.0.0.1", node.port, self._bus_port(node))
        wait_until(lambda: all(self._knows_all(node) for node in self.nodes), "the nodes do not meet")
        for i, node in zip(self._followed, self.nodes[self.masters :], strict=True):
            master = ask(self.nodes[i].port, "CLUSTER", "MYID")
            self._follow(node, master)
        self.wait_ready()
        return self

    def wait_ready(self) -> None:
        """Waits until all slots are served and each replica that runs is in step."""
        wait_until(lambda: all(map(self._is_ready, self._running())), "the cluster is not ready")

    def owner(self, p: int) -> ValkeyProcess:
        """The node that holds a partition, as the nodes that run say."""
        return self.owner_of(keys.meta(p))

    def owner_of(self, key: str) -> ValkeyProcess:
        """The node that holds a key."""
        node, slot = self._running()[0], slot_of(key)
        for first, last, (_, port, *_), *_ in ask(node.port, "CLUSTER", "SLOTS"):
            if first <= slot <= last:
                return next(node for node in self.nodes if node.port == port)
        raise AssertionError(f"nobody holds {key}")

    def partitions_of(self, node: ValkeyProcess, partitions: int) -> list[int]:
        """The partitions that a node holds."""
        return [p for p in range(partitions) if self.owner(p) is node]

    def wait_failover(self, p: int, dead: ValkeyProcess) -> None:
        """Waits until another node holds a partition."""
        wait_until(lambda: self.owner(p) is not dead, "no replica was promoted")

    def move(self, p: int, target: ValkeyProcess) -> None:
        """Moves a partition's slot to another master, in one step (Valkey 9)."""
        slot, id_ = slot_of(keys.meta(p)), ask(target.port, "CLUSTER", "MYID")
        ask(self.owner(p).port, "CLUSTER", "MIGRATESLOTS", "SLOTSRANGE", slot, slot, "NODE", id_)
        wait_until(lambda: self.owner(p) is target, "the slot does not move")

    def stop(self) -> None:
        """Ends the nodes."""
        for node in self.nodes:
            node.kill()

    @staticmethod
    def _follow(replica: ValkeyProcess, master: str) -> None:
        wait_until(lambda: ask(replica.port, "CLUSTER", "REPLICATE", master) == "OK", "no replica")

    def _running(self) -> Sequence[ValkeyProcess]:
        return [node for node in self.nodes if node.is_ready()]

    def _knows_all(self, node: ValkeyProcess) -> bool:
        return f"cluster_known_nodes:{len(self.nodes)}" in str(ask(node.port, "CLUSTER", "INFO"))

    @staticmethod
    def _is_ready(node: ValkeyProcess) -> bool:
        is_ok = "cluster_state:ok" in str(ask(node.port, "CLUSTER", "INFO"))
        role = ask(node.port, "ROLE")
        return is_ok and (role[0] == "master" or role[3] == "connected")

    @staticmethod
    def _bus_port(node: ValkeyProcess) -> str:
        command = node.command()
        return command[command.index("--cluster-port") + 1]


class Sentinel(ValkeyProcess):
    """A Sentinel that watches one primary under the name `main`."""

    def __init__(self, folder: Path, primary: ValkeyProcess, timeout_ms: int) -> None:
        super().__init__(folder, free_port())
        self._primary = primary
        self._timeout_ms = timeout_ms

    def preparation(self) -> Iterator[Child]:
        """Its settings stand in a file: it keeps what it knows there."""
        super().preparation()
        lines = (
            f"port {self.port}",
            "bind 127.0.0.1",
            f"dir {self.data}",
            f"sentinel monitor main 127.0.0.1 {self._primary.port} 2",
            f"sentinel down-after-milliseconds main {self._timeout_ms}",
            f"sentinel failover-timeout main {4 * self._timeout_ms}",
        )
        (self.data / "sentinel.conf").write_text("\n".join(lines) + "\n")
        return iter(())

    def command(self) -> Sequence[str]:
        """The same binary, in another role."""
        return (super().command()[0], str(self.data / "sentinel.conf"), "--sentinel")

    def is_ready(self) -> bool:
        """Whether it answers PING."""
        try:
            return self.returncode is None and ask(self.port, "PING") in ("PONG", True)
        except RedisError:
            return False


class WatchedValkey:
    """A primary and a replica, and three Sentinels: two of them agree on a failover."""

    def __init__(self, folder: Path, timeout_ms: int = NODE_TIMEOUT_MS) -> None:
        self._first = ValkeyProcess(folder / "first", free_port())
        options = {"replicaof": f"127.0.0.1 {self._first.port}", "repl-diskless-sync-delay": "0"}
        self._second = ValkeyProcess(folder / "second", free_port(), options=options)
        self._sentinels = [Sentinel(folder / f"sentinel{i}", self._first, timeout_ms) for i in range(3)]

    @property
    def url(self) -> str:
        """What LEADERBOARD_REDIS_URL names."""
        return "redis+sentinel://" + ",".join(f"127.0.0.1:{one.port}" for one in self._sentinels) + "/main"

    @property
    def nodes(self) -> list[ValkeyProcess]:
        """The primary and its replica, in any order."""
        return [self._first, self._second]

    @property
    def sentinels(self) -> list[Sentinel]:
        """Those who watch them."""
        return list(self._sentinels)

    def fail_over(self) -> None:
        """Has the Sentinels promote the replica, though the primary is well."""
        ask(self._sentinels[0].port, "SENTINEL", "FAILOVER", "main")

    def start(self) -> WatchedValkey:
        """Starts all of them, and waits until the Sentinels know each other and the replica."""
        for process in (self._first, self._second, *self._sentinels):
            process.start()
        self.wait_copied()
        wait_until(lambda: all(map(self._is_ready, self._sentinels)), "the Sentinels do not meet")
        return self

    def primary(self) -> ValkeyProcess:
        """The primary, as a Sentinel says."""
        _, port = ask(self._sentinels[0].port, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", "main")
        return self._first if int(port) == self._first.port else self._second

    def wait_copied(self) -> None:
        """Waits until a replica has all that the primary has."""
        wait_until(self._is_copied, "the replica is not in step")

    def wait_failover(self, dead: ValkeyProcess) -> None:
        """Waits until another one is the primary."""
        wait_until(
            lambda: self.primary() is not dead and ask(self.primary().port, "ROLE")[0] == "master", "no failover"
        )

    def wait_followed(self) -> None:
        """Waits until both run and one follows the other."""
        wait_until(lambda: {self._role(self._first), self._role(self._second)} == {"master", "slave"}, "two primaries")

    def wait_linked(self) -> None:
        """Waits until one follows the other and is in step, but for what comes now."""
        nodes = (self._first, self._second)
        wait_until(lambda: any(ask(node.port, "ROLE")[3:4] == ["connected"] for node in nodes), "no replica")

    def stop(self) -> None:
        """Ends all of them."""
        for process in (*self._sentinels, self._second, self._first):
            process.kill()

    def _is_copied(self) -> bool:
        role, offset, replicas = ask(self.primary().port, "ROLE")
        return role == "master" and any(int(replica[2]) >= int(offset) for replica in replicas)

    @staticmethod
    def _role(node: ValkeyProcess) -> str:
        return str(ask(node.port, "ROLE")[0])

    @staticmethod
    def _is_ready(sentinel: Sentinel) -> bool:
        state = ask(sentinel.port, "SENTINEL", "MASTER", "main")
        values = dict(zip(state[::2], state[1::2], strict=True))
        return (values["num-slaves"], values["num-other-sentinels"]) == ("1", "2")


#: By the value of TOPOLOGY, the nodes for a system.
KINDS: dict[str, Callable[[Path], ValkeyCluster | WatchedValkey | None]] = {
    "": lambda _: None,
    "cluster": lambda folder: ValkeyCluster(folder, timeout_ms=PATIENCE_MS),
    "sentinel": lambda folder: WatchedValkey(folder, PATIENCE_MS),
}
