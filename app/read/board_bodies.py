"""Bodies of boards, totals and ranks, as a client reads them."""

from base64 import b64decode, urlsafe_b64encode
from collections.abc import Mapping
from typing import Any

import msgspec

from ..model.board_ref import BoardRef
from ..model.cursor_problem import cursor_problem
from ..model.micros import from_micros
from ..model.namespace import Namespace
from ..model.percentile import percentile_of
from ..model.score import UNITS_MAX
from ..model.stats import band_of
from ..model.streak import Days, streak_of
from ..model.views import After, BoardView, Page, Users
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


def entry_body(namespace: Namespace, row: BoardRow, name: DisplayProfile) -> BoardEntry:
    """A row with its user's name."""
    return BoardEntry(
        row.position, row.rank0 + 1, row.user, namespace.number(row.units), name.display_name, name.avatar
    )


def board_head(board: BoardRef, read: BoardPage | ScoreRank) -> dict[str, Any]:
    """The first fields of every answer about a board. read: its rows at one version."""
    return {
        "namespace": board.namespace.name,
        "window": board.window.name,
        "starts": rfc3339(board.window.starts),
        "ends": rfc3339(board.window.ends),
        "category": board.category,
        "epoch": read.epoch,
        "version": read.version,
        "total": read.board_size,
    }


def board_body(
    board: BoardRef, view: BoardView, page: BoardPage, names: Mapping[str, DisplayProfile]
) -> dict[str, Any]:
    """The answer to a view of a board; with the `missing` of a list of users, and the `count` of a page in bounds.
    names: of the users who have a profile."""
    body: dict[str, Any] = {
        **board_head(board, page),
        "next_cursor": None if page.last is None else cursor_of(*page.last),
        "entries": [entry_body(board.namespace, row, names.get(row.user, NO_PROFILE)) for row in sorted(page.rows)],
    }
    if isinstance(view, Users):
        users = {row.user for row in page.rows}
        body["missing"] = [user for user in view.users if user not in users]
    elif isinstance(view, Page | After) and view.bounds is not None:
        body["count"] = page.in_bounds
    return body


def cursor_of(key: int, member: bytes) -> str:
    """The cursor at the end of a page. The next page begins after it, even if the rows before it change."""
    return urlsafe_b64encode(b"%d " % key + member).decode().rstrip("=")


def parse_cursor(text: str) -> tuple[int, bytes]:
    """A cursor's key and member. Invalid."""
    try:
        key, _, member = b64decode(text + "=" * (-len(text) % 4), b"-_", validate=True).partition(b" ")
        if abs(int(key)) > UNITS_MAX:
            raise ValueError
        return int(key), member
    except ValueError:
        raise cursor_problem(text, "a board") from None


def totals_body(namespace: Namespace, user: str, balances: dict[str, int]) -> dict[str, Any]:
    """A user's totals in a namespace."""
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
    """A user's standing. days: those with live grants; zone: the user's own; percentile: the part of the board, in
    percent, whose score is no better than theirs; band: by the part that is better."""
    return {
        **totals_body(namespace, user, balances),
        "ranks": {period: _rank(namespace, rank) for period, rank in ranks.items()},
        "streak": streak_body(namespace, days, now, zone),
    }


def _by_label(namespace: Namespace, balances: dict[str, int], prefix: str) -> dict[str, int | float]:
    labels = ((field, units) for field, units in sorted(balances.items()) if field.startswith(prefix))
    return {field.removeprefix(prefix): namespace.number(units) for field, units in labels}


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
        "percentile": percentile_of(rank.not_better, rank.board_size),
        "band": band_of(bands, rank.board_size - rank.not_better, rank.board_size) if bands else None,
        "gap_to_next": None if rank.above is None else namespace.number(abs(rank.above - rank.units)),
    }


def rfc3339(micros: int | None) -> Any:
    """A time as clients read it: RFC 3339 in UTC."""
    return None if micros is None else from_micros(micros)
