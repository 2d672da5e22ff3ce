"""Carries out visibility intents in this persister's partitions: hiding, showing, erasing, releasing.

Each step may be repeated. This process remembers only how far the ledger has to be, and can compute that again.
"""

from collections.abc import Mapping
from typing import Any

from ..drivers.redis import Call, RedisConnection, ask
from ..model.entry import PlannedEntry
from ..model.entry_kinds import kind_of
from ..model.visibility import ERASE, RELEASE, VisibilityIntent
from ..store.announcements import Announcer
from ..store.apply import CallRefused, Outcome
from ..store.ledger_offset import LedgerOffset
from ..store.partitions import last_place_call
from ..store.profile_cache import forget_name_call, forget_own_name_call
from ..store.visibility import clear_state_call, delete_values_call, intent_from_row, move, plan, state_call
from .erase import finish
from .faults import ERASURE, EVERYWHERE, INTENT, Faults, WorkUnit
from .ledger_session import LedgerSession
from .partition_round import PartitionRound

#: Intents of one pass: each moves a user on boards, and the ledger waits meanwhile.
INTENTS_MAX = 100


class VisibilityWorker:
    """Carries out the intents of one persister's partitions. `apply_link` has apply.lua, `link` the small scripts."""

    def __init__(self, link: RedisConnection, apply_link: RedisConnection, faults: Faults | None = None) -> None:
        self._faults = Faults() if faults is None else faults
        self._link = link
        self._apply_link = apply_link
        self._marks: dict[tuple[int, int], tuple[int, int]] = {}
        self._after = 0

    async def apply_intents(self, session: LedgerSession, offsets: Mapping[int, LedgerOffset]) -> None:
        """Carries out the open intents that can be carried out now. Those that must wait, or fail, come again in the
        next pass."""
        rows = await session.fetch("get_open_intents", list(offsets), self._after, INTENTS_MAX)
        self._after = rows[-1]["version"] if len(rows) == INTENTS_MAX else 0
        if not rows:
            self._marks.clear()
        for row in rows:
            intent = intent_from_row(row)
            done = [
                p for p in row["pending_partitions"] if p in offsets and await self._try(session, intent, p, offsets[p])
            ]
            if done:
                await session.fetch("confirm_intent", intent.number, intent.version, done)
        for row in await session.fetch("get_settled_erasures", self._faults.names(EVERYWHERE, ERASURE)):
            with self._faults.guard(WorkUnit(EVERYWHERE, ERASURE, str(row["user_number"]))):
                await self._erase(session, intent_from_row(row))
        await session.fetch("delete_released_intents")

    async def release_shown(self, session: LedgerSession) -> None:
        """Releases the states of users who are shown everywhere again, which no partition needs any more."""
        await session.fetch("release_shown_users")

    async def _try(self, session: LedgerSession, intent: VisibilityIntent, p: int, offset: LedgerOffset) -> bool:
        unit = WorkUnit(p, INTENT, f"{intent.number}, intent {intent.version},")
        done = False
        if self._faults.is_due(unit):
            with self._faults.guard(unit):
                done = await self._is_done(session, intent, p, offset)
        return done

    async def _is_done(self, session: LedgerSession, intent: VisibilityIntent, p: int, offset: LedgerOffset) -> bool:
        if intent.desired_state == RELEASE:
            await self._call(clear_state_call(p, intent))
            return True
        await self._call(state_call(p, intent, sure=True))
        at, (epoch, seq) = (intent.version, p), await self._call(last_place_call(p))
        # When the ledger has reached this place, it has everything that was applied before the state was set. In a new
        # epoch that place may be lost.
        mark = self._marks.setdefault(at, (int(epoch), int(seq)))
        if mark[0] != int(epoch):
            mark = self._marks[at] = int(epoch), int(seq)
        if offset.seq < mark[1]:
            return False

        partition_round = PartitionRound(self._apply_link, p, offset)

        async def submit(p: int, entries: list[PlannedEntry]) -> list[Outcome]:
            return await partition_round.submit(entries)

        entries = (await plan(session.fetch, intent, [p])).get(p, [])
        try:
            moved = await move(submit, p, entries)
        except CallRefused:
            return False
        if not moved.done or moved.place[1] > offset.seq:
            return False  # What the ledger does not hold may be lost with the log's end.
        if intent.desired_state == ERASE and not await self._is_clear(session, intent, p, entries):
            del self._marks[at]  # A heal that comes meanwhile names the user, too.
            return False
        return True

    async def _is_clear(
        self, session: LedgerSession, intent: VisibilityIntent, p: int, entries: list[PlannedEntry]
    ) -> bool:
        """Whether nothing in a partition names the user except the ledger. Deletes the user's balances and days."""
        if any(
            kind_of(duplicate.claimed.kind).is_first and duplicate.claimed.user == intent.name
            for duplicate in await session.open_heals(p)
        ):
            return False
        if await session.deleted_namespaces([p]):
            return False  # Their keys must be deleted first.
        for ns in {entry.namespace.id for entry in entries}:
            await self._call(delete_values_call(p, ns, intent.name))
        return True

    async def _erase(self, session: LedgerSession, intent: VisibilityIntent) -> None:
        """Erases the name: from the profiles in Redis, then from Postgres; then every partition releases it."""
        # A server that wrote the profile to Postgres may still write it to Redis: with this version Redis refuses that.
        (latest,) = await session.fetch("get_next_profile_version")
        await self._call(forget_name_call(intent.name, latest["version"]))
        (deployment,) = await session.fetch("get_deployment")
        announcer = Announcer(
            session.fetch, self._link.run_apart, deployment["partitions"], is_cluster=self._link.is_cluster
        )
        await announcer.announce_profiles()  # The name must not stay where changes are listed.
        for row in await session.fetch("get_profile_namespaces", intent.number):
            await self._call(
                forget_own_name_call(
                    row["partition"], namespace_id=row["id"], user=intent.name, version=latest["version"]
                )
            )
        await finish(session, intent)

    async def _call(self, call: Call) -> Any:
        return await ask(self._link, call, what="a user's state")
