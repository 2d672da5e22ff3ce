"""Drift: checks in the background, one by one, whether the `all` boards in Redis still agree with the ledger.

It has its own connections, so that the ledger never waits for it, and rests much longer than each check takes. It
compares one version: the ledger's sums, less the entries after the board's last change. If these cannot be known (users
are being hidden, the ledger is far behind, too many entries came since), the board is checked another time.
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
from ..store.event_rows import EVENTS_LOCK
from ..store.namespace_cache import namespace_from_row
from ..store.namespace_fields import board_version_and_totals_call, board_version_call
from ..store.stats_reader import parse_sums

log = structlog.get_logger()

#: The rest after a check, as a multiple of the check's duration: so checks take at most 4 % of one connection, those of
#: boards that did not change since the last one 1 %.
REST, REST_UNCHANGED = 24.0, 99.0
#: Seconds of the longest rest, because a check that mostly waited cost little.
REST_S_MAX = 5.0
#: Seconds that a check waits for the ledger to reach Redis. After them the check is given up.
PATIENCE_S = 2.0
#: Entries that may have come since Redis was read. They are subtracted from the ledger's sums one by one.
BEHIND_MAX = 20_000
#: Seconds before the checks begin anew after a store was lost or an error ended them.
_AGAIN_S = 1.0
#: Seconds between two checks of how far the ledger is.
_POLL_S = 0.05
#: Namespaces whose versions one call asks for: a ms of Redis or less.
_VERSIONS_A_CALL = 1_000
#: Seconds that one statement may take: the sums of a ledger of very many rows.
_QUERY_S_MAX = 60.0


class BoardTotals(NamedTuple):
    """The number of users, sum of scores and sum of squares of a board; None: unknown."""

    users: int | None
    scores: int | None
    squares: int | None


class DriftCheck:
    """One persister's checks: of the namespaces of its partitions, the changed ones first."""

    def __init__(self, settings: Settings, leases: Mapping[int, Any]) -> None:
        self._settings = settings
        self._leases = leases
        self._seen: dict[int, tuple[int, float]] = {}
        self._drifting: dict[int, int] = {}
        self._recorded: dict[int, bool] = {}

    def keep(self, partitions: Collection[int]) -> None:
        """Forgets the namespaces that another persister reports from now on."""
        self._drifting = {ns: p for ns, p in self._drifting.items() if p in partitions}
        DRIFTING.set(len(self._drifting))

    async def run(self) -> None:
        """Makes rounds for ever. Connects again when a store was lost."""
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
        """Checks every namespace once."""
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
            rest = REST_UNCHANGED if turn(namespace)[0] else REST
            if namespace.partition in self._leases:
                try:
                    await self._look(connection, link, namespace)
                except (RedisRefused, asyncpg.PostgresError) as error:
                    if connection.is_closed():
                        raise
                    log.warning("a board cannot be read", namespace=namespace.name, error=str(error))
                finally:
                    self._seen[namespace.id] = versions[namespace.id], monotonic()
            await asyncio.sleep(min(REST_S_MAX, rest * (monotonic() - began)))

    def _forget_all_but(self, ids: Collection[int]) -> None:
        self._seen = {ns: seen for ns, seen in self._seen.items() if ns in ids}
        self._drifting = {ns: p for ns, p in self._drifting.items() if ns in ids}
        self._recorded = {ns: differs for ns, differs in self._recorded.items() if ns in ids}
        DRIFTING.set(len(self._drifting))

    async def _look(self, connection: asyncpg.Connection, link: RedisConnection, namespace: Namespace) -> None:
        """Checks one, and once more on a new connection before it says that it differs: a former primary may have
        answered."""
        totals = await self._totals(connection, link, namespace)
        if totals is not None and _differ(*totals):
            link.doubt()
            await link.close()
            totals = await self._totals(connection, link, namespace)
        # If the namespace was deleted since the list was read, its boards are being removed.
        if totals is None or (
            _differ(*totals) and not await connection.fetch(queries()["is_namespace_alive"], namespace.id)
        ):
            return
        DRIFT_CHECKS.inc()
        self._report(namespace, *totals, _differ(*totals))
        await self._record(connection, namespace, *totals, _differ(*totals))

    async def _totals(
        self, connection: asyncpg.Connection, link: RedisConnection, namespace: Namespace
    ) -> tuple[BoardTotals, BoardTotals] | None:
        """The totals in Redis and by the ledger; None where they cannot be compared now."""
        p = namespace.partition
        desired_states = await _row(connection, "get_intents_mark", p)
        version, in_redis = await _redis_totals(link, namespace)
        if desired_states["is_pending"] or not await _reaches(connection, p, version):
            return None
        by_ledger = await _ledger_totals(connection, link, namespace, version)
        # The lease may be gone meanwhile, and an intent may have been carried out in between.
        if (
            by_ledger is None
            or p not in self._leases
            or await _row(connection, "get_intents_mark", p) != desired_states
        ):
            return None
        return in_redis, by_ledger

    def _report(self, namespace: Namespace, in_redis: BoardTotals, by_ledger: BoardTotals, differs: bool) -> None:
        was_known = namespace.id in self._drifting
        if differs:
            self._drifting[namespace.id] = namespace.partition
        else:
            self._drifting.pop(namespace.id, None)
        DRIFTING.set(len(self._drifting))
        if differs and not was_known:
            sums = {"in_redis": in_redis._asdict(), "by_ledger": by_ledger._asdict()}
            log.error("a board differs from the ledger: run verify", namespace=namespace.name, **sums)
        elif was_known and not differs:
            log.info("a board agrees with the ledger again", namespace=namespace.name)

    async def _record(
        self,
        connection: asyncpg.Connection,
        namespace: Namespace,
        in_redis: BoardTotals,
        by_ledger: BoardTotals,
        differs: bool,
    ) -> None:
        """Writes an event where that has changed, also since another process looked at it."""
        if self._recorded.get(namespace.id) is differs:
            return
        body = {"drift_began": _event_body(namespace, in_redis, by_ledger), "drift_ended": {}}
        kind = "drift_began" if differs else "drift_ended"
        text = msgspec.json.encode(body[kind]).decode()
        await connection.execute(queries()["record_drift"], namespace.id, kind, text, EVENTS_LOCK)
        self._recorded[namespace.id] = differs


def _event_body(namespace: Namespace, in_redis: BoardTotals, by_ledger: BoardTotals) -> dict[str, Any]:
    return {
        "redis_users": in_redis.users,
        "redis_sum": namespace.number_or_none(in_redis.scores),
        "ledger_users": by_ledger.users,
        "ledger_sum": namespace.number_or_none(by_ledger.scores),
    }


def _differ(in_redis: BoardTotals, by_ledger: BoardTotals) -> bool:
    return any(None not in pair and pair[0] != pair[1] for pair in zip(in_redis, by_ledger, strict=True))


def _readable(row: asyncpg.Record) -> Namespace | None:
    """A namespace; None if its rules have a format of a later release: a persister of that release checks it."""
    try:
        return namespace_from_row(row)
    except msgspec.DecodeError:
        return None


async def _connect(url: str) -> asyncpg.Connection:
    # With the settings of a session: a plan made while the ledger was small must not scan all of it.
    return await connect(url, _QUERY_S_MAX)


async def _row(connection: asyncpg.Connection, query: str, *args: Any) -> asyncpg.Record:
    row = await connection.fetchrow(queries()[query], *args)
    assert row is not None, "an aggregate, or a partition, is a row"
    return row


async def _versions(link: RedisConnection, namespaces: list[Namespace]) -> dict[int, int]:
    """The versions of the `all` boards."""
    versions: dict[int, int] = {}
    for first in range(0, len(namespaces), _VERSIONS_A_CALL):
        some = namespaces[first : first + _VERSIONS_A_CALL]
        replies = await link.run([board_version_call(namespace, "all") for namespace in some])
        for namespace, reply in zip(some, replies, strict=True):
            versions[namespace.id] = int(reply) if isinstance(reply, bytes) and reply.isdigit() else 0
    return versions


def _version(text: bytes | None) -> int:
    """A board's version; 0 if nothing was ever written there. RedisRefused if it is no number."""
    if text is not None and not text.isdigit():
        raise RedisRefused(f"its version is {text.decode(errors='replace')!r}")
    return int(text or 0)


async def _redis_totals(link: RedisConnection, namespace: Namespace) -> tuple[int, BoardTotals]:
    """The `all` board's version, and its totals in Redis at that version."""
    calls = [board_version_and_totals_call(namespace, "all"), user_count_call(namespace, "all")]
    (version, text), users = await transact(link, calls)
    if not namespace.rules.statistics:
        return _version(version), BoardTotals(users, None, None)
    return _version(version), BoardTotals(users, *parse_sums(text))


async def _reaches(connection: asyncpg.Connection, p: int, seq: int) -> bool:
    """Whether the ledger reaches a seq within PATIENCE_S."""
    until = monotonic() + PATIENCE_S
    while (await _row(connection, "get_offset", p))["seq"] < seq:
        if monotonic() > until:
            return False
        await asyncio.sleep(_POLL_S)
    return True


async def _ledger_totals(
    connection: asyncpg.Connection, link: RedisConnection, namespace: Namespace, version: int
) -> BoardTotals | None:
    """The board's totals at a version, by the ledger; None if too many entries came since. The number of users cannot
    be computed for an earlier version: it is None if the board has changed since."""
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
