"""What a fault is: what breaks, how it heals, and what is promised."""

from __future__ import annotations

from typing import ClassVar

from tests.crash.field import Field

#: Seconds for which a part is away, or stands still.
AWAY_S, STILL_S = 0.3, 2.0

NO_LOSS = "nothing is lost, nothing counts twice"
WHAT_REMAINS = "503 `recovering` until `leaderboard recover` or `rebuild`; then all that the ledger or the log has"


class Fault:
    """A fault, while clients go on. name, promise: its line in the table. is_short: it is part of `make test`.
    topology: what Redis must be, `cluster`, `sentinel` or one process (""); None: any of them."""

    name: ClassVar[str]
    promise: ClassVar[str] = NO_LOSS
    is_short: ClassVar[bool] = False
    topology: ClassVar[str | None] = ""

    def __init__(self) -> None:
        #: What it measured, in words.
        self.notes: list[str] = []

    def inject(self, field: Field) -> None:
        """Breaks something, and lets that last."""
        raise NotImplementedError

    def heal(self, field: Field) -> None:
        """Ends it; returns once everything runs."""
