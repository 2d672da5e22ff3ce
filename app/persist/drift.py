"""Drift: whether the `all` boards in Redis are still what the ledger says, looked at in the background, one by one.

It asks on connections of its own, so that the ledger never waits for it, and rests much longer than each look
took. What is compared is of one version: the ledger's sums, less what came behind the board's last change. Where that
cannot be told (users are being hidden, the ledger is far behind, too much came since) it is looked at another time.
"""

import asyncio
from collections import deque
from collections.abc import Collection, Mapping
from time import monotonic
from typing import Any, NamedTuple

import asyncpg
import msgspec
import structlog

from ..drivers.postgres import connect, queries
from ..drivers.redis import REDIS_ERRORS, RedisConnection, RedisRefused, ask, transact
from ..metrics import DRIFT_CHECKS, DRIFTING
from ..model.namespace import Namespace
from ..settings import Settings
from ..store.board_dump import user_count_call
from ..store.namespace_cache import namespace_from_row
from ..store.namespace_fields import board_version_and_totals_call, board_version_call
from ..store.stats_reader import parse_sums

log = structlog.get_logger()

#: So many times as long as a look took: a twenty-fifth of one connection, whatever there is to look at. One that had to
#: wait cost less than it took.
REST, REST_S_MAX = 24.0, 5.0
#: Seconds that a look waits for the ledger to reach what Redis has; after them the look is given up.
PATIENCE_S = 2.0
#: Entries that may have come since Redis was read: they are taken off the ledger's sums one by one.
BEHIND_MAX = 20_000
#: Seconds before the search begins anew that lost a store or broke off.
_AGAIN_S = 1.0
#: Seconds between two looks at how far the ledger is.
_POLL_S = 0.05
#: Namespaces whose versions one call asks for: a ms of Redis or less.
_VERSIONS_A_CALL = 1_000
#: Seconds that one statement may take: the sums of a ledger of very many rows.
_QUERY_S_MAX = 60.0


class BoardTotals(NamedTuple):
    """What a board comes to; None: not to be told."""

    users: int | None
    scores: int | None
    squares: int | None


class DriftCheck:
    """One persister's share: the namespaces of the partitions it holds, the changed ones first."""

    def __init__(self, settings: Settings, leases: Mapping[int, Any]) -> None:
        self._settings = settings
        self._leases = leases
        self._seen: dict[int, tuple[int, float]] = {}
        self._drifting: dict[int, int] = {}

    def keep(self, partitions: Collection[int]) -> None:
        """Forgets what is another persister's to tell from here on."""
        self._drifting = {ns: p for ns, p in self._drifting.items() if p in partitions}
        DRIFTING.set(len(self._drifting))

    async def run(self) -> None:
        """Rounds, for ever; whatever is lost is connected to again."""
        while True:
            link, connection = RedisConnection(self._settings.redis_url, []), None
            try:
                connection = await _connect(self._settings.postgres_url)
                while True:
                    await self._round(connection, link)
                    await asyncio.sleep(self._settings.maintenance_interval_s)
            except (*REDIS_ERRORS, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError) as error:
                log.debug("drift is not looked for", error=f"{type(error).__name__}: {error}")
            except Exception:  # Nobody waits for this task: what ends it would end it silently, and for good.
                log.exception("the search for drift broke off, and begins anew")
            finally:
                await link.close()
                if connection is not None:
                    connection.terminate()
            await asyncio.sleep(_AGAIN_S)

    async def _round(self, connection: asyncpg.Connection, link: RedisConnection) -> None:
        """Looks at every namespace once."""
        rows = await connection.fetch(queries()["get_namespaces_of_partitions"], list(self._leases))
        namespaces = [namespace for row in rows if (namespace := _readable(row)) is not None]
        self._forget_all_but({namespace.id for namespace in namespaces})
        versions = await _versions(link, namespaces)

        def turn(namespace: Namespace) -> tuple[bool, float]:
            version, at = self._seen.get(namespace.id, (-1, 0.0))
            return version == versions[namespace.id], at

        due = deque(sorted(namespaces, key=turn))
        while due:
            namespace, began = due.popleft(), monotonic()
            if namespace.partition in self._leases:
                try:
                    await self._look(connection, link, namespace)
                except (RedisRefused, asyncpg.PostgresError) as error:
                    if connection.is_closed():
                        raise
                    log.warning("a board cannot be read", namespace=namespace.name, error=str(error))
                finally:
                    self._seen[namespace.id] = versions[namespace.id], monotonic()
            await asyncio.sleep(min(REST_S_MAX, REST * (monotonic() - began)))

    def _forget_all_but(self, ids: Collection[int]) -> None:
        self._seen = {ns: seen for ns, seen in self._seen.items() if ns in ids}
        self._drifting = {ns: p for ns, p in self._drifting.items() if ns in ids}
        DRIFTING.set(len(self._drifting))

    async def _look(self, connection: asyncpg.Connection, link: RedisConnection, namespace: Namespace) -> None:
        p = namespace.partition
        desired_states = await _row(connection, "get_intents_mark", p)
        version, held = await _held(link, namespace)
        if desired_states["is_pending"] or not await _reaches(connection, p, version):
            return
        wanted = await _wanted(connection, link, namespace, version)
        # A lease that went meanwhile took the namespace with it; a wish may have come true in between.
        if wanted is None or p not in self._leases or await _row(connection, "get_intents_mark", p) != desired_states:
            return
        differs = any(None not in pair and pair[0] != pair[1] for pair in zip(held, wanted, strict=True))
        # Deleted since the list was read: its boards are on their way out.
        if differs and not await connection.fetch(queries()["is_namespace_alive"], namespace.id):
            return
        DRIFT_CHECKS.inc()
        self._tell(namespace, held, wanted, differs)

    def _tell(self, namespace: Namespace, held: BoardTotals, wanted: BoardTotals, differs: bool) -> None:
        was_known = namespace.id in self._drifting
        if differs:
            self._drifting[namespace.id] = namespace.partition
        else:
            self._drifting.pop(namespace.id, None)
        DRIFTING.set(len(self._drifting))
        if differs and not was_known:
            told = {"in_redis": held._asdict(), "by_ledger": wanted._asdict()}
            log.error("a board differs from the ledger: run verify", namespace=namespace.name, **told)
        elif was_known and not differs:
            log.info("a board agrees with the ledger again", namespace=namespace.name)


def _readable(row: asyncpg.Record) -> Namespace | None:
    """A namespace; None for one whose rules are of a later version: another persister looks at it."""
    try:
        return namespace_from_row(row)
    except msgspec.DecodeError:
        return None


async def _connect(url: str) -> asyncpg.Connection:
    # As the session's: a plan made while the ledger was small must not walk through all of it.
    return await connect(url, _QUERY_S_MAX)


async def _row(connection: asyncpg.Connection, query: str, *args: Any) -> asyncpg.Record:
    row = await connection.fetchrow(queries()[query], *args)
    assert row is not None, "an aggregate, or a partition, is a row"
    return row


async def _versions(link: RedisConnection, namespaces: list[Namespace]) -> dict[int, int]:
    """The versions of the `all` boards."""
    found: dict[int, int] = {}
    for first in range(0, len(namespaces), _VERSIONS_A_CALL):
        some = namespaces[first : first + _VERSIONS_A_CALL]
        replies = await link.run([board_version_call(namespace, "all") for namespace in some])
        for namespace, reply in zip(some, replies, strict=True):
            found[namespace.id] = int(reply) if isinstance(reply, bytes) and reply.isdigit() else 0
    return found


def _version(text: bytes | None) -> int:
    """A board's version; none: nothing was ever written there. RedisRefused."""
    if text is not None and not text.isdigit():
        raise RedisRefused(f"its version is {text.decode(errors='replace')!r}")
    return int(text or 0)


async def _held(link: RedisConnection, namespace: Namespace) -> tuple[int, BoardTotals]:
    """The board's version, and what it comes to in Redis at that very version."""
    calls = [board_version_and_totals_call(namespace, "all"), user_count_call(namespace, "all")]
    (version, text), users = await transact(link, calls)
    if not namespace.rules.statistics:
        return _version(version), BoardTotals(users, None, None)
    return _version(version), BoardTotals(users, *parse_sums(text))


async def _reaches(connection: asyncpg.Connection, p: int, seq: int) -> bool:
    """Whether the ledger holds a seq, before long."""
    until = monotonic() + PATIENCE_S
    while (await _row(connection, "get_offset", p))["seq"] < seq:
        if monotonic() > until:
            return False
        await asyncio.sleep(_POLL_S)
    return True


async def _wanted(
    connection: asyncpg.Connection, link: RedisConnection, namespace: Namespace, version: int
) -> BoardTotals | None:
    """What the board is to come to at a version by the ledger; None where too much came since. The count of users
    cannot be told backwards: of a board that has moved on it is left out."""
    at = namespace.partition, namespace.id
    row = await _row(connection, "get_board_totals", *at, version, BEHIND_MAX)
    now = await ask(link, board_version_call(namespace, "all"))
    scores, squares = int(row["scores"]), int(row["squares"])
    if _version(now) == version:
        return BoardTotals(row["users"], scores, squares)
    if not row["is_near"]:
        return None
    users = row["users"] if row["later"] == 0 else None
    return BoardTotals(users, scores - int(row["later_scores"]), squares - int(row["later_squares"]))
