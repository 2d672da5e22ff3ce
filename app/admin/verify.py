"""Verification: is every board and every balance in Redis what the ledger says, and is the ledger whole?

Nothing stops meanwhile. A namespace is read between two seqs; users whose entries lie between them moved, and are read
again, fewer each time, until none moved while they were read. What is left over is told as not verified.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Any

import asyncpg

from ..model.namespace import COUNTED, Namespace
from ..store import keys
from ..store.directory import namespace_of
from ..store.postgres import queries
from ..store.redis import Link
from .snapshot import ask, balance_cells, board_cells, board_cells_of, read_kept

FINDINGS_MAX = 1_000
ROUNDS_MAX = 20
FLUSH_S_MAX = 60.0
QUERY_S_MAX = 600.0

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it should be; where: what it was found in."""

    where: str
    what: str


class Verifier:
    """One run over all partitions. O(the ledger)."""

    def __init__(self, connection: asyncpg.Connection, link: Link) -> None:
        self._connection = connection
        self._link = link
        self.findings: list[Finding] = []
        self.cells = self.namespaces = 0

    async def run(self, partitions: int, progress: Progress) -> None:
        """Looks at every partition's ledger, then at every namespace."""
        await self._connection.execute(queries()["verify_tables"])
        for p in range(partitions):
            for row in await self._fetch("ledger_gaps", p):
                self._note(f"ledger, partition {p}", f"seq {row['seq']} follows {row['before']}: rows are missing")
        namespaces = [namespace_of(row) for row in await self._fetch("namespaces")]
        for place, namespace in enumerate(namespaces, 1):
            progress(f"{place} of {len(namespaces)}: {namespace.name}")
            await self._namespace(namespace)
            self.namespaces += 1

    async def _namespace(self, namespace: Namespace) -> None:
        for row in await self._fetch("standings_differing", namespace.id, FINDINGS_MAX):
            told = f"{row['held']} in {row['held_grants']} grants, the ledger adds up to {row['wanted']}"
            self._note(f"{namespace.name}, standings", f"{row['user']!r} has {told} in {row['wanted_grants']}")
        for row in await self._fetch("archives_differing", namespace.id, namespace.sign):
            self._note(f"{namespace.name}, archive", f"{row['board']} is not what its hash was made of")
        healing = await self._fetch("healing_users", namespace.partition, namespace.id)
        for row in healing:
            self._note(
                namespace.name, f"the duplicate {row['epoch']}-{row['seq']} of {row['name']!r} is not taken back yet"
            )
        spared = [row["name"] for row in healing]
        users: list[str] | None = None
        for _ in range(ROUNDS_MAX):
            users = await self._round(namespace, users, spared)
            if users == []:
                return
        self._note(namespace.name, f"{len(users) if users else 'all'} users never stood still: not verified")

    async def _round(self, namespace: Namespace, users: list[str] | None, spared: Sequence[str]) -> list[str] | None:
        """Compares all users, or some; who has to be looked at again, as they moved meanwhile."""
        p, kept = namespace.partition, await read_kept(self._link, namespace)
        await self._connection.execute(queries()["forget_cells"])
        first = await self._seq(p)
        await self._flushed(p, first)  # Whoever is to be compared is known to the ledger by then.
        if users is None:
            for board in kept.boards:
                async for cells in board_cells(self._link, namespace, board):
                    await self._hold(cells)
        else:
            await self._hold(await board_cells_of(self._link, namespace, kept.boards, users))
        known = users or [row["name"] for row in await self._fetch("users_of_namespace", namespace.id)]
        async for cells in balance_cells(self._link, namespace, known):
            await self._hold(cell for cell in cells if cell.cell[:2] != "b:" or cell.cell[2:] in kept.boards)
        last = await self._seq(p)
        if (await read_kept(self._link, namespace)).closed != kept.closed:
            return users  # A window was sealed: its boards may have left while they were read.
        await self._flushed(p, last)
        how = COUNTED[namespace.rules.aggregation, namespace.rules.order]
        closed, by_category = list(kept.closed), namespace.rules.category_boards
        await self._execute("want_cells", namespace.id, last, users, how, by_category, closed)
        self.cells += await self._connection.fetchval("SELECT count(*) FROM wanted_cells")
        moving = [row["name"] for row in await self._fetch("moved_since", p, namespace.id, first, last)]
        for row in await self._fetch("compare_cells", [*moving, *spared], FINDINGS_MAX):
            self._note(namespace.name, _told(namespace, row))
        return [user for user in moving if users is None or user in users]

    async def _hold(self, cells: Any) -> None:
        await self._connection.copy_records_to_table("held_cells", records=cells, columns=("user", "cell", "value"))

    async def _seq(self, p: int) -> int:
        return int(await ask(self._link, ("HGET", keys.meta(p), "seq")) or 0)

    async def _flushed(self, p: int, seq: int) -> None:
        """Waits until the ledger holds a seq. TimeoutError."""
        until = monotonic() + FLUSH_S_MAX
        while (await self._fetch("offset", p))[0]["seq"] < seq:
            if monotonic() > until:
                raise TimeoutError(f"the ledger of partition {p} does not reach seq {seq}: is a persister running?")
            await asyncio.sleep(0.05)

    async def _fetch(self, query: str, *args: Any) -> list[asyncpg.Record]:
        return list(await self._connection.fetch(queries()[query], *args, timeout=QUERY_S_MAX))

    async def _execute(self, query: str, *args: Any) -> None:
        await self._connection.execute(queries()[query], *args, timeout=QUERY_S_MAX)

    def _note(self, where: str, what: str) -> None:
        if len(self.findings) < FINDINGS_MAX:
            self.findings.append(Finding(where, what))


def _told(namespace: Namespace, row: asyncpg.Record) -> str:
    """A difference in words."""
    kind, _, name = row["cell"].partition(":")
    what = {"b": f"board {name}", "c": f"category {name}", "s": f"source {name}", "d": f"day {name}"}.get(kind, kind)
    plain = kind in ("count", "d", "last")
    held, wanted = (value if plain else namespace.number_or_none(value) for value in (row["held"], row["wanted"]))
    return f"{row['user']!r}, {what}: {_value(held)} in Redis, {_value(wanted)} by the ledger"


def _value(value: int | float | None) -> str:
    return "nothing" if value is None else str(value)
