"""Events of a namespace, as an auditor reads them: one struct for each `type`.

Event (at, actor)
├── LedgerEvent (seq, epoch): from the ledger. WindowSealed
│   ├── GrantEvent (user_id): Granted, Quarantined, Edited, Voided, Restored, Duplicated, Healed
│   └── UserEvent (user_id): UserHidden, UserUnhidden, UserErased, LossRecorded
└── AuditEvent (audit_id): from the audit. NamespaceCreated, NamespaceChanged, NamespaceDeleted, BatchApplied,
    UserRegistered, SeasonOpened, Replayed, Lost, DriftBegan, DriftEnded, ImportBegan, ImportEnded, Compared, CutOver,
    CutBack
"""

from datetime import datetime
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from .namespace import Number


class Event(msgspec.Struct, frozen=True, kw_only=True, tag_field="type"):
    """`at`: when it was recorded, in UTC. `actor`: the id of the key that did it, where that is recorded."""

    at: datetime
    actor: str | None


class LedgerEvent(Event, frozen=True, kw_only=True, tag_field="type"):
    """An entry of the log."""

    seq: int
    epoch: int


class WindowSealed(LedgerEvent, frozen=True, kw_only=True, tag="window_sealed"):
    """A window was closed. From then on only backfills reach it."""

    window: str


class GrantEvent(LedgerEvent, frozen=True, kw_only=True, tag_field="type"):
    """A grant after an entry. change: of the score on the `all` board; score: the user's there afterwards, null if they
    left the board; user_id: null if the user was erased since; opening: true, and there only, of an opening balance."""

    user_id: str | None
    grant_id: str
    revision: int
    amount: Number
    change: Number
    score: Number | None
    category: str | None
    source: str | None
    source_id: str | None
    action: str | None
    session_id: str | None
    granted_at: datetime
    opening: bool | UnsetType = UNSET


class Granted(GrantEvent, frozen=True, kw_only=True, tag="granted"):
    """A grant was counted."""


class Quarantined(GrantEvent, frozen=True, kw_only=True, tag="quarantined"):
    """A grant was recorded and does not count until an admin restores it."""


class Edited(GrantEvent, frozen=True, kw_only=True, tag="edited"):
    """A grant was edited."""

    previous_amount: Number
    reason: str | None


class Voided(GrantEvent, frozen=True, kw_only=True, tag="voided"):
    """A grant no longer counts."""

    reason: str | None


class Restored(GrantEvent, frozen=True, kw_only=True, tag="restored"):
    """A voided grant counts again."""

    reason: str | None


class Duplicated(GrantEvent, frozen=True, kw_only=True, tag="duplicated"):
    """The boards counted a grant that the ledger already had; `healed` takes it back."""


class Healed(GrantEvent, frozen=True, kw_only=True, tag="healed"):
    """A duplicate was taken back. Its grant_id `heal:<epoch>-<seq>` names that entry."""


class UserEvent(LedgerEvent, frozen=True, kw_only=True, tag_field="type"):
    """A user's visibility changed. user_id: null if they were erased since."""

    user_id: str | None


class UserHidden(UserEvent, frozen=True, kw_only=True, tag="user_hidden"):
    """A user left the boards, hidden or opted out; their scores are kept."""


class UserUnhidden(UserEvent, frozen=True, kw_only=True, tag="user_unhidden"):
    """A user is on the boards again."""


class UserErased(UserEvent, frozen=True, kw_only=True, tag="user_erased"):
    """A user was erased. Their entries stay, without a name."""


class LossRecorded(UserEvent, frozen=True, kw_only=True, tag="loss_recorded"):
    """Postgres lost entries of a user, and what Redis had of them was recorded: change: of the score on the `all` board
    in all of them together; score: behind them, null if the user is not there. The boards did not change."""

    change: Number
    score: Number | None


class AuditEvent(Event, frozen=True, kw_only=True, tag_field="type"):
    """An event that changed no score."""

    audit_id: int


class NamespaceCreated(AuditEvent, frozen=True, kw_only=True, tag="namespace_created"):
    """The namespace was made, with these rules."""

    rules: dict[str, Any]


class NamespaceChanged(AuditEvent, frozen=True, kw_only=True, tag="namespace_changed"):
    """Its rules were replaced."""

    previous_rules: dict[str, Any]
    rules: dict[str, Any]


class NamespaceDeleted(AuditEvent, frozen=True, kw_only=True, tag="namespace_deleted"):
    """It was deleted. Its ledger and its events stay."""


class BatchApplied(AuditEvent, frozen=True, kw_only=True, tag="batch_applied"):
    """Grants of one request were counted: how many, their change of the `all` board, and their first and last entry. A
    request of more than 512 makes several events."""

    batch: str
    grants: int
    change: Number
    first_seq: int
    last_seq: int


class UserRegistered(AuditEvent, frozen=True, kw_only=True, tag="user_registered"):
    """A user has their first entry in the namespace. user_id: null if they were erased since."""

    user_id: str | None


class SeasonOpened(AuditEvent, frozen=True, kw_only=True, tag="season_opened"):
    """A season has begun."""

    season: str
    starts: datetime
    ends: datetime


class Replayed(AuditEvent, frozen=True, kw_only=True, tag="replayed"):
    """A grant or a correction that was acknowledged and lost counts again, at another place of the log."""

    grant_id: str
    revision: int
    previous_epoch: int
    previous_seq: int
    epoch: int
    seq: int


class Lost(AuditEvent, frozen=True, kw_only=True, tag="lost"):
    """Entries that were acknowledged are lost, and cannot come back: how many, and their first and last place.
    grant_id: null where nobody knows what they were; then some of them may be of other namespaces."""

    epoch: int
    first_seq: int
    last_seq: int
    entries: int
    cause: str
    grant_id: str | None = None
    revision: int | None = None


class DriftBegan(AuditEvent, frozen=True, kw_only=True, tag="drift_began"):
    """The `all` board in Redis is not what the ledger says: how many users and which sum of scores each has; null: not
    compared."""

    redis_users: int | None
    redis_sum: Number | None
    ledger_users: int | None
    ledger_sum: Number | None


class DriftEnded(AuditEvent, frozen=True, kw_only=True, tag="drift_ended"):
    """The board agrees with the ledger again."""


class ImportBegan(AuditEvent, frozen=True, kw_only=True, tag="import_began"):
    """Something is imported: until it ends, no window of the namespace is closed."""

    import_id: str


class ImportEnded(AuditEvent, frozen=True, kw_only=True, tag="import_ended"):
    """It is over. lapsed: it was not renewed; then the event is written when the next one begins."""

    import_id: str
    lapsed: bool


class Compared(AuditEvent, frozen=True, kw_only=True, tag="compared"):
    """A board was put beside the totals of another system: the number of the comparison, as_of: the time of the dump,
    null where all grants counted; differences: users whose scores differ, or who are missing on a side; max_diff: what
    was let pass."""

    comparison: int
    window: str
    category: str | None
    as_of: datetime | None
    differences: int
    largest_difference: Number
    max_diff: Number


class CutoverEvent(AuditEvent, frozen=True, kw_only=True, tag_field="type"):
    """Where a namespace was cut over: the last entry of its partition in the ledger then."""

    epoch: int
    seq: int


class CutOver(CutoverEvent, frozen=True, kw_only=True, tag="cut_over"):
    """A namespace left the shadow mode: whoever may read it does so from here on. By `leaderboard cutover` because its
    scores agreed with another system's: the number of the comparison, the time of the dump, the largest difference
    there, and the one that was let pass; max_age_s: how many seconds ago the dump might have been taken. null: its mode
    was set by `PUT`, and nothing was looked at."""

    comparison: int | None
    max_diff: Number | None
    largest_difference: Number | None
    as_of: datetime | None = None
    max_age_s: Number | None = None


class CutBack(CutoverEvent, frozen=True, kw_only=True, tag="cut_back"):
    """It went back to shadow mode. Entries behind the place are what the other system may lack."""


# The type of an event by the ledger's name of the entry, or by the audit's name.
OF_LEDGER: dict[str, type[LedgerEvent]] = {
    "grant": Granted,
    "quarantine": Quarantined,
    "edit": Edited,
    "void": Voided,
    "restore": Restored,
    "duplicate": Duplicated,
    "heal": Healed,
    "seal": WindowSealed,
    "hide": UserHidden,
    "unhide": UserUnhidden,
    "erase": UserErased,
    "loss": LossRecorded,
}
OF_AUDIT: dict[str, type[AuditEvent]] = {
    "namespace_created": NamespaceCreated,
    "namespace_changed": NamespaceChanged,
    "namespace_deleted": NamespaceDeleted,
    "batch_applied": BatchApplied,
    "user_registered": UserRegistered,
    "season_opened": SeasonOpened,
    "replayed": Replayed,
    "lost": Lost,
    "drift_began": DriftBegan,
    "drift_ended": DriftEnded,
    "import_began": ImportBegan,
    "import_ended": ImportEnded,
    "compared": Compared,
    "cut_over": CutOver,
    "cut_back": CutBack,
}
