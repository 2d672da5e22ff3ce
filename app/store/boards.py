"""Boards as they are read: the calls, and their replies as entries."""

from collections.abc import Sequence
from itertools import groupby
from typing import Any, NamedTuple

from ..drivers.redis import Call, evalsha
from ..drivers.scripts import load
from ..model.errors import Invalid, Recovering
from ..model.namespace import Namespace
from ..model.streak import Days, days_of
from . import fields, keys

READ_BOARD = load("read_board")
READ_BOARD_SAMPLE = load("read_board_sample")
PROJECT_RANK = load("project_rank")
RANK_SCORE = load("rank_score")
READ_USER_RANKS = load("read_user_ranks")
READ_USER_TOTALS = load("read_user_totals")
READ_USER_ACTIVITY = load("read_user_activity")
READ_BOARD_VERSIONS = load("read_board_versions")
#: Beginnings of a user's fields that are no balances.
_NO_BALANCES = (fields.VELOCITY, fields.HIDDEN_SCORE, fields.TIME)
READS = (
    READ_BOARD,
    READ_BOARD_SAMPLE,
    PROJECT_RANK,
    RANK_SCORE,
    READ_USER_RANKS,
    READ_USER_TOTALS,
    READ_USER_ACTIVITY,
    READ_BOARD_VERSIONS,
)


def base_of(board: str) -> str:
    """The window of a board's name: `<window>:<category>` is a category's, `season:<name>` a season's window."""
    parts = board.split(":", 2)
    return ":".join(parts[:2]) if parts[0] == "season" else parts[0]


class BoardRow(NamedTuple):
    """One user's place: `position` is unique and orders the list, `before` is one less than the rank."""

    position: int
    user: str
    units: int
    rank0: int


class BoardPage(NamedTuple):
    """A stretch of a board at one version. last: key and member of a page's last entry, where others follow; within:
    how many have a score within a page's bounds."""

    epoch: int
    seq: int
    version: int
    total: int
    places: list[BoardRow]
    last: tuple[int, bytes] | None = None
    within: int | None = None


class ScoreRank(NamedTuple):
    """Where a score stands, or would stand. `before` is one less than the rank of the first who has it."""

    epoch: int
    version: int
    total: int
    better: int
    equal: int
    rank0: int


class UserRank(NamedTuple):
    """One user's place on one board: `before` is one less than the rank, `above` the next better score."""

    total: int
    units: int
    rank0: int
    not_better: int
    above: int | None


def board_call(
    namespace: Namespace, window: str, view: Sequence[str | int | bytes | float], ranking: str | None = None
) -> Call:
    """`view`: page offset limit, after score member limit, around user radius, users and their names, percentile and
    ten-thousandths of a percent, random and a fraction an entry, bands and the shares up to which they go; behind a
    page's limit may stand the lowest and highest key. O(log n + entries). ranking: another than the namespace's own."""
    p, ns, rules = namespace.partition, namespace.id, namespace.rules
    names = (keys.board(p, ns, window), keys.namespace(p, ns), keys.meta(p), *_extra_keys(p, ns, window))
    kept = int(rules.ranking == "dense")
    script = READ_BOARD_SAMPLE if view[0] in ("percentile", "random", "bands") else READ_BOARD
    return evalsha(script, names, [window, ranking or rules.ranking, rules.tie_break, kept, *view])


def score_call(namespace: Namespace, window: str, units: int, ranking: str | None = None) -> Call:
    """Where a score stands on a board, or would stand. O(log n). ranking: another than the namespace's own."""
    p, ns, rules = namespace.partition, namespace.id, namespace.rules
    names = (keys.board(p, ns, window), keys.namespace(p, ns), keys.meta(p), *_extra_keys(p, ns, window))
    return evalsha(
        RANK_SCORE, names, [window, ranking or rules.ranking, int(rules.ranking == "dense"), namespace.sign * units]
    )


def _extra_keys(p: int, ns: int, window: str) -> tuple[str, str]:
    return keys.tie_prefixes(p, ns, window), keys.distinct_scores(p, ns, window)


def is_archived(reply: Any) -> bool:
    """Whether a board call was told that the board stands in the archive, not here."""
    return bool(reply[0] == b"archived")


def read_board(reply: Any, sign: int = 1) -> BoardPage:
    """The reply of a board call; `sign`: the namespace's. Recovering where the partition's head is gone."""
    check_opened(reply)
    _check_depth(reply)
    flat = iter(reply[7:])
    places = [
        BoardRow(int(position), user.decode(), sign * int(float(score)), rank0)
        for position, user, score, rank0 in zip(flat, flat, flat, flat, strict=True)
    ]
    last = None if reply[5] is None else (int(float(reply[5])), reply[6])
    return BoardPage(int(reply[0]), int(reply[1]), int(reply[2]), reply[3], places, last, reply[4])


def read_score(reply: Any) -> ScoreRank:
    """The reply of a score call. Recovering where the partition's head is gone."""
    check_opened(reply)
    _check_depth(reply)
    return ScoreRank(int(reply[0]), int(reply[2]), *reply[3:])


def version_of(reply: Any) -> tuple[int, int]:
    """Epoch and version that a board's or a score's reply tells, wherever the board stands. Recovering."""
    first = reply[0]
    if first.isdigit():
        return int(first), int(reply[2])
    check_opened(reply)
    _check_depth(reply)
    return int(reply[1]), int(reply[2])


def versions_call(partition: int, boards: Sequence[tuple[int, str]]) -> Call:
    """The versions of boards of one partition, given as namespace id and window. O(boards)."""
    spaces: list[str] = []
    args: list[str | int] = []
    for namespace_id, run in groupby(boards, lambda board: board[0]):
        windows = [window for _, window in run]
        spaces.append(keys.namespace(partition, namespace_id))
        args += [len(windows), *windows]
    return evalsha(READ_BOARD_VERSIONS, [keys.meta(partition), *spaces], args)


def read_versions(reply: Any) -> tuple[int, list[int]]:
    """The epoch, and the versions in the call's order. Recovering where the partition's head is gone."""
    check_opened(reply)
    epoch, *versions = map(int, reply)
    return epoch, versions


def user_ranks_call(namespace: Namespace, user: str, windows: Sequence[str]) -> Call:
    """A user's balances, days and ranks. O(log n) a window."""
    p, ns = namespace.partition, namespace.id
    boards = (key for window in windows for key in (keys.board(p, ns, window), *_extra_keys(p, ns, window)))
    names = (keys.balances(p, ns) + user, keys.days(p, ns) + user, keys.meta(p), *boards)
    return evalsha(READ_USER_RANKS, names, [user, namespace.rules.ranking, namespace.rules.tie_break])


def read_user_ranks(reply: Any, sign: int = 1) -> tuple[dict[str, int], Days, list[UserRank | None]]:
    """Balances by field, the days with live grants, and a rank a window in the call's order."""
    check_opened(reply)
    raw = reply[2]
    pairs = zip(raw[::2], raw[1::2], strict=True)
    balances = {
        name: int(value)
        for name, value in ((raw.decode(), value) for raw, value in pairs)
        if not name.startswith(_NO_BALANCES)
    }
    flat = iter(reply[4:])
    ranks = [
        None
        if total is None
        else UserRank(total, sign * int(float(score)), rank0, rest, None if above is None else sign * int(float(above)))
        for total, score, rank0, rest, above in zip(flat, flat, flat, flat, flat, strict=True)
    ]
    return balances, days_of(reply[3]), ranks


def totals_call(namespace: Namespace, users: Sequence[str], fields_max: int) -> Call:
    """What many users have, of as many as have so many fields together, at least one. O(fields)."""
    p, prefix = namespace.partition, keys.balances(namespace.partition, namespace.id)
    return evalsha(READ_USER_TOTALS, [keys.meta(p), *(prefix + user for user in users)], [fields_max])


def read_totals(reply: Any) -> list[dict[str, int]]:
    """Balances by field, a user, in the call's order; perhaps of the first users alone. Recovering where the
    partition's head is gone."""
    check_opened(reply)
    return [{field.decode(): int(value) for field, value in zip(flat[::2], flat[1::2], strict=True)} for flat in reply]


def project_ranks_call(namespace: Namespace, user: str, units: Sequence[int]) -> Call:
    """The ranks that some scores have for a user, or would have, on the `all` board. O(log² n) each."""
    p, ns, rules = namespace.partition, namespace.id, namespace.rules
    names = (keys.board(p, ns, "all"), keys.meta(p), *_extra_keys(p, ns, "all"))
    return evalsha(
        PROJECT_RANK, names, [user, rules.ranking, rules.tie_break, *(namespace.sign * held for held in units)]
    )


def read_projected_ranks(reply: Any) -> list[int]:
    """The ranks in the call's order. Recovering where the partition's head is gone."""
    check_opened(reply)
    return [rank0 + 1 for rank0 in reply]


class Activity(NamedTuple):
    """What a board may tell of a user besides the score. changed_at: when that last changed on `all`, microseconds."""

    changed_at: int | None
    days: Days


def activity_call(namespace: Namespace, users: Sequence[str], days: bool) -> Call:
    """Many users' activity, with or without days. O(users), with days O(their years)."""
    p, ns = namespace.partition, namespace.id
    prefixes = (keys.balances(p, ns), keys.days(p, ns)) if days else (keys.balances(p, ns),)
    return evalsha(
        READ_USER_ACTIVITY, [keys.meta(p), *(prefix + user for prefix in prefixes for user in users)], [int(days)]
    )


def read_activity(reply: Any) -> list[Activity]:
    """One a user, in the call's order. Recovering where the partition's head is gone."""
    check_opened(reply)
    return [Activity(None if told[0] is None else int(told[0]), days_of(told[1:])) for told in reply]


def _check_depth(reply: Any) -> None:
    if reply[0] == b"too_deep":
        raise Invalid("dense ranks so far down are kept only where the namespace's ranking is dense", field="?ranking")


def check_opened(reply: Any) -> None:
    """Recovering where a reply tells that the partition's head is gone."""
    if reply[0] == b"unopened":
        raise Recovering("this partition lost its head; its boards are not served until it is recovered")
