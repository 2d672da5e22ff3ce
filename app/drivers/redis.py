"""Redis, whatever it is made of: each call goes to the node that holds its keys, and the replies come in order."""

import asyncio
from collections.abc import Sequence
from time import monotonic
from typing import Any, NamedTuple

from redis.exceptions import RedisError

from ..model.errors import StoreUnavailable
from ..model.redis_url import Topology, parse_redis_url
from .redis_node import CALLS_S_MAX, Call, NodeConnection, OnConnect, RedisLink, RedisRefused, is_elsewhere
from .redis_topology import NodeMap
from .scripts import Script
from .store_contact import StoreContact, contact

__all__ = ["Call", "NodeConnection", "NodeMap", "RedisConnection", "RedisLink", "RedisRefused", "is_elsewhere"]

#: Seconds before calls are sent again that no node took: a slot is on its way to another one.
AGAIN_PAUSE_S = 0.05

#: Seconds for which a node of a cluster that did not answer in time is not asked again: who asks for one thing after
#: another would wait each time.
HUNG_PAUSE_S = 5.0
#: Seconds in which a node that hung has to show that it answers again, before it is sent calls.
HUNG_TRY_S = 0.25

# Calls without a key: those of a transaction go where its keys are, others to one node.
_KEYLESS = frozenset({"SCAN", "TIME", "INFO", "CONFIG", "PING", "ROLE", "MULTI", "EXEC"})


class NodeLost(ConnectionError):
    """A node of a cluster was lost; others may answer."""


class LostNode(NamedTuple):
    """What a node raised, and until when it is not asked again (seconds of the monotonic clock)."""

    error: Exception
    until_s: float


class RedisConnection:
    """A connection to each node, all together used by one caller at a time.

    `greet` runs on each new connection to a node; it raises RedisRefused to refuse it. nodes: the map, where several
    share what one of them learns. See NodeConnection for what a lost connection means. is_alone: the URL names one
    node, and nobody who would put a replica in its place.
    """

    def __init__(
        self,
        url: str,
        scripts: Sequence[Script],
        greet: OnConnect | None = None,
        timeout_s: float = CALLS_S_MAX,
        nodes: NodeMap | None = None,
    ) -> None:
        self._scripts = scripts
        self._greet = greet
        self._timeout_s = timeout_s
        self.contact = contact("Redis", url)
        parts = parse_redis_url(url)
        self._nodes = nodes or NodeMap(parts)
        self._links: dict[str, NodeConnection] = {}
        self._lost: dict[str, LostNode] = {}
        self._version = self._nodes.version
        self._has_one_node = parts.topology is not Topology.CLUSTER
        self.is_alone = parts.topology is Topology.SINGLE

    @property
    def names(self) -> tuple[str, ...]:
        """The nodes that hold slots, in the order of these."""
        return self._nodes.names

    @property
    def is_cluster(self) -> bool:
        """Whether there may be several nodes."""
        return not self._has_one_node

    @property
    def has_map(self) -> bool:
        """Whether it is known which node holds which slot; of a single node it always is."""
        return self._has_one_node or self._nodes.version > 0

    @property
    def version(self) -> int:
        """Rises with each change of the map."""
        return self._nodes.version

    async def learn(self) -> None:
        """Learns the map, where it is in doubt. ConnectionError where nobody tells it."""
        await self._nodes.learn()
        if self._version != self._nodes.version:
            await self._close_former_nodes()

    def doubt(self) -> None:
        """A node sent a call away: the map is learned anew before it is used again."""
        self._nodes.doubt()

    def node(self, key: str) -> str:
        """The name of the node that holds a key, as far as is known. O(1)."""
        return self._nodes.of_key(key)

    def node_of(self, call: Call) -> str | None:
        """The name of the node that has the keys of a call, as far as is known; None: the call has none. O(1)."""
        key = _key_of(call)
        return None if key is None else self._nodes.of_key(key)

    def holes(self) -> list[tuple[int, int]]:
        """The first and the last of each row of slots that no node of a cluster holds, by its map. O(slots)."""
        return self._nodes.holes()

    def server_id(self, key: str) -> str:
        """Which Redis answers for a key, see NodeConnection. O(1)."""
        return self.link(self.node(key)).server_id(key)

    def link(self, name: str) -> NodeConnection:
        """The connection to a node; it may still have to be made."""
        link = self._links.get(name)
        if link is None:
            link = self._links[name] = NodeConnection(
                lambda: self._locate(name),
                self._nodes.contact(name),
                self._scripts,
                greet=self._greet_node,
                timeout_s=self._timeout_s,
                watch=self._nodes.watch,
            )
        return link

    async def links(self) -> list[NodeConnection]:
        """A connection to each node that holds slots, in the order of these. ConnectionError where nobody tells the
        nodes."""
        await self.learn()
        return [self.link(name) for name in self._nodes.names]

    async def connect(self) -> None:
        """Connects to each node, unless that is done. ConnectionError, TimeoutError, RedisRefused."""
        await _all(link.connect() for link in await self.links())

    async def close(self) -> None:
        """Ends the connections."""
        for link in self._links.values():
            await link.close()

    async def run(self, calls: Sequence[Call], timeout_s: float | None = None) -> list[Any]:
        """The replies, in order; an error reply is an exception in its place. Raises what the first node raised that
        was lost, once the others have answered."""
        if self._has_one_node:
            return await self.link(self._nodes.names[0]).run(calls, timeout_s)
        replies = await self.run_apart(calls, timeout_s)
        for call, reply in zip(calls, replies, strict=True):
            if isinstance(reply, RedisRefused):
                raise reply
            if is_loss(reply):
                where = self.node_of(call) or next(filter(None, map(self.node_of, calls)), self.contact.address)
                raise NodeLost(f"Redis does not answer at {where} ({self.contact.setting})") from reply
        return replies

    async def run_apart(self, calls: Sequence[Call], timeout_s: float | None = None) -> list[Any]:
        """As `run`, but a node of a cluster that is lost fails its own calls only: what it raised stands in place of
        each reply. A single Redis that is lost raises.

        What no node took is sent again until the deadline; nothing of it was done.
        """
        if self._has_one_node:
            return await self.run(calls, timeout_s)
        until = monotonic() + (timeout_s or self._timeout_s)
        replies: list[Any] = [None] * len(calls)
        due = list(range(len(calls)))
        while due:
            await self.learn()
            by_node = self._by_node(calls, due)
            await _all(self._run_at(name, calls, numbers, replies, timeout_s) for name, numbers in by_node.items())
            due = [i for i in due if is_elsewhere(replies[i])]
            if not due:
                break
            self.doubt()
            if any(call[0] == "MULTI" for call in calls):
                due = list(range(len(calls)))  # a transaction is sent as a whole
            if monotonic() >= until:
                break
            await asyncio.sleep(AGAIN_PAUSE_S)
        return replies

    async def _run_at(
        self, name: str, calls: Sequence[Call], numbers: list[int], replies: list[Any], timeout_s: float | None
    ) -> None:
        lost = self._lost.get(name)
        if lost is not None and monotonic() < lost.until_s:
            answers: list[Any] = [lost.error] * len(numbers)
        else:
            try:
                if lost is not None and isinstance(lost.error, TimeoutError):
                    async with asyncio.timeout(HUNG_TRY_S):
                        await self.link(name).run([("TIME",)])
                answers = await self.link(name).run([calls[i] for i in numbers], timeout_s)
                self._lost.pop(name, None)
            except REDIS_ERRORS as error:
                if not isinstance(error, RedisRefused):
                    self.doubt()
                pause_s = HUNG_PAUSE_S if isinstance(error, TimeoutError) else 0.0
                self._lost[name] = LostNode(error, monotonic() + pause_s)
                answers = [error] * len(numbers)
        for i, reply in zip(numbers, answers, strict=True):
            replies[i] = reply

    def _by_node(self, calls: Sequence[Call], due: list[int]) -> dict[str, list[int]]:
        """The numbers of the calls that each node gets. Those without a key go with the first one that has one."""
        keys = {i: _key_of(calls[i]) for i in due}
        first = next((self._nodes.of_key(key) for key in keys.values() if key is not None), self._present_node())
        by_node: dict[str, list[int]] = {}
        for i, key in keys.items():
            by_node.setdefault(first if key is None else self._nodes.of_key(key), []).append(i)
        return by_node

    def _present_node(self) -> str:
        """A node that has not been lost, as far as is known."""
        return next((name for name in self._nodes.names if name not in self._lost), self._nodes.names[0])

    async def _locate(self, name: str) -> str:
        return await self._nodes.locate(name)

    async def _greet_node(self, link: RedisLink) -> None:
        await self._nodes.check_role(link)
        if self._greet is not None:
            await self._greet(link)

    async def _close_former_nodes(self) -> None:
        """Ends the connections to nodes that hold no slot any more; calls that still wait there fail."""
        self._version = self._nodes.version
        for name in self._lost.keys() - set(self._nodes.names):
            del self._lost[name]
        for name in self._links.keys() - set(self._nodes.names):
            await self._links.pop(name).close()


def _key_of(call: Call) -> str | bytes | None:
    """The first key of a call; all its keys lie in one slot. None: it has none."""
    name = call[0]
    if name in _KEYLESS:
        return None
    if name == "EVALSHA":
        key = call[3]
    elif name == "XREAD":
        key = call[call.index("STREAMS") + 1]
    elif name == "MEMORY":
        key = call[2]
    else:
        key = call[1]
    assert isinstance(key, (str, bytes))
    return key


async def _all(work: Any) -> None:
    """Runs all to their end, then raises the first error."""
    for outcome in await asyncio.gather(*work, return_exceptions=True):
        if isinstance(outcome, BaseException):
            raise outcome


def evalsha(script: Script, keys: Sequence[str], args: Call) -> Call:
    """One call of a loaded script."""
    return ("EVALSHA", script.sha, len(keys), *keys, *args)


async def ask(connection: RedisLink, call: Call, what: str = "") -> Any:
    """The reply to one call. RedisRefused for an error reply."""
    (reply,) = await ask_all(connection, [call], what)
    return reply


async def ask_all(connection: RedisLink, calls: Sequence[Call], what: str = "") -> list[Any]:
    """The replies to calls of one pipeline, in order. RedisRefused for the first error reply; `what` says what Redis
    refuses."""
    return _checked(await connection.run(calls), what)


async def transact(connection: RedisLink, calls: Sequence[Call]) -> list[Any]:
    """The replies to calls of one partition, with no other call between them. RedisRefused for an error reply."""
    (replies,) = _checked((await connection.run([("MULTI",), *calls, ("EXEC",)]))[-1:])
    return _checked(replies)


def _checked(replies: Sequence[Any], what: str = "") -> list[Any]:
    for reply in replies:
        if isinstance(reply, Exception):
            raise RedisRefused(f"Redis refuses {what}: {reply}" if what else str(reply))
    return list(replies)


REDIS_ERRORS = (ConnectionError, TimeoutError, OSError, RedisError, RedisRefused)


def is_loss(reply: object) -> bool:
    """Whether what stands in place of a reply is that its node was lost or refused; no reply of Redis is so."""
    return isinstance(reply, (OSError, TimeoutError, RedisRefused))


def unavailable(error: Exception, contact: StoreContact) -> StoreUnavailable:
    """The problem for an error of Redis: the refusal's own text, or else that Redis does not answer."""
    return StoreUnavailable(str(error) if isinstance(error, RedisRefused) else contact.silence)
