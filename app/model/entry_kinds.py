"""The kinds of entry, and in one table how each behaves. lua/include/entry_kinds.lua is the script's half of it.

Code asks a row of the table and compares no kind by name. A new kind is a row here and one in the script's table, ops
of its own where it needs them (model/ops), and its event (model/event).
"""

from enum import Enum
from typing import NamedTuple


class Repeat(Enum):
    """What happens to an entry that counted twice and that only the ledger recognised."""

    HEAL = "a heal takes it back"
    IGNORE = "it leaves things as they are: nothing is to be done"
    REPORT = "it cannot come twice; if one does, it is a fault"


class EntryKind(NamedTuple):
    """How entries of a kind behave.

    name: in the log and in the ledger. letter: in front of its ops, so that the script knows it; "": a plain grant.
    verbs: the values of its `verb` in the ledger; each makes an event of its own, unless it is silent. is_revision: it
    carries a grant's new state, so it can be recorded later or taken off the boards, and may come after a seal.
    is_first: it creates the grant, and its amount is the grant's. settles: it takes back the entry in its name.
    closes_window: its grant_id is a window's name. names_cells: its ops name each cell that changes. hides: it moves a
    user's scores between the boards and the hidden scores.
    """

    name: str
    letter: str
    repeat: Repeat
    verbs: tuple[str, ...] = ()
    is_revision: bool = False
    is_first: bool = False
    settles: bool = False
    closes_window: bool = False
    names_cells: bool = False
    hides: bool = False


#: The verb of a grant that waits for an admin's decision.
QUARANTINE_VERB = "quarantine"
#: The verb of entries that move a user on further boards. They make no event, because the first entry makes one.
MOVE_ONLY_VERB = "moved"

GRANT = EntryKind("grant", "", Repeat.HEAL, verbs=(QUARANTINE_VERB,), is_revision=True, is_first=True)
CORRECTION = EntryKind(
    "correction", "c", Repeat.REPORT, verbs=("edit", "void", "restore"), is_revision=True, names_cells=True
)
HEAL = EntryKind("heal", "t", Repeat.REPORT, settles=True, names_cells=True)
SEAL = EntryKind("seal", "s", Repeat.IGNORE, closes_window=True)
HIDE = EntryKind("hide", "h", Repeat.IGNORE, verbs=(MOVE_ONLY_VERB,), hides=True)
UNHIDE = EntryKind("unhide", "h", Repeat.IGNORE, verbs=(MOVE_ONLY_VERB,), hides=True)
ERASE = EntryKind("erase", "h", Repeat.IGNORE, verbs=(MOVE_ONLY_VERB,), hides=True)

#: The entry with which a partition goes on in a new epoch, behind a rebuild. It belongs to no namespace.
REBUILD = EntryKind("rebuild", "", Repeat.IGNORE)

#: What Redis has of a user, and Postgres lost with rows that no log holds any more: it moves nothing.
LOSS = EntryKind("loss", "", Repeat.REPORT)

#: By the name in the log.
KINDS = {kind.name: kind for kind in (GRANT, CORRECTION, HEAL, SEAL, HIDE, UNHIDE, ERASE)}


def kind_of(name: str) -> EntryKind:
    """The row of a kind by its name in the log. An unknown kind, written by a later version, gets a row with no
    properties."""
    return KINDS.get(name) or EntryKind(name, "", Repeat.REPORT)


#: A grant that an admin backfills; the log names it `grant`.
BACKFILL = GRANT._replace(letter="b")
#: The second recording of a dead letter, which moves nothing; the log gives it the letter's kind.
RETRY = EntryKind("retry", "r", Repeat.REPORT, names_cells=True)

#: Kinds of row that only the ledger has: for an entry that it already had, or could not record; and for entries that no
#: log holds, of which it lost the rows, and a correction of a grant that was among them.
DUPLICATE, TOMBSTONE, GAP, ORPHAN = "duplicate", "tombstone", "gap", "orphan"
