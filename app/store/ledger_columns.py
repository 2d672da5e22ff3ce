"""The columns of a ledger row that an entry fills, in the order in which rows are written and hashed."""

from collections.abc import Sequence
from typing import Any

#: Texts that an erasure clears. The ledger chain covers them by digests.
TEXT_COLUMNS = ("source_id", "session_id", "reason", "actor", "request_digest")
#: All others, as the ledger chain hashes them: the last one, which came later, only where it is true.
FIXED_COLUMNS = (
    *("partition", "epoch", "seq", "kind", "namespace_id", "grant_id", "revision", "user_number"),
    *("entry_amount", "live_delta", "score", "category", "source", "action", "granted_at", "recorded_at", "windows"),
    *("digest", "score_delta", "amount", "voided", "verb", "idempotency_key", "day", "original_seq", "opening"),
)
#: What an entry fills.
ENTRY_COLUMNS = (*FIXED_COLUMNS, *TEXT_COLUMNS)
#: What the ledger chain adds: the hash of the row, the salt of its texts, and, once they are cleared, their digests.
CHAIN_COLUMNS = ("chain_hash", "salt", "text_digests")
_FIXED = len(FIXED_COLUMNS)


def hashed_values(values: Sequence[Any]) -> Sequence[Any]:
    """What the hash of a row covers of its values, which are those of ENTRY_COLUMNS or of FIXED_COLUMNS. A row that is
    no opening balance is hashed as before there was such a column."""
    return values[: _FIXED if values[_FIXED - 1] else _FIXED - 1]
