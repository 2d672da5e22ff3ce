"""One namespace written anew from the ledger, resumable behind the last user that was written."""

from collections.abc import Callable
from typing import NamedTuple

import asyncpg

from ..drivers.postgres import queries
from ..drivers.redis import Call, RedisConnection
from ..model.namespace import Namespace
from ..model.user_cells import CellBuilder, GrantGroup, UserCells
from ..store.rebuilds import LedgerEnd, write_progress, write_window_states
from ..store.restore import RestorePacker, read_progress
from .user_walk import UserWalk

#: Kinds of grants whose boards and labels one call names: some ms of Redis.
KINDS_A_CALL_MAX = 100


class RebuildProgress(NamedTuple):
    """How far a rebuild has come, as meta tells it. scope: the id of the one namespace that it writes, 0 for all;
    namespace_id: the one that it is at; part: 0 for what is open, then each closed window that is not archived; last:
    the number of the last user that was written."""

    epoch: int
    scope: int = 0
    namespace_id: int = 0
    part: int = 0
    last: int = 0

    @classmethod
    def parse(cls, text: str) -> "RebuildProgress | None":
        """None where no rebuild is under way, or it has not cleared all keys yet."""
        words = text.split()
        return cls(*map(int, words)) if len(words) == len(cls._fields) else None

    def __str__(self) -> str:
        return " ".join(map(str, self))


class RebuildMoved(Exception):
    """Another rebuild writes this partition: this one stopped, and wrote nothing more."""


class NamespaceRebuild:
    """Writes one namespace of a closed partition. step: called with the number of users that were written."""

    def __init__(
        self,
        connection: asyncpg.Connection,
        link: RedisConnection,
        namespace: Namespace,
        end: LedgerEnd,
        now: int,
        step: Callable[[int], None],
    ) -> None:
        self._connection = connection
        self._link = link
        self._namespace = namespace
        self._end = end
        self._now = now
        self._step = step
        self.scores = 0

    async def run(self, progress: RebuildProgress) -> RebuildProgress:
        """Goes on behind a progress; the progress at its end. RebuildMoved, RedisRefused; the stores' errors.

        O(the namespace's entries × log n + scores × log n).
        """
        namespace, version = self._namespace, self._end.seq + 1
        if progress.namespace_id != namespace.id:
            before, progress = progress, RebuildProgress(progress.epoch, progress.scope, namespace.id)
            await self._write_former_kinds(before, progress)
        seals = await self._connection.fetch(queries()["get_all_seals"], namespace.id)
        states = {row["window"]: f"a {version}" if row["is_archived"] else "s" for row in seals}
        await write_window_states(self._link, namespace.partition, namespace.id, states)
        passes = [(None, self._end.seq), *((row["window"], row["seq"]) for row in seals if not row["is_archived"])]
        for part, (window, seq) in enumerate(passes):
            if part < progress.part:
                continue
            if part > progress.part:
                progress = progress._replace(part=part, last=0)
                await write_progress(self._link, namespace.partition, str(progress))
            progress = await self._write_users(progress, frozenset(states), window, seq)
        return progress

    async def _write_users(
        self, progress: RebuildProgress, closed: frozenset[str], window: str | None, seq: int
    ) -> RebuildProgress:
        walk = UserWalk(self._connection, self._namespace, seq=seq, now=self._now, closed=closed, window=window)
        packer = RestorePacker(self._namespace, has_balances=window is None)
        async for portion in walk.portions(progress.last):
            after = progress._replace(last=portion.last)
            call = packer.call(portion.users, str(progress), str(after), self._end.seq + 1)
            await self._send(call)
            self.scores += sum(name[:2] == "b:" for user in portion.users for name in user.state.cells)
            progress = after
            self._step(portion.size)
        return progress

    async def _write_former_kinds(self, before: RebuildProgress, after: RebuildProgress) -> None:
        """Boards and labels that corrected grants once had: they are known to the namespace though nobody has a score
        there."""
        rows = await self._connection.fetch(queries()["get_kinds_of_corrected_grants"], self._namespace.id)
        seals = await self._connection.fetch(queries()["get_all_seals"], self._namespace.id)
        builder = CellBuilder(self._namespace, frozenset(row["window"] for row in seals))
        kinds = [_kind(builder, row["windows"], row["category"], row["source"]) for row in rows]
        packer = RestorePacker(self._namespace)
        for first in range(0, len(kinds), KINDS_A_CALL_MAX):
            some = kinds[first : first + KINDS_A_CALL_MAX]
            await self._send(packer.call([], str(before), str(before), self._end.seq + 1, some))
        await self._send(packer.call([], str(before), str(after), self._end.seq + 1))

    async def _send(self, call: Call) -> None:
        (reply,) = await self._link.run([call])
        if (progress := read_progress(reply)) is not None:
            raise RebuildMoved(f"partition {self._namespace.partition} is at {progress!r} by another rebuild")


def _kind(builder: CellBuilder, windows: list[str], category: str | None, source: str | None) -> UserCells:
    group = GrantGroup(" ".join(windows), category, source, None, False, 1, 0, 0, 0, 0, [0, 0], None, None)
    kind = UserCells(0, None, None, False, False, groups=[group])
    builder.build(kind)
    return kind
