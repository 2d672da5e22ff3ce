"""Wishes that are not true yet, of the partitions that this persister holds: hiding, showing, erasing, letting go.

Each step may be done again; what is remembered here only says how far the ledger has to be, and is found out anew.
"""

from collections.abc import Mapping
from time import monotonic
from typing import Any

from ..model.entry import GRANT, Entry
from ..model.veil import ERASE, RELEASE, Intent
from ..store import apply, keys
from ..store.apply import CallRefused, Outcome
from ..store.names import forget_name_call, forget_own_name_call
from ..store.partitions import read_head
from ..store.redis import Call, Link, Refused, evalsha
from ..store.veil import FORGET, intent_of, move, plan, release_call, state_call
from .erase import finish
from .faults import ERASURE, EVERYWHERE, INTENT, Faults, Unit
from .sink import Offset, Sink

#: Wishes that are looked at in a pass: each moves a user on boards, and the ledger waits meanwhile.
INTENTS_MAX = 100
#: Seconds between two looks for states of users that are not needed any more.
ENDS_S = 60.0


class People:
    """One persister's share. `apply_link` knows apply.lua, `link` the small scripts."""

    def __init__(self, link: Link, apply_link: Link, faults: Faults | None = None) -> None:
        self._faults = Faults() if faults is None else faults
        self._link = link
        self._apply_link = apply_link
        self._marks: dict[tuple[int, int], int] = {}
        self._after = 0
        self._ended = 0.0

    async def look(self, sink: Sink, offsets: Mapping[int, Offset]) -> None:
        """Does what can be done of what is open; those that have to wait, or fail, are met again the next time."""
        rows = await sink.fetch("open_intents", list(offsets), self._after, INTENTS_MAX)
        self._after = rows[-1]["version"] if len(rows) == INTENTS_MAX else 0
        if not rows:
            self._marks.clear()
        for row in rows:
            intent = intent_of(row)
            done = [p for p in row["open"] if p in offsets and await self._try(sink, intent, p, offsets[p])]
            if done:
                await sink.fetch("confirm_intent", intent.number, intent.version, done)
        for row in await sink.fetch("settled_erasures", self._faults.names(EVERYWHERE, ERASURE)):
            with self._faults.guard(Unit(EVERYWHERE, ERASURE, str(row["user_number"]))):
                await self._erase(sink, intent_of(row))
        await sink.fetch("drop_intents")
        if monotonic() - self._ended >= ENDS_S:
            await sink.fetch("end_veils")
            self._ended = monotonic()

    async def _try(self, sink: Sink, intent: Intent, p: int, offset: Offset) -> bool:
        unit = Unit(p, INTENT, f"{intent.number}, intent {intent.version},")
        done = False
        if self._faults.is_due(unit):
            with self._faults.guard(unit):
                done = await self._is_done(sink, intent, p, offset)
        return done

    async def _is_done(self, sink: Sink, intent: Intent, p: int, offset: Offset) -> bool:
        if intent.wish == RELEASE:
            await self._call(release_call(p, intent))
            return True
        await self._call(state_call(p, intent, sure=True))
        at = (intent.version, p)
        if at not in self._marks:
            # Whatever was applied before the state was there is in the ledger from this seq on.
            self._marks[at] = int(await self._call(("HGET", keys.meta(p), "seq")))
        if offset.seq < self._marks[at]:
            return False

        async def submit(p: int, entries: list[Entry]) -> list[Outcome]:
            return await self._submit(p, entries, offset)

        entries = (await plan(sink.fetch, intent, [p])).get(p, [])
        try:
            moved = await move(submit, p, entries)
        except CallRefused:
            return False
        if intent.wish != ERASE or not moved.done:
            return moved.done
        if moved.seq > offset.seq:
            return False
        if not await self._is_clear(sink, intent, p, entries):
            del self._marks[at]  # What is taken back meanwhile names the user, too.
            return False
        return True

    async def _is_clear(self, sink: Sink, intent: Intent, p: int, entries: list[Entry]) -> bool:
        """Whether the ledger holds all that names the user in a partition; their balances and days go."""
        if any(stray.claimed.kind == GRANT and stray.claimed.user == intent.name for stray in await sink.open_heals(p)):
            return False
        if await sink.deleted_namespaces([p]):
            return False  # Their keys go first.
        for ns in {entry.namespace.id for entry in entries}:
            gone = [keys.balances(p, ns) + intent.name, keys.days(p, ns) + intent.name, keys.space(p, ns)]
            await self._call(evalsha(FORGET, gone, []))
        return True

    async def _submit(self, p: int, entries: list[Entry], offset: Offset) -> list[Outcome]:
        head = await read_head(self._apply_link, p)
        head.known = (offset.epoch, offset.seq, offset.digest)
        (reply,) = await self._apply_link.run([apply.pack(p, entries, head)])
        return apply.read(reply)

    async def _erase(self, sink: Sink, intent: Intent) -> None:
        """The name goes: from the cache of profiles, then from Postgres; then every partition lets go of it."""
        # A server that wrote the profile to Postgres may write it to Redis yet: it is told that it comes too late.
        (latest,) = await sink.fetch("next_profile_version")
        await self._call(forget_name_call(intent.name, latest["version"]))
        for row in await sink.fetch("profiles_of_user", intent.number):
            await self._call(forget_own_name_call(row["partition"], row["id"], intent.name, latest["version"]))
        await finish(sink, intent)

    async def _call(self, call: Call) -> Any:
        (reply,) = await self._link.run([call])
        if isinstance(reply, Exception):
            raise Refused(f"Redis refuses what is wished for a user: {reply}")
        return reply
