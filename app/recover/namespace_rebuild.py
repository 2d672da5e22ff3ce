"""One namespace written anew from the ledger, resumable behind the last user that was written."""

import asyncio
from collections.abc import Callable, Sequence

import asyncpg

from ..drivers.postgres import queries
from ..drivers.redis import Call, RedisConnection
from ..model.namespace import Namespace
from ..model.user_cells import CellBuilder, GrantGroup, UserCells
from ..store.ledger_offset import LedgerOffset
from ..store.rebuilds import write_progress, write_window_states
from ..store.rebuilt_users import UserPacker, read_progress
from ..task_end import cancel_and_wait
from .progress import RebuildMoved, RebuildProgress
from .user_walk import UserPortion, UserWalk

#: Kinds of grants whose boards and labels one call names: some ms of Redis.
KINDS_A_CALL_MAX = 100


class NamespaceRebuild:
    """Writes one namespace of a closed partition. step: called with the number of users that were written; numbers: of
    the users who are written in place of what stands there of them; None: all users are, and nothing stands there."""

    def __init__(
        self,
        connection: asyncpg.Connection,
        link: RedisConnection,
        namespace: Namespace,
        end: LedgerOffset,
        now: int,
        step: Callable[[int], None],
        numbers: Sequence[int] | None = None,
    ) -> None:
        self._numbers = numbers
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
            before, progress = progress, progress._replace(namespace_id=namespace.id, part=0, last=0)
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
        numbers = self._numbers
        walk = UserWalk(
            self._connection, self._namespace, seq=seq, now=self._now, closed=closed, window=window, numbers=numbers
        )
        packer = UserPacker(self._namespace, has_balances=window is None, are_replaced=numbers is not None)
        # While Redis writes one call, the next one is read and packed.
        under_way: asyncio.Task[None] | None = None
        try:
            async for portion in walk.portions(progress.last):
                after = progress._replace(last=portion.last)
                call = packer.call(portion.users, str(progress), str(after), self._end.seq + 1)
                if under_way is not None:
                    await under_way
                under_way, progress = asyncio.create_task(self._write(call, portion)), after
                await asyncio.sleep(0)  # it is sent
            if under_way is not None:
                await under_way
        finally:
            if under_way is not None:
                await cancel_and_wait(under_way)
        return progress

    async def _write(self, call: Call, portion: UserPortion) -> None:
        await self._send(call)
        self.scores += sum(name[:2] == "b:" for user in portion.users for name in user.state.cells)
        self._step(portion.size)

    async def _write_former_kinds(self, before: RebuildProgress, after: RebuildProgress) -> None:
        """Boards and labels that corrected grants once had: they are known to the namespace though nobody has a score
        there. Where only some users are written, these boards stand beside theirs."""
        query = queries()["get_kinds_of_corrected_grants"]
        rows = await self._connection.fetch(query, self._namespace.id) if self._numbers is None else []
        seals = await self._connection.fetch(queries()["get_all_seals"], self._namespace.id)
        builder = CellBuilder(self._namespace, frozenset(row["window"] for row in seals))
        kinds = [_kind(builder, row["windows"], row["category"], row["source"]) for row in rows]
        packer = UserPacker(self._namespace)
        for first in range(0, len(kinds), KINDS_A_CALL_MAX):
            some = kinds[first : first + KINDS_A_CALL_MAX]
            await self._send(packer.call([], str(before), str(before), self._end.seq + 1, some))
        await self._send(packer.call([], str(before), str(after), self._end.seq + 1))

    async def _send(self, call: Call) -> None:
        (reply,) = await self._link.run([call])
        if (progress := read_progress(reply)) is not None:
            raise RebuildMoved(
                f"another rebuild writes partition {self._namespace.partition}, and is at "
                f"{progress!r}: wait until it has ended"
            )


def _kind(builder: CellBuilder, windows: list[str], category: str | None, source: str | None) -> UserCells:
    group = GrantGroup(" ".join(windows), category, source, None, False, 1, 0, 0, 0, 0, [0, 0], None, None)
    kind = UserCells(0, None, None, False, False, groups=[group])
    builder.build(kind)
    return kind
