"""What a persister remembers of closed windows: enough to miss no grant behind one, and bounded."""

import random

from app.model.entry import LogEntry
from app.model.entry_kinds import GRANT
from app.persist.closed_windows import NAMES_MAX, NamespaceClosures

DAY_US = 86_400_000_000


def grant(day: int) -> LogEntry:
    names = ("all", f"day {day}", f"week {day // 7}")
    return LogEntry(
        kind=GRANT.name,
        namespace_id=7,
        user="otter",
        grant_id="g",
        revision=1,
        entry_amount=1,
        live_delta=1,
        category=None,
        source=None,
        source_id=None,
        action=None,
        session_id=None,
        granted_at=day * DAY_US,
        windows=names,
        meta=None,
    )


def test_no_grant_behind_a_seal_is_missed_however_many_there_are() -> None:
    closed, last = NamespaceClosures(), 1_000
    for day in range(last):
        closed.add(f"day {day}", (day + 36) * DAY_US)
        if day % 7 == 6:
            closed.add(f"week {day // 7}", (day + 36) * DAY_US)
    days = [*range(0, last, 13), *(random.Random(1).randrange(last) for _ in range(200)), last - 1]
    assert all(closed.may_hold(grant(day)) for day in days)
    # Nobody asks the ledger of what is granted now, or came no later than grants may.
    assert not any(closed.may_hold(grant(day)) for day in range(last + 7, last + 40))
    assert len(closed._names) == NAMES_MAX
