"""Cutting over: a namespace in shadow mode goes live, once it agrees with the system that it replaces; and back."""

import asyncio
from dataclasses import dataclass
from decimal import Decimal
from time import monotonic
from typing import Any, NamedTuple

import asyncpg
import msgspec

from ..drivers.postgres import Postgres
from ..drivers.redis import RedisConnection, ask
from ..model.errors import StoreUnavailable, no_namespace
from ..model.micros import from_micros, to_micros
from ..model.namespace import Namespace, Rules, latest_acceptable_at, rules_body
from ..model.text import count_text
from ..store.announcements import Announcer
from ..store.changes import Changed
from ..store.namespace_cache import namespace_from_row, publish_calls, version_call
from ..store.partitions import last_seq_call
from ..store.publications import Publisher
from ..store.rules_start import rules_from_seq
from .move_events import CUT_BACK, CUT_OVER, lock_events, record_cut
from .state_gate import Gate

#: Seconds for which a comparison says that both sides agree: writes go on, and an import may too.
COMPARISON_S_MAX = 900.0
#: Seconds since the dump's time, unless the operator says more: a dump and its comparison take some minutes.
DUMP_S_MAX = 900.0
#: Minutes that an operator may let pass instead: what was granted after the dump is compared with nothing.
DUMP_MINUTES_MAX = 24 * 60
#: Seconds by which the other system's clock may be ahead of Postgres' one.
_CLOCK_S_MAX = 60.0
#: Seconds that a cut-over waits for the ledger to have every entry: writes come all the time, and now and then it has.
LAG_S_MAX = 10.0
#: Seconds between two looks at that.
_POLL_S = 0.05
#: Tries to change the mode while others change the namespace.
_TRIES_MAX = 3
_encode = msgspec.json.Encoder(decimal_format="number").encode


class CutoverError(Exception):
    """The namespace cannot be cut over. lacks: a sentence for each condition that does not hold."""

    def __init__(self, *lacks: str) -> None:
        super().__init__("; ".join(lacks))
        self.lacks = lacks


@dataclass(frozen=True, slots=True)
class CutPoint:
    """Where a namespace was cut over: the ledger's last entry of its partition then. Later ones are what the system
    behind it lacks. was_so: nothing was changed, because it was so before."""

    epoch: int
    seq: int
    was_so: bool = False


class Bounds(NamedTuple):
    """What a comparison must show. max_diff: the difference of a score that is let pass; dump_s_max: how many seconds
    ago the dump may have been taken."""

    max_diff: Decimal = Decimal(0)
    dump_s_max: float = DUMP_S_MAX


class Cutover:
    """Changes the mode of a namespace, and its events tell so, in one transaction; then servers are told. actor: who
    does it. StoreUnavailable, Recovering, RedisRefused."""

    def __init__(self, postgres: Postgres, link: RedisConnection, gate: Gate, actor: str) -> None:
        self._postgres = postgres.writes
        self._link = link
        self._gate = gate
        self._actor = actor

    async def go_live(self, name: str, bounds: Bounds, *, is_rehearsal: bool = False) -> CutPoint:
        """Shadow becomes live. is_rehearsal: only the conditions are looked at. NamespaceNotFound, CutoverError."""
        await self._gate.check()
        for _ in range(_TRIES_MAX):
            row = await self._row(name)
            namespace = namespace_from_row(row)
            last = await self._last_event(namespace)
            if namespace.rules.mode == "live" and last is not None and last["type"] == CUT_OVER:
                return CutPoint(last["epoch"], last["seq"], was_so=True)
            lacks = _mode_lacks(namespace, "shadow")
            # What takes long comes first: a comparison that is made meanwhile is the one that counts.
            place = None if lacks else await self._settled_place(namespace)
            if place is None and not lacks:
                lacks = [f"the ledger lags behind the log: lag_seq was not 0 for {LAG_S_MAX:g} s"]
            comparison = await self._postgres.fetch_one("get_latest_comparison", namespace.id)
            lacks += _comparison_lacks(comparison, bounds)
            if (
                comparison is not None
                and last is not None
                and min(comparison["as_of"], comparison["compared_at"]) <= last["at"]
            ):
                lacks.append("what was compared last is from before the way back: dump and compare again")
            if lacks or place is None or comparison is None:
                raise CutoverError(*lacks)
            body = {
                "epoch": place.epoch,
                "seq": place.seq,
                "comparison": comparison["id"],
                "as_of": comparison["as_of"],
                "max_diff": bounds.max_diff,
                "max_age_s": bounds.dump_s_max,
                "largest_difference": comparison["largest_difference"],
            }
            if is_rehearsal or await self._change(row, namespace, "live", CUT_OVER, body):
                return place
        raise StoreUnavailable("the namespace is being changed by others")

    async def go_back(self, name: str) -> CutPoint:
        """Live becomes shadow. The place is that of the cut-over that is undone. NamespaceNotFound, CutoverError."""
        await self._gate.check()
        for _ in range(_TRIES_MAX):
            row = await self._row(name)
            namespace = namespace_from_row(row)
            last = await self._last_event(namespace)
            if last is None:
                raise CutoverError(f"{name} was never cut over: set its mode by PUT /v1/namespaces/{name}")
            place = CutPoint(last["epoch"], last["seq"])
            if last["type"] == CUT_BACK and namespace.rules.mode == "shadow":
                return CutPoint(place.epoch, place.seq, was_so=True)
            if lacks := _mode_lacks(namespace, "live"):
                raise CutoverError(*lacks)
            body = {"epoch": place.epoch, "seq": place.seq}
            if await self._change(row, namespace, "shadow", CUT_BACK, body):
                return place
        raise StoreUnavailable("the namespace is being changed by others")

    async def _row(self, name: str) -> asyncpg.Record:
        row = await self._postgres.fetch_one("get_namespace", name)
        if row is None:
            raise no_namespace(name)
        return row

    async def _last_event(self, namespace: Namespace) -> asyncpg.Record | None:
        return await self._postgres.fetch_one("get_last_cutover", namespace.id)

    async def _settled_place(self, namespace: Namespace) -> CutPoint | None:
        """The ledger's end at a moment at which it had every entry of the partition's log; None if there was none."""
        until = monotonic() + LAG_S_MAX
        while True:
            # The log first: what the ledger has later is at least that.
            seq = int(await ask(self._link, last_seq_call(namespace.partition)) or 0)
            row = await self._postgres.fetch_one("get_offset", namespace.partition)
            if row is not None and row["seq"] >= seq:
                return CutPoint(row["epoch"], row["seq"])
            if monotonic() > until:
                return None
            await asyncio.sleep(_POLL_S)

    async def _change(
        self, row: asyncpg.Record, namespace: Namespace, mode: str, event: str, body: dict[str, Any]
    ) -> bool:
        """Records the mode and both events, and publishes. False where somebody else was faster, or compared once
        more."""
        rules: Rules = msgspec.structs.replace(namespace.rules, mode=mode)
        clock = await self._postgres.fetch_one("get_current_time")
        assert clock is not None
        now = to_micros(clock["now"])
        reach = max(row["latest_acceptable_at"], latest_acceptable_at(namespace.rules, now))
        change = {"previous_rules": rules_body(namespace.rules), "rules": rules_body(rules)}
        texts = _encode(rules).decode(), _encode(change).decode()
        async with self._postgres.transaction() as fetch:
            await lock_events(fetch)
            await fetch("lock_namespaces", [namespace.id])
            latest = next(iter(await fetch("get_latest_comparison", namespace.id)), None)
            if event == CUT_OVER and (latest is None or latest["id"] != body["comparison"]):
                return False
            update = (texts[0], namespace.partition, self._actor, texts[1], reach, from_micros(now))
            changed = await fetch("update_namespace", namespace.id, namespace.version, *update)
            if not changed:
                return False
            await record_cut(fetch, namespace.id, event, self._actor, body)
        await self._gate.note()
        await self._publish(msgspec.structs.replace(namespace, version=changed[0]["version"], rules=rules))
        return True

    async def _publish(self, namespace: Namespace) -> None:
        """Tells Redis and all servers. Where that fails, a persister does it later."""
        deployment = await self._postgres.fetch_one("get_deployment")
        assert deployment is not None
        announcer = Announcer(
            self._postgres.fetch, self._link.run_apart, deployment["partitions"], is_cluster=self._link.is_cluster
        )

        async def call(one: Any) -> Any:
            return await ask(self._link, one, what="the namespace's mode")

        publisher = Publisher(call, announcer, has_several_nodes=False)
        await call(version_call(namespace.partition, namespace_id=namespace.id, version=namespace.version))
        known = msgspec.structs.replace(
            namespace, rules_from_seq=await rules_from_seq(self._postgres.fetch, call, namespace)
        )
        await publisher.publish(publish_calls(known), Changed(frozenset((namespace.name,))))


def _mode_lacks(namespace: Namespace, mode: str) -> list[str]:
    if namespace.rules.mode == mode:
        return []
    return [f"{namespace.name} is in mode {namespace.rules.mode}, and not in mode {mode}"]


def _comparison_lacks(comparison: asyncpg.Record | None, bounds: Bounds) -> list[str]:
    """Why a comparison does not show that both sides agree."""
    if comparison is None:
        return ["nothing was compared: run leaderboard compare --as-of with the time of the dump"]
    lacks = []
    if comparison["age_s"] > COMPARISON_S_MAX:
        lacks.append(_too_old("last comparison", comparison["age_s"], COMPARISON_S_MAX))
    if comparison["dump_age_s"] > bounds.dump_s_max:
        lacks.append(_too_old("dump that was compared last", comparison["dump_age_s"], bounds.dump_s_max))
    if comparison["dump_age_s"] < comparison["age_s"] - _CLOCK_S_MAX:
        lacks.append("the last comparison is as of a moment that was still to come: is the zone of --as-of right?")
    if not comparison["common_users"]:
        lacks.append("no user is on both sides of the last comparison")
    if comparison["largest_difference"] > bounds.max_diff:
        largest = comparison["largest_difference"].normalize()
        lacks.append(
            f"a score differs by {largest:f}, more than {bounds.max_diff:f}: see what compare printed, and --max-diff"
        )
    if comparison["unclear"]:
        lacks.append(
            f"unclear in the other system: {count_text(comparison['unclear'], 'score')}: see what compare printed"
        )
    return lacks


def _too_old(what: str, age_s: float, bound_s: float) -> str:
    return f"the {what} is {age_s / 60:,.0f} minutes old; it must be younger than {bound_s / 60:g}"
