"""A walk through the grants of a namespace that count: of one source, in a stretch of time."""

import base64
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple, Self

import asyncpg

from ..model.cursor_problem import cursor_problem
from ..model.errors import Invalid
from ..model.micros import EARLIEST, LATEST, from_micros, to_micros
from ..model.text import check_label
from ..model.visibility import is_erased
from .grant_history import moment_of


class WalkKey(NamedTuple):
    """Where a walk stands: behind a grant of a user, by the user's number, granted_at and seq."""

    user_number: int = 0
    granted_at: datetime = LATEST
    seq: int = 0


class LiveGrants(NamedTuple):
    """A page of the walk. limit: of revisions and users that are looked at; a page may show fewer, or none."""

    source: str | None
    source_id: str | None
    since: datetime
    until: datetime
    after: WalkKey
    limit: int

    @classmethod
    def of(cls, parameters: Mapping[str, str], limit: int) -> Self:
        """Invalid."""
        source, source_id = parameters.get("source"), parameters.get("source_id")
        for field, label in (("?source", source), ("?source_id", source_id)):
            if label is not None:
                check_label(label, field)
        if source is None and source_id is not None:
            raise Invalid("source and source_id name one source together", field="?source")
        since, until = moment_of(parameters, "since") or EARLIEST, moment_of(parameters, "until") or LATEST
        return cls(source, source_id, since, until, _parse_cursor(parameters.get("cursor")), limit)

    @property
    def query(self) -> str:
        """Its name."""
        return "get_live_grants_in_turn"

    @property
    def arguments(self) -> tuple[Any, ...]:
        """Of the query, behind the namespace."""
        return self.since, self.until, *self.after, self.limit, self.source, self.source_id

    def grants(self, rows: Sequence[asyncpg.Record]) -> list[asyncpg.Record]:
        """Those that are shown. Nobody can do anything about the grants of an erased user."""
        return [row for row in rows if row["is_listed"] and not is_erased(row["user"])]

    def next_cursor(self, rows: Sequence[asyncpg.Record]) -> str | None:
        """Where the next page begins; None where the walk is at its end."""
        if len(rows) < self.limit:
            return None
        user, granted_at, seq = (rows[-1][name] for name in ("walked_user", "granted_at", "seq"))
        key = WalkKey(user, granted_at, seq) if granted_at is not None else WalkKey(user + 1)
        text = f"{key.user_number} {to_micros(key.granted_at)} {key.seq}"
        return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _parse_cursor(text: str | None) -> WalkKey:
    """Invalid."""
    if text is None:
        return WalkKey()
    try:
        user, micros, seq = map(int, base64.b64decode(text + "=" * (-len(text) % 4), b"-_", validate=True).split())
        if not (0 <= user < 2**63 and 0 <= seq < 2**63):
            raise ValueError
        return WalkKey(user, from_micros(micros), seq)
    except (ValueError, OverflowError):
        raise cursor_problem(text, "this list") from None
