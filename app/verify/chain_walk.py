"""The ledger chain of one partition, row by row: finds rows that were changed, removed or inserted.

A row whose hash does not follow from the row before it is a fault. What the fault is, the next row tells: it goes on
from the hash that the faulty row should have, from the one that it has, or from the row before it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import asyncpg

from ..model.entry_kinds import GAP
from ..model.entry_names import parse_gap_name
from ..model.ledger_chain import HASH_BYTES, LedgerChain, text_digests
from ..store.ledger_columns import FIXED_COLUMNS, TEXT_COLUMNS, hashed_values

_CHANGED = "the row was changed"
_UNCLEAR = "the row does not follow from the one before it: one of the two was changed"
_NO_HASH = bytes(HASH_BYTES)  # in place of one that was removed
Row = Mapping[str, Any] | asyncpg.Record
Place = tuple[int, int]
Note = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class ChainHead:
    """Where a partition's ledger ends, as its offset says: the hash of the last row there, and the proof of it."""

    partition: int
    epoch: int
    seq: int
    last: bytes
    mac: bytes

    @classmethod
    def of_row(cls, row: Row) -> "ChainHead":
        """From a row of `get_chain_heads`."""
        last, mac = bytes(row["chain_hash"]), bytes(row["chain_mac"])
        return cls(row["partition"], row["epoch"], row["seq"], last, mac)

    @property
    def place(self) -> tuple[int, int, int]:
        """Partition, epoch and seq."""
        return self.partition, self.epoch, self.seq

    def is_proven(self, chain: LedgerChain) -> bool:
        """Whether who has the digest key wrote it; so one is of which no row has a hash yet."""
        return self.mac == chain.head_mac(self.place, self.last) or not (self.last or self.mac)


@dataclass(slots=True)
class ChainWalk:
    """One walk, from a partition's first row to its last. note: takes what is wrong.

    unchained: rows from before there were hashes. rows: how many were looked at. lost: those that rows of the kind
    `gap` stand for.
    """

    chain: LedgerChain
    partition: int
    note: Note
    rows: int = 0
    unchained: int = 0
    lost: int = 0
    _last: bytes = b""  # the hash of the row before; empty: none had one
    _before: Place = (0, 0)
    _causes: dict[bytes, str] = field(default_factory=dict)  # of the fault before, by the hash that would go on from it
    _fault: Place | None = None

    def step(self, row: Row) -> None:
        """Looks at the next row, as `get_chained_rows` gives it. O(its bytes)."""
        place = row["epoch"], row["seq"]
        self.rows += 1
        has_gap, self._before = not self._is_recorded_gap(row) and self._note_gap(place), place
        actual = row["chain_hash"]
        if actual is None and not self._last:
            self.unchained += 1
            return
        values, digests = hashed_values([row[name] for name in FIXED_COLUMNS]), self._digests(row, place)
        before = self._last or self.chain.begin(self.partition)
        proper = self.chain.row_hash(before, values, digests)
        if actual == proper:
            self._explain(_CHANGED)
        elif self.unchained and not self._last:
            self.note(f"{_text(*place)}: the chain begins here by itself: the hashes of rows before it were removed")
        else:
            others = {self.chain.row_hash(one, values, digests): cause for one, cause in self._causes.items()}
            if not self._explain(others.get(actual)) and not has_gap:
                self._begin_fault(place, actual, {proper: "its hash was changed", before: "it was inserted"})
        self._last = actual or _NO_HASH

    def end(self, head: ChainHead) -> None:
        """Compares the end with the head that was read before the walk."""
        end = _text(head.epoch, head.seq)
        if self._before != (head.epoch, head.seq):
            self.note(f"{end}: the ledger ended here, and its rows end at {_text(*self._before)}: rows are missing")
        elif head.last != self._last and not self._explain(self._causes.get(head.last)):
            self.note(f"{end}: the head of the chain is not the hash of this last row")
        self._explain(_CHANGED)
        if not head.is_proven(self.chain):
            self.note(f"{end}: the head of the chain was changed: no persister with this digest key wrote it")

    def _is_recorded_gap(self, row: Row) -> bool:
        """Whether a row stands for all rows between it and the one before; counts those."""
        gap = parse_gap_name(row["grant_id"]) if row["kind"] == GAP else None
        if gap is None or gap != (self._before[1] + 1, row["seq"]):
            return False
        self.lost += gap[1] - gap[0] + 1
        return True

    def _note_gap(self, place: Place) -> bool:
        """Whether rows are missing before a place; notes that, and a row that stands where none can be."""
        (_, seq_before), (_, seq) = self._before, place
        if seq == seq_before + 1:
            return False
        if seq <= seq_before:
            self.note(f"{_text(*place)}: it stands behind {_text(*self._before)}: one of the two was inserted")
            return False
        self._explain(_UNCLEAR)
        first, last = seq_before + 1, seq - 1
        lack = f"row {last} is missing" if first == last else f"rows {first} to {last} are missing"
        self.note(f"{_text(*place)}: {lack} before it")
        return True

    def _digests(self, row: Row, place: Place) -> bytes:
        """What stands for the texts in the hash of a row."""
        texts = [row[name] for name in TEXT_COLUMNS]
        has_texts = any(text is not None for text in texts)
        if row["salt"] is None and row["text_digests"] is not None:
            if has_texts:
                self.note(f"{_text(*place)}: its texts were erased, and others written in their place")
            return bytes(row["text_digests"])
        return text_digests(row["salt"] or b"", texts) if has_texts or row["salt"] is not None else b""

    def _begin_fault(self, place: Place, actual: bytes | None, causes: dict[bytes, str]) -> None:
        self._explain(_UNCLEAR)
        self._fault, self._causes = place, causes
        if actual is not None:
            self._causes[actual] = _CHANGED

    def _explain(self, cause: str | None) -> bool:
        """Notes the fault before, if there is one and a later row tells what it is."""
        if cause is None or self._fault is None:
            return False
        self.note(f"{_text(*self._fault)}: {cause}")
        self._fault, self._causes = None, {}
        return True


def _text(epoch: int, seq: int) -> str:
    return f"{epoch}-{seq}"
