"""Which node of Redis holds which slot: one node for all, the one that Sentinels call the primary, or a cluster's map.

The three differ in how they are learned, and in nothing else.
"""

import asyncio
from binascii import crc_hqx
from collections.abc import Sequence
from time import monotonic
from typing import Any

import structlog

from ..model.redis_url import Host, RedisUrl, Topology, parse_redis_url
from ..task_end import end_all
from .primary_watch import PrimaryWatch
from .redis_node import Call, NodeConnection, RedisLink, RedisRefused
from .store_contact import StoreContact, contact

log = structlog.get_logger()

#: Slots of a cluster: part of its protocol.
SLOTS = 16_384
#: Seconds in which a node or a Sentinel tells what it knows; one that does not is away.
ANSWER_S_MAX = 1.0
#: Seconds for which the answers of others are waited for behind the first one: the latest map of all is taken.
LATER_ANSWERS_S_MAX = 0.1
#: Seconds between two questions for the map: while a failover lasts, every call that fails asks for it.
LEARN_PAUSE_S = 0.1
#: The node of slots whose node is not known.
UNKNOWN = ""


def slot_of(key: bytes | str) -> int:
    """The slot of a key: that of its hash tag, if it has one. O(its length)."""
    raw = key.encode() if isinstance(key, str) else key
    start = raw.find(b"{")
    if start >= 0:
        end = raw.find(b"}", start + 1)
        if end > start + 1:
            raw = raw[start + 1 : end]
    return crc_hqx(raw, 0) % SLOTS


class NodeMap:
    """The nodes of one Redis by name, as this process knows them. version: rises with each change."""

    def __init__(self, url: RedisUrl) -> None:
        self._url = url
        self.version = 0
        self._hosts: dict[str, Host] = {}
        self._slots: list[str] = [UNKNOWN] * SLOTS
        self._learned_s = 0.0
        self._is_in_doubt = url.topology is Topology.CLUSTER
        self._learning: asyncio.Task[None] | None = None
        is_single, is_watched = url.topology is Topology.SINGLE, url.topology is Topology.SENTINEL
        #: What watches the links that follow this map; a single node has no other one in its place.
        self.watch = None if is_single else PrimaryWatch(self._read_primaries, asks_always=is_watched)

    @classmethod
    def of_url(cls, url: str) -> "NodeMap":
        """The map of the Redis that a URL names, which several connections may share. ValueError."""
        return cls(parse_redis_url(url))

    @property
    def names(self) -> tuple[str, ...]:
        """The nodes that hold slots. Without a map: the one whose address is looked up for each connection."""
        return tuple(self._hosts) or (UNKNOWN,)

    def of_key(self, key: bytes | str) -> str:
        """The node that holds a key; UNKNOWN before a cluster has told its map."""
        return self._slots[slot_of(key)] if self._hosts else UNKNOWN

    def holes(self) -> list[tuple[int, int]]:
        """The first and the last of each row of slots that no node holds; none before a cluster has told its map."""
        if not self._hosts:
            return []
        rows: list[tuple[int, int]] = []
        for slot, name in enumerate(self._slots):
            if name == UNKNOWN:
                first = rows.pop()[0] if rows and rows[-1][1] == slot - 1 else slot
                rows.append((first, slot))
        return rows

    def contact(self, name: str) -> StoreContact:
        """What this process knows of a node's answers."""
        return contact("Redis", self._url.node_url(self._hosts[name]) if name else self._url.text)

    def doubt(self) -> None:
        """A node was lost, or sent a call away: the map is learned anew before it is used again."""
        self._is_in_doubt = self._url.topology is Topology.CLUSTER

    async def learn(self) -> None:
        """Learns the map where it is in doubt. ConnectionError where no node tells it and none was known before."""
        if self._is_in_doubt:
            await self._learn_soon()

    async def _learn_soon(self) -> None:
        """Learns the map, unless that was just done. All who want to know it meanwhile share one answer."""
        if self._hosts and monotonic() - self._learned_s < LEARN_PAUSE_S:
            return
        if self._learning is None or self._learning.done():
            self._learning = asyncio.create_task(self._learn())
        await asyncio.shield(self._learning)

    async def locate(self, name: str) -> str:
        """The URL at which a node is reached now. ConnectionError where nobody tells it."""
        if self._url.topology is Topology.SINGLE:
            return self._url.text
        if self._url.topology is Topology.SENTINEL:
            return self._url.node_url(await _primary(self._url))
        await self.learn()
        if name not in self._hosts:
            raise ConnectionError(f"no node of the cluster holds what {name or 'the first node'} held")
        return self._url.node_url(self._hosts[name])

    async def _read_primaries(self) -> set[str]:
        """The URLs of the nodes that take writes now. ConnectionError where nobody tells them."""
        if self._url.topology is Topology.SENTINEL:
            return {self._url.node_url(await _primary(self._url))}
        await self._learn_soon()
        return {self._url.node_url(host) for host in self._hosts.values()}

    async def check_role(self, link: RedisLink) -> None:
        """ConnectionError where the node that the Sentinels named is a replica: it is not promoted yet, or no more.
        RedisRefused where the URL names one node, and that is a part of a cluster."""
        if self._url.topology is Topology.SINGLE:
            (info,) = await link.run([("INFO", "cluster")])
            if isinstance(info, bytes) and b"cluster_enabled:1" in info:
                raise RedisRefused(
                    "Redis runs in cluster mode, and its URL names one node: it must begin with redis+cluster:// "
                    "(LEADERBOARD_REDIS_URL)"
                )
        if self._url.topology is Topology.SENTINEL:
            (role,) = await link.run([("ROLE",)])
            if not isinstance(role, Exception) and role[0] != b"master":
                raise ConnectionError(f"the node of {self._url.service} is a {role[0].decode()}, not the primary")

    async def _learn(self) -> None:
        hosts = dict.fromkeys((*self._hosts.values(), *self._url.hosts))
        calls: list[Call] = [("CLUSTER", "INFO"), ("CLUSTER", "SLOTS")]
        answers = await _answers([(host, self._url.node_url(host)) for host in hosts], calls)
        self._learned_s = monotonic()
        maps = [(_age(info), host, slots) for host, (info, slots) in answers if isinstance(slots, list) and slots]
        if not maps:
            if not self._hosts:
                raise _silence("node of the cluster", list(hosts), answers)
            return
        _, host, slots = max(maps, key=lambda one: one[0])
        self._take(_parse(slots, host))
        self._is_in_doubt = False

    def _take(self, ranges: list[tuple[int, int, Host]]) -> None:
        slots = [UNKNOWN] * SLOTS
        hosts: dict[str, Host] = {}
        for first, last, host in ranges:
            name = str(host)
            hosts[name] = host
            slots[first : last + 1] = [name] * (last - first + 1)
        if slots != self._slots:
            self.version += 1
            if StoreContact.is_logged:
                log.info("redis nodes", nodes=sorted(hosts), version=self.version)
        self._hosts, self._slots = hosts, slots


def _age(info: Any) -> tuple[bool, int]:
    """How late a node's map is: one of a cluster that works before others, then the higher epoch."""
    if isinstance(info, Exception):
        return False, 0
    lines = dict(line.split(":", 1) for line in info.decode().splitlines() if ":" in line)
    return lines.get("cluster_state") == "ok", int(lines.get("cluster_newest_epoch", 0))


def _parse(slots: list[Any], source: Host) -> list[tuple[int, int, Host]]:
    """First slot, last slot and primary of each range of CLUSTER SLOTS, in order. A node without a name of its own is
    reached where it was asked."""
    ranges = []
    for first, last, primary, *_ in sorted(slots, key=lambda one: int(one[0])):
        name = primary[0].decode() if primary[0] not in (None, b"", b"?") else source.name
        ranges.append((int(first), int(last), Host(name, int(primary[1]))))
    return ranges


async def _primary(url: RedisUrl) -> Host:
    """The primary by the Sentinel that knows of the latest failover. ConnectionError."""
    calls: list[Call] = [
        ("SENTINEL", "GET-MASTER-ADDR-BY-NAME", url.service),
        ("SENTINEL", "MASTER", url.service),
    ]
    answers = await _answers([(host, url.sentinel_url(host)) for host in url.hosts], calls)
    primaries = [(_config_epoch(state), address) for _, (address, state) in answers if isinstance(address, list)]
    if not primaries:
        raise _silence(f"Sentinel that knows {url.service!r}", url.hosts, answers)
    _, (name, port) = max(primaries, key=lambda one: one[0])
    return Host(name.decode(), int(port))


def _config_epoch(state: Any) -> int:
    if not isinstance(state, list):
        return 0
    values = dict(zip(state[::2], state[1::2], strict=True))
    return int(values.get(b"config-epoch", 0))


def _silence(what: str, hosts: Sequence[Host], answers: list[tuple[Host, list[Any]]]) -> ConnectionError:
    reasons = {str(reply) for _, replies in answers for reply in replies if isinstance(reply, Exception)}
    detail = f": {'; '.join(sorted(reasons))}" if reasons else ""
    return ConnectionError(f"no {what} answers at {', '.join(map(str, hosts))}{detail}")


async def _answers(addresses: Sequence[tuple[Host, str]], calls: Sequence[Call]) -> list[tuple[Host, list[Any]]]:
    """The replies of all hosts that answer soon, each asked on a connection of its own."""
    tasks = [asyncio.create_task(_ask_host(host, url, calls)) for host, url in addresses]
    try:
        await asyncio.wait(tasks, timeout=LATER_ANSWERS_S_MAX)
        until = monotonic() + ANSWER_S_MAX
        while not any(map(_has_answered, tasks)) and not all(task.done() for task in tasks):
            await asyncio.wait(
                [task for task in tasks if not task.done()],
                timeout=max(0.0, until - monotonic()),
                return_when=asyncio.FIRST_COMPLETED,
            )
            if monotonic() >= until:
                break
        return [task.result() for task in tasks if _has_answered(task)]
    finally:
        await end_all(tasks)


def _has_answered(task: "asyncio.Task[tuple[Host, list[Any]]]") -> bool:
    return task.done() and task.exception() is None


async def _ask_host(host: Host, url: str, calls: Sequence[Call]) -> tuple[Host, list[Any]]:
    async def here() -> str:
        return url

    connection = NodeConnection(here, contact("Redis", url), [], timeout_s=ANSWER_S_MAX)
    try:
        return host, await connection.run(calls)
    finally:
        await connection.close()
