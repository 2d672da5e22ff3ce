"""Boards and standings as a client reads them."""

from base64 import b64decode, urlsafe_b64encode
from collections.abc import Mapping
from typing import Any

import msgspec

from ..model.errors import Invalid
from ..model.micros import from_micros
from ..model.namespace import Namespace
from ..model.percentile import percentile_of
from ..model.score import UNITS_MAX
from ..model.stats import band_of
from ..model.streak import Days, streak_of
from ..model.windows import Window
from ..store import fields
from ..store.boards import BoardPage, BoardRow, ScoreRank, UserRank
from ..store.profile_cache import NO_PROFILE, DisplayProfile


class BoardEntry(msgspec.Struct, frozen=True):
    """One row of a board."""

    position: int
    rank: int
    user_id: str
    score: int | float
    display_name: str | None = None
    avatar: str | None = None


def entry_body(namespace: Namespace, place: BoardRow, name: DisplayProfile) -> BoardEntry:
    """A row."""
    score = namespace.number(place.units)
    return BoardEntry(place.position, place.rank0 + 1, place.user, score, name.display_name, name.avatar)


def board_head(namespace: Namespace, window: Window, board: BoardPage | ScoreRank) -> dict[str, Any]:
    """What every answer about a board tells of it."""
    return {
        "namespace": namespace.name,
        "window": window.name,
        "starts": rfc3339(window.starts),
        "ends": rfc3339(window.ends),
        "category": None,
        "epoch": board.epoch,
        "version": board.version,
        "total": board.total,
    }


def board_body(
    namespace: Namespace,
    window: Window,
    board: BoardPage,
    names: Mapping[str, DisplayProfile],
    missing: list[str] | None = None,
) -> dict[str, Any]:
    """A board's answer. names: of those who have a profile."""
    body: dict[str, Any] = {
        **board_head(namespace, window, board),
        "next_cursor": None if board.last is None else cursor_of(*board.last),
        "entries": [entry_body(namespace, place, names.get(place.user, NO_PROFILE)) for place in sorted(board.places)],
    }
    if missing is not None:
        body["missing"] = missing
    return body


def cursor_of(key: int, member: bytes) -> str:
    """Where a board's page ended: everybody behind it comes next, whatever happens to those before it."""
    return urlsafe_b64encode(b"%d " % key + member).decode().rstrip("=")


def parse_cursor(text: str) -> tuple[int, bytes]:
    """Key and member. Invalid."""
    try:
        key, _, member = b64decode(text + "=" * (-len(text) % 4), b"-_", validate=True).partition(b" ")
        if abs(int(key)) > UNITS_MAX:
            raise ValueError
        return int(key), member
    except ValueError:
        raise Invalid("is not a cursor of a board", field="?cursor") from None


def totals_body(namespace: Namespace, user: str, balances: dict[str, int]) -> dict[str, Any]:
    """What a user has in a namespace."""
    return {
        "user_id": user,
        "score": namespace.number(balances.get(fields.TOTAL, 0)),
        "grants": balances.get(fields.COUNT, 0),
        "categories": _by_label(namespace, balances, fields.CATEGORY),
        "sources": _by_label(namespace, balances, fields.SOURCE),
        "last_granted_at": rfc3339(balances.get(fields.LAST)),
    }


def user_ranks_body(
    namespace: Namespace,
    user: str,
    balances: dict[str, int],
    days: Days,
    ranks: dict[str, UserRank | None],
    now: int,
    zone: str | None,
) -> dict[str, Any]:
    """A user's standing. days: those with live grants; zone: the user's own; percentile: the share of the board, in
    percent, whose score is no better than theirs; band: by the share that is better."""
    return {
        **totals_body(namespace, user, balances),
        "ranks": {period: _rank(namespace, rank) for period, rank in ranks.items()},
        "streak": streak_body(namespace, days, now, zone),
    }


def _by_label(namespace: Namespace, balances: dict[str, int], prefix: str) -> dict[str, int | float]:
    found = ((field, units) for field, units in sorted(balances.items()) if field.startswith(prefix))
    return {field.removeprefix(prefix): namespace.number(units) for field, units in found}


def streak_body(namespace: Namespace, days: Days, now: int, zone: str | None) -> dict[str, Any] | None:
    """A user's streak by the days with live grants, as of today in their zone, else the namespace's; None where streaks
    are off."""
    if not namespace.rules.streaks:
        return None
    return streak_of(days, namespace.days_in(zone).day_at(now))._asdict()


def _rank(namespace: Namespace, rank: UserRank | None) -> dict[str, Any] | None:
    if rank is None:
        return None
    bands = namespace.rules.bands
    return {
        "rank": rank.rank0 + 1,
        "score": namespace.number(rank.units),
        "percentile": percentile_of(rank.not_better, rank.total),
        "band": band_of(bands, rank.total - rank.not_better, rank.total) if bands else None,
        "gap_to_next": None if rank.above is None else namespace.number(abs(rank.above - rank.units)),
    }


def rfc3339(micros: int | None) -> Any:
    """A time as it leaves: RFC 3339 in UTC."""
    return None if micros is None else from_micros(micros)
