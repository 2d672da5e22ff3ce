"""Reads of boards: the calls, and the parsing of their replies."""

from collections.abc import Sequence
from functools import lru_cache
from itertools import groupby
from typing import Any, NamedTuple

from ..drivers.redis import Call, evalsha
from ..drivers.scripts import load
from ..model.errors import Invalid, Recovering
from ..model.namespace import Namespace
from ..model.streak import Days, days_of
from ..model.views import BoardView
from . import fields, keys

READ_BOARD = load("read_board")
READ_BOARD_SAMPLE = load("read_board_sample")
PROJECT_RANK = load("project_rank")
RANK_SCORE = load("rank_score")
READ_USER_RANKS = load("read_user_ranks")
READ_USER_TOTALS = load("read_user_totals")
READ_USER_ACTIVITY = load("read_user_activity")
READ_BOARD_VERSIONS = load("read_board_versions")
#: Boards whose key names a process caches, some 2 MB: making them is a tenth of the work for a cached answer.
_BOARD_KEYS_MAX = 4_096
#: Beginnings of a user's fields that are not balances.
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

_SCRIPTS = {script.name: script for script in (READ_BOARD, READ_BOARD_SAMPLE)}


def base_of(board: str) -> str:
    """The window in a board's name: `<window>:<category>` is a category's board, `season:<name>` a season's window."""
    parts = board.split(":", 2)
    return ":".join(parts[:2]) if parts[0] == "season" else parts[0]


class BoardRow(NamedTuple):
    """One user's place on a board. position: unique, from 1, it orders the rows; units: the score in scaled units;
    rank0: one less than the rank."""

    position: int
    user: str
    units: int
    rank0: int


class BoardPage(NamedTuple):
    """The rows of one view, at one version of a board.

    board_size: users on the board. last: key and member of the last row of a page, where others follow it; the next
    page begins behind them. in_bounds: users whose score lies within the bounds of a page. is_archived: it is of an
    archive, whose rows change a moment before its version does.
    """

    epoch: int
    seq: int
    version: int
    board_size: int
    rows: list[BoardRow]
    last: tuple[int, bytes] | None = None
    in_bounds: int | None = None
    is_archived: bool = False


class ScoreRank(NamedTuple):
    """The rank that a score has on a board, or would have. better, equal: users with a better score, and with this one;
    rank0: one less than its rank."""

    epoch: int
    version: int
    board_size: int
    better: int
    equal: int
    rank0: int


class UserRank(NamedTuple):
    """One user's rank on one board. rank0: one less than the rank; not_better: users whose score is no better; above:
    the next better score."""

    board_size: int
    units: int
    rank0: int
    not_better: int
    above: int | None


def board_call(namespace: Namespace, board: str, view: BoardView, ranking: str | None = None) -> Call:
    """The call that reads a view of a board. ranking: if another than the namespace's. O(log n + rows)."""
    rules = namespace.rules
    names = _board_keys(namespace.partition, namespace.id, board)
    has_distinct_scores = int(rules.ranking == "dense")
    arguments = [board, ranking or rules.ranking, rules.tie_break, has_distinct_scores, *view.arguments()]
    return evalsha(_SCRIPTS[view.script], names, arguments)


def score_call(namespace: Namespace, board: str, units: int, ranking: str | None = None) -> Call:
    """The call that reads the rank that a score has, or would have. ranking: if another than the namespace's. O(log
    n)."""
    rules = namespace.rules
    names = _board_keys(namespace.partition, namespace.id, board)
    has_distinct_scores = int(rules.ranking == "dense")
    return evalsha(RANK_SCORE, names, [board, ranking or rules.ranking, has_distinct_scores, namespace.sign * units])


@lru_cache(maxsize=_BOARD_KEYS_MAX)
def _board_keys(p: int, ns: int, board: str) -> tuple[str, ...]:
    """The keys that a call about one board names."""
    return keys.board(p, ns, board), keys.namespace(p, ns), keys.meta(p), *_extra_keys(p, ns, board)


def _extra_keys(p: int, ns: int, board: str) -> tuple[str, str]:
    return keys.tie_prefixes(p, ns, board), keys.distinct_scores(p, ns, board)


def is_archived(reply: Any) -> bool:
    """Whether the reply of a board call says that the board is in the archive."""
    return bool(reply[0] == b"archived")


def read_board(reply: Any, sign: int = 1) -> BoardPage:
    """The page in the reply of a board call. sign: the namespace's. Recovering where the partition's head is lost;
    Invalid for dense ranks too far down."""
    check_opened(reply)
    _check_depth(reply)
    flat = iter(reply[7:])
    rows = [
        BoardRow(int(position), user.decode(), sign * int(float(score)), rank0)
        for position, user, score, rank0 in zip(flat, flat, flat, flat, strict=True)
    ]
    last = None if reply[5] is None else (int(float(reply[5])), reply[6])
    return BoardPage(int(reply[0]), int(reply[1]), int(reply[2]), reply[3], rows, last, reply[4])


def read_score(reply: Any) -> ScoreRank:
    """The rank in the reply of a score call. Recovering and Invalid as `read_board`."""
    check_opened(reply)
    _check_depth(reply)
    return ScoreRank(int(reply[0]), int(reply[2]), *reply[3:])


def version_of(reply: Any) -> tuple[int, int]:
    """The board's epoch and version in the reply of a board call or a score call, in Redis and in the archive alike.
    Recovering and Invalid as `read_board`."""
    first = reply[0]
    if first.isdigit():
        return int(first), int(reply[2])
    check_opened(reply)
    _check_depth(reply)
    return int(reply[1]), int(reply[2])


def versions_call(partition: int, boards: Sequence[tuple[int, str]]) -> Call:
    """The call that reads the versions of boards of one partition. boards: the id of a namespace and the name of a
    board each, those of one namespace next to each other. O(boards)."""
    namespaces: list[str] = []
    args: list[str | int] = []
    for namespace_id, group in groupby(boards, lambda board: board[0]):
        names = [name for _, name in group]
        namespaces.append(keys.namespace(partition, namespace_id))
        args += [len(names), *names]
    return evalsha(READ_BOARD_VERSIONS, [keys.meta(partition), *namespaces], args)


def read_versions(reply: Any) -> tuple[int, list[int]]:
    """The epoch, and the versions in the order of the call. Recovering where the partition's head is lost."""
    check_opened(reply)
    epoch, *versions = map(int, reply)
    return epoch, versions


def user_ranks_call(namespace: Namespace, user: str, boards: Sequence[str]) -> Call:
    """The call that reads a user's balances, days, and ranks on some boards. O(log n) a board."""
    p, ns = namespace.partition, namespace.id
    board_keys = (key for board in boards for key in (keys.board(p, ns, board), *_extra_keys(p, ns, board)))
    names = (keys.balances(p, ns) + user, keys.days(p, ns) + user, keys.meta(p), *board_keys)
    return evalsha(READ_USER_RANKS, names, [user, namespace.rules.ranking, namespace.rules.tie_break])


def read_user_ranks(reply: Any, sign: int = 1) -> tuple[dict[str, int], Days, list[UserRank | None]]:
    """Balances by field, the days with live grants, and a rank for each board in the order of the call. sign: the
    namespace's. Recovering where the partition's head is lost."""
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
        if board_size is None
        else UserRank(
            board_size, sign * int(float(score)), rank0, rest, None if above is None else sign * int(float(above))
        )
        for board_size, score, rank0, rest, above in zip(flat, flat, flat, flat, flat, strict=True)
    ]
    return balances, days_of(reply[3]), ranks


def user_exists_call(namespace: Namespace, user: str) -> Call:
    """The call that answers 1 if a user has balances in a namespace, else 0. O(1)."""
    return ("EXISTS", keys.balances(namespace.partition, namespace.id) + user)


def totals_call(namespace: Namespace, users: Sequence[str], fields_max: int) -> Call:
    """The call that reads the balances of users: of the first one, and of as many more as have `fields_max` fields
    together. O(fields)."""
    p, prefix = namespace.partition, keys.balances(namespace.partition, namespace.id)
    return evalsha(READ_USER_TOTALS, [keys.meta(p), *(prefix + user for user in users)], [fields_max])


def read_totals(reply: Any) -> list[dict[str, int]]:
    """The balances by field of each user, in the order of the call; perhaps of the first users only. Recovering where
    the partition's head is lost."""
    check_opened(reply)
    return [{field.decode(): int(value) for field, value in zip(flat[::2], flat[1::2], strict=True)} for flat in reply]


def project_ranks_call(namespace: Namespace, user: str, units: Sequence[int]) -> Call:
    """The call that reads which ranks a user has with some scores, or would have, on the `all` board. units: the
    scores in scaled units. O(log² n) a score."""
    p, ns, rules = namespace.partition, namespace.id, namespace.rules
    names = (keys.board(p, ns, "all"), keys.meta(p), *_extra_keys(p, ns, "all"))
    return evalsha(
        PROJECT_RANK, names, [user, rules.ranking, rules.tie_break, *(namespace.sign * score for score in units)]
    )


def read_projected_ranks(reply: Any) -> list[int]:
    """The ranks in the order of the call. Recovering where the partition's head is lost."""
    check_opened(reply)
    return [rank0 + 1 for rank0 in reply]


class Activity(NamedTuple):
    """The data of a user that rows may include. changed_at: when the score on the `all` board changed last (µs)."""

    changed_at: int | None
    days: Days


def activity_call(namespace: Namespace, users: Sequence[str], days: bool) -> Call:
    """The call that reads the activity of users, with or without their days. O(users); with days O(their years)."""
    p, ns = namespace.partition, namespace.id
    prefixes = (keys.balances(p, ns), keys.days(p, ns)) if days else (keys.balances(p, ns),)
    return evalsha(
        READ_USER_ACTIVITY, [keys.meta(p), *(prefix + user for prefix in prefixes for user in users)], [int(days)]
    )


def read_activity(reply: Any) -> list[Activity]:
    """One for each user, in the order of the call. Recovering where the partition's head is lost."""
    check_opened(reply)
    return [Activity(None if row[0] is None else int(row[0]), days_of(row[1:])) for row in reply]


def _check_depth(reply: Any) -> None:
    if reply[0] == b"too_deep":
        raise Invalid("dense ranks so far down exist only if the namespace's ranking is dense", field="?ranking")


def check_opened(reply: Any) -> None:
    """Recovering where a reply says that the partition's head is lost."""
    if reply[0] == b"unopened":
        raise Recovering("this partition lost its head; its boards are not served until it is recovered")
