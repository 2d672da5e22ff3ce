"""The ledger for corrections: a grant's last state, and what a user's other grants add up to."""

from collections.abc import Collection, Sequence

import asyncpg

from ..drivers.postgres import Postgres
from ..model.cell_ops import Cell
from ..model.correction import GrantState, IdempotencyRecord
from ..model.entry_kinds import QUARANTINE_VERB
from ..model.micros import to_micros
from ..model.namespace import Namespace
from .other_grants import other_grants_cells

# What names an entry of the ledger: namespace id, kind, grant_id, revision.
EntryKey = tuple[int, str, str, int]


class Ledger:
    """Reads the ledger in Postgres. Each method may raise StoreUnavailable."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres

    async def offsets(self) -> dict[int, tuple[int, int, bytes]]:
        """The ledger's last entry of each partition: epoch, seq and digest. O(partitions)."""
        rows = await self._postgres.fetch("get_offsets")
        return {row["partition"]: (row["epoch"], row["seq"], bytes(row["digest"])) for row in rows}

    async def seq(self, p: int) -> int:
        """The seq of the ledger's last entry of a partition."""
        row = await self._postgres.fetch_one("get_offset", p)
        return 0 if row is None else int(row["seq"])

    async def get_grants(self, namespace: Namespace, grant_ids: Sequence[str]) -> dict[str, GrantState]:
        """Those of some grants that exist, in their current state. O(log n) each."""
        rows = await self._postgres.fetch("get_grants", namespace.id, list(grant_ids))
        return {row["grant_id"]: _state_from_row(row) for row in rows}

    async def find_by_idempotency_key(
        self, namespace: Namespace, keys: Sequence[str]
    ) -> dict[str, list[IdempotencyRecord]]:
        """The corrections made with some Idempotency-Keys, oldest first. O(log n) each."""
        records: dict[str, list[IdempotencyRecord]] = {}
        for row in await self._postgres.fetch("find_by_idempotency_key", namespace.id, list(keys)) if keys else ():
            digest = None if row["request_digest"] is None else bytes(row["request_digest"])
            records.setdefault(row["idempotency_key"], []).append(
                IdempotencyRecord(row["grant_id"], row["revision"], digest)
            )
        return records

    async def find_recorded(self, entry_keys: Sequence[EntryKey], partitions: Collection[int]) -> set[EntryKey]:
        """Those of some entries that the ledger holds. partitions: those of the entries. O(log n) each."""
        if not entry_keys:
            return set()
        columns = [list(column) for column in zip(*entry_keys, strict=True)]
        rows = await self._postgres.fetch("find_recorded_entries", *columns, sorted(partitions))
        return {tuple(row) for row in rows}

    async def letters(self, p: int, places: Sequence[tuple[int, int]]) -> dict[tuple[int, int], bool]:
        """The dead letters at some places (epoch, seq) of a partition, each with whether it is settled: recorded, or
        taken off the boards. O(log n) each."""
        columns = [epoch for epoch, _ in places], [seq for _, seq in places]
        rows = await self._postgres.fetch("get_dead_letters_at", p, *columns)
        return {(row["epoch"], row["seq"]): row["is_settled"] for row in rows}

    async def others(
        self, namespace: Namespace, user: str, grant_ids: Sequence[str], cells: Sequence[str]
    ) -> dict[str, Cell]:
        """What a user's live grants, except some, add up to in each cell: see `other_grants_cells`."""
        return await other_grants_cells(self._postgres.fetch, namespace, user, grant_ids, cells)


def _state_from_row(row: asyncpg.Record) -> GrantState:
    fields = ("grant_id", "user", "revision", "amount", "category", "source", "source_id", "action", "session_id")
    return GrantState(
        **{field: row[field] for field in fields},
        granted_at=to_micros(row["granted_at"]),
        windows=tuple(row["windows"]),
        voided=row["voided"],
        day=None if row["day"] is None else row["day"].isoformat(),
        quarantined=row["verb"] == QUARANTINE_VERB,
        seq=row["first_seq"],
        has_open_letter=row["has_open_letter"],
        opening=row["opening"],
    )
