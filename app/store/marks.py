"""Marks in Redis: which Redis was compared with the ledger, and which partitions are closed because that found a loss.

A Redis that has started anew, or became the primary, may lack entries that it acknowledged. Its partitions still bear
the mark of another one. So nobody reads or writes them until somebody has compared them with the ledger: a partition
that has everything gets a mark and a new epoch, so no place in the log is ever used twice; any other one is closed.
"""

import asyncio
from collections.abc import Mapping, Sequence
from time import monotonic
from typing import Any

import asyncpg
import structlog

from ..drivers.postgres import Fetch, connect, queries
from ..drivers.redis import REDIS_ERRORS, Call, RedisConnection, RedisLink, RedisRefused, ask, ask_all, evalsha
from ..drivers.scripts import Script, load
from ..drivers.some_nodes import NodeLink
from ..task_end import end_all
from . import fields, keys
from .announcements import Announcer
from .apply import APPLY, CallRefused
from .ledger_fence import Undo, check_present, fence, set_missing_fences
from .ledger_reach import PartitionReach, look_twice, read_reach
from .open_hides import open_hides, take_off
from .partitions import (
    LEDGER_BEHIND,
    NO_DEPLOYMENT,
    is_deployment_checked,
    mark_deployment,
    read_deployment,
)
from .state_history import StateNote, compare_state, note_published, published_version, read_state_notes
from .state_publication import PUBLISHING_SCRIPTS, StatePublication

_STORES_LOST = (
    *REDIS_ERRORS,
    CallRefused,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
)
# What a partition bears while users are taken off its boards: no Redis is called so.
_HIDING = "users are taken off the boards"

log = structlog.get_logger()

MARK_PARTITION = load("mark_partition")
REOPEN_PARTITION = load("reopen_partition")
SETTLE_LOSS = load("settle_loss")
#: The scripts that a connection of `Marks` knows.
MARK_SCRIPTS: Sequence[Script] = (APPLY, MARK_PARTITION, REOPEN_PARTITION, *PUBLISHING_SCRIPTS)
#: Seconds that a round waits for partitions to be compared: other partitions' calls wait with it.
RENEWAL_S_MAX = 1.0
#: Seconds until it is tried again where Postgres did not answer.
RENEWAL_PAUSE_S = 2.0
#: Seconds that a statement may take which compares or marks: each reads some rows.
STATEMENT_S_MAX = 5.0


class Marks:
    """The marks as one process makes them, node by node: one that is away holds up no other. `link` knows MARK_SCRIPTS;
    nobody else uses it."""

    def __init__(self, link: RedisConnection, postgres_url: str) -> None:
        self._link = link
        self._postgres_url = postgres_url
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._began_s: dict[str, float] = {}
        self._not_before_s: dict[str, float] = {}

    async def renew(self, name: str) -> None:
        """Compares all partitions of a node with the ledger, closes those that lost something, tells them what they
        were not told, and marks those that bear no mark of the present Redis. It waits RENEWAL_S_MAX at most; callers
        share one comparison, and look themselves what came of it. What kept it from comparing is logged.
        O(partitions)."""
        task = self._tasks.get(name)
        if task is None or task.done():
            if monotonic() < self._not_before_s.get(name, 0.0):
                return
            self._began_s[name] = monotonic()
            task = self._tasks[name] = asyncio.create_task(self._compare(name))
        await asyncio.wait({task}, timeout=max(0.0, self._began_s[name] + RENEWAL_S_MAX - monotonic()))

    async def renew_all(self) -> None:
        """The same for every node."""
        try:
            await self._link.learn()
        except REDIS_ERRORS:
            return
        await asyncio.gather(*map(self.renew, self._link.names))

    async def _compare(self, name: str) -> None:
        node = NodeLink(self._link, name)
        try:
            # Who answers is asked on a new connection: a replica may be the primary by now.
            await node.close()
            connection = await connect(self._postgres_url, STATEMENT_S_MAX)
            try:
                await _compare(node, connection)
            finally:
                connection.terminate()
            self._not_before_s.pop(name, None)
        except _STORES_LOST as error:
            self._not_before_s[name] = monotonic() + RENEWAL_PAUSE_S
            reason = f"{type(error).__name__}: {error}"
            log.warning("partitions are not compared with the ledger", node=name, error=reason)

    async def close(self) -> None:
        """Ends the connections."""
        await end_all(self._tasks.values())
        await self._link.close()


async def _compare(node: NodeLink, connection: asyncpg.Connection) -> None:
    # What Redis was told is read before what Postgres has, and the ledger's ends before those of the logs: what comes
    # meanwhile is no loss.
    fetch = _fetch_on(connection)

    async def read_offsets() -> list[asyncpg.Record]:
        return [row for row in await fetch("get_offsets") if node.has(keys.meta(row["partition"]))]

    notes = await read_state_notes(node, [row["partition"] for row in await read_offsets()])
    deployment = await read_deployment(node) if node.has(keys.DEPLOYMENT) else None
    row = next(iter(await fetch("get_deployment")), None)
    if row is None or (node.has(keys.DEPLOYMENT) and (deployment is None or deployment.id != row["id"])):
        raise RedisRefused(f"{NO_DEPLOYMENT}: run leaderboard rebuild, if it is the right one")
    state, behind = await compare_state(fetch, list(notes.values()))
    reaches = await look_twice(node, read_offsets)
    await _close(node, {reach: reach.reason or behind for reach in reaches})
    if behind is None:
        whole = [reach for reach in reaches if reach.is_whole]
        since = published_version(notes, state)
        await _bring_up_to_date(node, connection, whole, partitions=row["partitions"], state=state, since=since)


async def _bring_up_to_date(
    node: NodeLink,
    connection: asyncpg.Connection,
    reaches: Sequence[PartitionReach],
    *,
    partitions: int,
    state: StateNote,
    since: int,
) -> None:
    """Tells a node what has changed since a version of the state, and marks partitions that bear no mark of it.
    partitions: of the deployment."""
    fetch = _fetch_on(connection)
    unmarked = [reach for reach in reaches if reach.checked != _server_id(node, reach)]
    await set_missing_fences(fetch, node, [reach for reach in reaches if reach not in unmarked])
    is_marked = not node.has(keys.DEPLOYMENT) or await is_deployment_checked(node)
    since = min([since, *(reach.state.version for reach in reaches)])
    if not unmarked and is_marked and since == state.version:
        return
    announcer = Announcer(fetch, node.run, partitions, is_cluster=node.is_cluster)
    await StatePublication(fetch, node, announcer, partitions).publish_changes(since, state.version)
    if unmarked:
        # It may have lost announcements that nobody has heard of.
        await announcer.announce_everything()
    former: list[RedisRefused] = []
    for reach in unmarked:
        try:
            await _mark(node, connection, reach, state)
        except RedisRefused as error:
            former.append(error)
    marked = {reach.partition for reach in reaches} - {reach.partition for reach in unmarked}
    await note_published(node, marked, state)
    if node.has(keys.DEPLOYMENT):
        await mark_deployment(node)
    if former:
        raise former[0]


async def _close(link: RedisLink, reasons: Mapping[PartitionReach, str | None]) -> None:
    """Closes partitions for which there is a reason, and opens those that were closed for an older Postgres, which is
    none any more. Where another reason holds by now, that one is told: it names another command."""
    for reach, reason in reasons.items():
        is_stale = reach.closed is not None and reach.closed.startswith(LEDGER_BEHIND) and reason != reach.closed
        if reason is not None and reach.closed is None:
            log.error("partition closed", partition=reach.partition, reason=reason)
            await close_partitions(link, {reach.partition: reason})
        elif is_stale and reach.closed is not None:
            event = "partition opened" if reason is None else "partition is closed for another reason"
            log.warning(event, partition=reach.partition, before=reach.closed, reason=reason)
            await reopen_partition(link, reach.partition, reach.closed, reason or "")


async def _mark(link: RedisLink, connection: asyncpg.Connection, reach: PartitionReach, state: StateNote) -> None:
    """Marks a partition that has everything. One on whose boards users may stand who are to be hidden begins an epoch
    that nobody else knows of, and is marked once they are gone."""
    fetch = _fetch_on(connection)
    intents = await open_hides(fetch, reach.partition)
    if intents and await _begin_epoch(link, connection, reach, _HIDING, state):
        await take_off(fetch, link, reach.partition, _HIDING, intents)
        (reach,) = await read_reach(link, await fetch("get_offsets_of", [reach.partition]))
    await _begin_epoch(link, connection, reach, _server_id(link, reach), state)


async def _begin_epoch(
    link: RedisLink, connection: asyncpg.Connection, reach: PartitionReach, mark: str, state: StateNote
) -> bool:
    """Whether an epoch began with the mark. In Postgres first: an epoch that Redis forgets is never used again. From
    then on the ledger takes nothing of the epoch before that this Redis does not have: a persister may still read a
    former primary. RedisRefused where this is one."""
    p = reach.partition
    await check_present(_fetch_on(connection), reach)
    epoch = await connection.fetchval(queries()["raise_epoch"], p, reach.epoch)
    args = [mark, reach.epoch, reach.seq, epoch, str(state)]
    reply: object = None
    async with fence(connection, reach, epoch):
        (reply,) = await ask_all(link, [evalsha(MARK_PARTITION, [keys.meta(p)], args)], what="a mark")
        if not reply:
            raise Undo
    return bool(reply)


def _server_id(link: RedisLink, reach: PartitionReach) -> str:
    return link.server_id(keys.meta(reach.partition))


def _fetch_on(connection: asyncpg.Connection) -> Fetch:
    async def fetch(query: str, *args: Any) -> list[asyncpg.Record]:
        return list(await connection.fetch(queries()[query], *args))

    return fetch


async def close_partitions(link: RedisLink, losses: Mapping[int, str]) -> None:
    """Closes partitions, each with the reason; one that is closed already keeps its own. RedisRefused."""
    if not losses:
        return
    calls = [("HSETNX", keys.meta(p), fields.CLOSED, reason) for p, reason in losses.items()]
    await ask_all(link, calls, what="to close a partition")


async def reopen_partition(link: RedisLink, p: int, reason: str, other: str = "") -> None:
    """Opens a partition that is closed for this very reason, or tells another one for which it stays closed.
    RedisRefused."""
    await ask_all(link, [evalsha(REOPEN_PARTITION, [keys.meta(p)], [reason, other])], what="to open a partition")


async def settle_loss(link: RedisConnection, reach: PartitionReach, epoch: int) -> bool:
    """Opens a closed partition in a new epoch, and gives up what is lost. False: it is closed for another reason by
    now, or has other entries. `link` knows SETTLE_LOSS. RedisRefused."""
    args: Call = [reach.closed or "", reach.epoch, reach.seq, epoch]
    return bool(await ask(link, evalsha(SETTLE_LOSS, [keys.meta(reach.partition)], args), what="to open a partition"))
