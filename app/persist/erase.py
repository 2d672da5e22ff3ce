"""Completes an erasure: clears texts in the ledger, then deletes the user's data and name from Postgres in one
transaction.

The ledger's rows have the user's number and stay, so all sums stay. The name becomes one that no client can use. The
old name then belongs to a new user.
"""

import msgspec

from ..model.entry import LogEntry
from ..model.visibility import VisibilityIntent, erased_name
from ..store.ledger_columns import TEXT_COLUMNS
from .ledger_session import LedgerSession

#: Rows whose texts one statement clears: a fraction of a second.
ROWS_A_STATEMENT_MAX = 5_000

_unpack = msgspec.msgpack.Decoder(LogEntry).decode
_pack = msgspec.msgpack.Encoder().encode


async def finish(session: LedgerSession, intent: VisibilityIntent) -> None:
    """Erases a user who is cleared from every partition. Does nothing if another persister was faster."""
    # In steps of their own, and again if a process ends between: a user may have a million rows.
    while await session.count_changed("clear_texts_of_user", intent.number, ROWS_A_STATEMENT_MAX):
        pass
    async with session.transaction():
        if not await session.fetch("lock_erasure", intent.number, intent.version):
            return
        name = erased_name(intent.number)
        await session.fetch("delete_grant_meta_of_user", intent.number)
        await session.fetch("clear_sources_of_user", intent.number)
        await session.fetch("delete_profiles", intent.number)
        for row in await session.fetch("find_dead_letters_naming", intent.name):
            await session.fetch("update_dead_letter_entry", *row[:3], _without(row["entry"], intent.name, name))
        await session.fetch("settle_dead_letters_of_user", intent.number)
        await session.fetch("replace_user_name", intent.number, name)
        await session.fetch("delete_searchable_users", intent.number)
        await session.fetch("release_erased_user", intent.number)
        # Last: a change of the deployment's state locks its row at the commit, behind all other rows.
        await session.fetch("increment_erasures")


def _without(packed: bytes, user: str, name: str) -> bytes:
    """An entry without its user's name, meta and texts. One of another user stays as it is; one that cannot be read
    becomes empty."""
    try:
        entry = _unpack(packed)
    except msgspec.DecodeError:
        return b""
    if entry.user != user:
        return packed
    return _pack(msgspec.structs.replace(entry, user=name, meta=None, **dict.fromkeys(TEXT_COLUMNS)))
