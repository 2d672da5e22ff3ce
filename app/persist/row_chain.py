"""Rows of the ledger with their hashes: each goes on where the row before it in its partition ends."""

import os
from collections.abc import Mapping, Sequence
from typing import Any

from ..model.ledger_chain import HASH_BYTES, LedgerChain, text_digests
from ..store.ledger_columns import CHAIN_COLUMNS, ENTRY_COLUMNS, FIXED_COLUMNS, hashed_values
from .ledger_row import LedgerRow, row_values

#: The columns of a record.
RECORD_COLUMNS = (*ENTRY_COLUMNS, *CHAIN_COLUMNS[:2])
_FIXED = len(FIXED_COLUMNS)


def chain_records(
    chain: LedgerChain, p: int, last: bytes, rows: Sequence[LedgerRow], numbers: Mapping[str, int]
) -> tuple[list[tuple[Any, ...]], bytes]:
    """Rows of a partition as records in the order of RECORD_COLUMNS, and the hash of the last one. last: that of
    the row before them; empty where no row before has one. numbers: of users, by name. O(rows)."""
    records, last = [], last or chain.begin(p)
    salts = os.urandom(HASH_BYTES * len(rows))
    for i, row in enumerate(rows):
        values = row_values(row, numbers)
        texts, salt, digests = values[_FIXED:], None, b""
        if any(text is not None for text in texts):
            salt = salts[i * HASH_BYTES : (i + 1) * HASH_BYTES]
            digests = text_digests(salt, texts)
        last = chain.row_hash(last, hashed_values(values), digests)
        records.append((*values, last, salt))
    return records, last
