"""The boards of a namespace on which users are compared where the ledger lost rows, and what the ledger says of users
on them.

A window that was closed in the gap, or behind it, may still be in Redis. Its boards count what came before its seal, so
they are compared as of that.
"""

from collections.abc import Sequence
from typing import NamedTuple

import asyncpg

from ..drivers.postgres import queries
from ..drivers.redis import RedisConnection, ask
from ..model.namespace import Namespace
from ..model.user_cells import CellBuilder, Cells
from ..store import fields
from ..store.boards import base_of
from ..store.namespace_fields import boards_in, fields_call
from ..store.user_cells import read_user_cells
from ..verify.redis_values import BoardNames
from .ledger_gap import LedgerGap


class GapWindow(NamedTuple):
    """A window that was closed in a gap of the ledger, or behind it. seq: up to which its boards count; has_seal:
    whether the ledger has its seal; is_in_redis: whether its boards are there."""

    name: str
    seq: int
    has_seal: bool
    is_in_redis: bool


class GapBoards:
    """names: the boards to read, and all closed windows; windows: those that were closed in the gap or behind it."""

    def __init__(self, namespace: Namespace, names: BoardNames, windows: Sequence[GapWindow]) -> None:
        self.names = names
        self.windows = windows
        self._namespace = namespace
        self._builder = CellBuilder(namespace, names.closed)
        self._closed = [(window, CellBuilder(namespace, only=window.name)) for window in windows if window.is_in_redis]

    async def expected_cells(
        self, connection: asyncpg.Connection, numbers: Sequence[int], seq: int
    ) -> dict[int, Cells]:
        """The cells of some users by the ledger, as of a seq, and on the boards of a closed window as of its seal.
        O(their entries × closed windows × log n)."""
        cells: dict[int, Cells] = {number: {} for number in numbers}
        namespace, count = self._namespace, len(numbers)
        users = await read_user_cells(connection, namespace, self._builder, numbers, [seq] * count)
        for window, builder in self._closed:
            seqs = [window.seq] * count
            made = await read_user_cells(connection, namespace, builder, numbers, seqs, window.name)
            for number, user in made.items():
                cells[number] |= user.cells
        for number, user in users.items():
            cells[number] |= user.cells
        return cells


async def read_gap_boards(
    link: RedisConnection, connection: asyncpg.Connection, namespace: Namespace, gap: LedgerGap
) -> GapBoards:
    """What is compared in a namespace. A seal that the ledger lost was in the gap. RedisRefused; O(the hash of the
    namespace)."""
    flat = await ask(link, fields_call(namespace))
    states = {
        name.decode().removeprefix(fields.WINDOW_STATE): value
        for name, value in zip(flat[::2], flat[1::2], strict=True)
        if name.startswith(fields.WINDOW_STATE.encode())
    }
    seals = {row["window"]: row for row in await connection.fetch(queries()["get_all_seals"], namespace.id)}
    windows = []
    for name in sorted(states):
        seal, is_in_redis = seals.get(name), not states[name].startswith(b"a")
        if seal is None:
            windows.append(GapWindow(name, gap.last_seq, has_seal=False, is_in_redis=is_in_redis))
        elif seal["seq"] >= gap.last_seq and not seal["is_archived"]:
            windows.append(GapWindow(name, seal["seq"], has_seal=True, is_in_redis=is_in_redis))
    closed = frozenset(states)
    gone = closed - {window.name for window in windows if window.is_in_redis}
    boards = tuple(name for name in boards_in(flat[::2]) if base_of(name) not in gone)
    return GapBoards(namespace, BoardNames(boards, closed), windows)
