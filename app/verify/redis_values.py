"""The values of a namespace in Redis, as verification compares them. Each part is read at one instant.

A cell is one number of a user. `b:<board>`: the score there; `o:<board>`: the seq, or the tie place, that orders it
among equals; `total`, `count`, `last`, `c:…`, `s:…`: balances; `d:…`: 1 for a day with a live grant. With the
aggregation `latest` also `gb:<board>`, `gc:…`, `gs:…`: the granted_at (microseconds) of the grants that these numbers
come from.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, NamedTuple

from ..drivers.redis import Call, RedisConnection, RedisRefused, ask, transact
from ..model.labels import DAY
from ..model.namespace import Namespace
from ..model.stats import ScoreSums
from ..model.streak import days_of
from ..model.tie_break import tie_place_from_digits
from ..store import fields, keys
from ..store.board_dump import grant_time_count_call, tie_prefix_count_call, top_sums_call, user_count_call
from ..store.boards import base_of
from ..store.namespace_fields import boards_in, field_names_call, fields_call
from ..store.partitions import last_seq_call
from ..store.stats_reader import parse_sums
from ..store.sum_tree import integer_of
from ..store.user_balances import balances_call
from ..store.user_dump import dump_users_call

#: Reads of a namespace's users if its boards change in between; after them it cannot be compared.
ROUNDS_MAX = 20
#: Look-ups of one call, users × boards: some ms, in which other clients wait.
_LOOKUPS_A_CALL = 20_000
#: Users of one call, also with few boards.
_USERS_A_CALL = 500
_BALANCES = (fields.TOTAL, fields.COUNT, fields.LAST)
_LABELS = (fields.CATEGORY, fields.SOURCE)
_TIMES = tuple(fields.TIME + label for label in _LABELS)


class BoardNames(NamedTuple):
    """The names in a namespace's hash: the boards of open windows, and the windows that are sealed."""

    boards: tuple[str, ...]
    closed: frozenset[str]


@dataclass(slots=True)
class UserValues:
    """A user's values in Redis as of a seq. aside: hidden scores, by board; lacking: boards whose distinct scores lack
    the user's; strange: cells that are not whole numbers; unread: the beginning of the user's key that is not a hash. A
    total of 0 is left out."""

    seq: int
    cells: dict[str, int] = field(default_factory=dict)
    aside: dict[str, int] = field(default_factory=dict)
    lacking: list[str] = field(default_factory=list)
    strange: dict[str, str] = field(default_factory=dict)
    unread: str | None = None

    def put(self, cell: str, number: int | None, raw: bytes) -> None:
        """Adds a cell: its number, or its text if that is not a whole number."""
        if number is None:
            self.strange[cell] = raw.decode(errors="replace")
        else:
            self.cells[cell] = number


def score_of(text: bytes) -> int | None:
    """A sorted set's score, in any notation; None if it is not a whole number."""
    number = float(text)
    return int(number) if number.is_integer() else None


def board_names_of(raw: Sequence[bytes], spoilt: frozenset[str]) -> BoardNames:
    """The boards and sealed windows among the fields of a namespace's hash, without spoilt boards. For sealed windows
    the archives are compared."""
    names = [name.decode(errors="replace") for name in raw]
    closed = frozenset(name[2:] for name in names if name.startswith(fields.WINDOW_STATE))
    return BoardNames(
        tuple(name for name in boards_in(raw) if base_of(name) not in closed and name not in spoilt), closed
    )


async def read_board_names(
    link: RedisConnection, namespace: Namespace, spoilt: frozenset[str] = frozenset()
) -> BoardNames:
    """The boards that a namespace has now, without those that cannot be read."""
    return board_names_of(await ask(link, field_names_call(namespace)), spoilt)


async def read_values(
    link: RedisConnection, namespace: Namespace, names: Sequence[str], spoilt: frozenset[str]
) -> tuple[BoardNames, list[UserValues]] | None:
    """The values of some users, each as of the seq of one instant; None if boards come and go all the time.

    O(users × boards × log). It reads the names of boards before and after. A new board stays until its window is
    closed, and a closed window stays closed. So if both reads agree, the boards were the same in between.
    """
    board_names = await read_board_names(link, namespace, spoilt)
    for _ in range(ROUNDS_MAX):
        count = max(1, min(_USERS_A_CALL, _LOOKUPS_A_CALL // (len(board_names.boards) or 1)))
        groups = [names[first : first + count] for first in range(0, len(names), count)]
        values: list[UserValues] = []
        for group in groups:  # one call at a time: each names every board
            reply = await ask(link, dump_users_call(namespace, board_names.boards, group))
            if reply[0] == b"unopened":
                raise RedisRefused(f"{keys.meta(namespace.partition)} is gone")
            values += parse_values(namespace, board_names, len(group), reply)
        now = await read_board_names(link, namespace, spoilt)
        if (set(now.boards), now.closed) == (set(board_names.boards), board_names.closed):
            return board_names, values
        board_names = now
    return None


def parse_values(namespace: Namespace, board_names: BoardNames, count: int, reply: list[Any]) -> list[UserValues]:
    """The reply to `dump_users_call`, user by user."""
    seq, sign = int(reply[0]), namespace.sign
    users, here = [UserValues(seq) for _ in range(count)], frozenset(board_names.boards)
    for user, flat in zip(users, reply[1], strict=True):
        if flat is None:
            user.unread = keys.balances(namespace.partition, namespace.id)
        else:
            _balances(user, flat, here)
    for user, flat in zip(users, reply[2], strict=False):  # none where streaks are off
        if flat is None:
            user.unread = keys.days(namespace.partition, namespace.id)
        else:
            _days(user, flat)
    for number, row in zip(reply[3][::2], reply[3][1::2], strict=True):
        board = board_names.boards[number - 1]
        score_cell, tie_cell, time_cell = f"b:{board}", f"o:{board}", f"gb:{board}"
        each = iter(row)
        for place, score, digits, time, known in zip(each, each, each, each, each, strict=True):
            user = users[place - 1]
            if score is not None:
                key = score_of(score)
                user.put(score_cell, key if key is None else sign * key, score)
            if digits is not None:
                user.put(tie_cell, tie_place_from_digits(digits, namespace.rules.tie_break), digits)
            if time is not None:
                user.put(time_cell, integer_of(time), time)
            if not known:
                user.lacking.append(board)
    return users


def _balances(user: UserValues, flat: Sequence[bytes], boards: frozenset[str]) -> None:
    for raw, value in zip(flat[::2], flat[1::2], strict=True):
        name, number = raw.decode(errors="replace"), integer_of(value)
        is_label = name.startswith(_LABELS) or name.startswith(_TIMES)
        if name in _BALANCES or is_label:
            if number != 0 or is_label or name == fields.LAST:
                user.put(name, number, value)
        elif name.startswith(fields.HIDDEN_SCORE) and name[2:] in boards:
            if number is None:
                user.put(f"b:{name[2:]}", None, value)
            else:
                user.aside[name[2:]] = number


def _days(user: UserValues, flat: Sequence[bytes]) -> None:
    for number, bits in zip(flat[::2], flat[1::2], strict=True):
        try:
            user.cells |= {f"{DAY}{day}": 1 for day in days_of((number, bits)).dates()}
        except (ValueError, OverflowError):
            user.put(f"{DAY}{number.decode(errors='replace')}", None, bits)


class BoardState(NamedTuple):
    """A board at one instant: the numbers of users, of tie prefixes and of grant times; the sums of scores; the sum at
    the top of its sum tree. None: the namespace does not have it."""

    users: int
    orders: int | None
    times: int | None
    sums: ScoreSums | None
    tree: int | None


class NamespaceState(NamedTuple):
    """A namespace's boards at one instant. aside: hidden scores of the given users: user number and board. open: the
    number of boards in Redis; counted: the quotas' counts of open boards and of users (None: not counted yet)."""

    seq: int
    boards: dict[str, BoardState]
    aside: set[tuple[int, str]]
    open: int
    counted: tuple[bytes | None, bytes | None]


def _sum(nodes: Iterable[bytes | None]) -> int:
    """The sum of the top nodes of a sum tree. A node without a valid sum counts 0; `wrong_sums` reports it."""
    return sum(integer_of(node) or 0 for node in nodes if node)


async def read_namespace_state(
    link: RedisConnection, namespace: Namespace, users: Iterable[tuple[int, str]], spoilt: frozenset[str]
) -> NamespaceState | None:
    """All boards of a namespace, and the hidden scores of some users (number, name); None if boards came or went."""
    users = list(users)
    has_prefixes, sums = namespace.rules.tie_break != "none", namespace.rules.statistics
    trees, timed = namespace.rules.bounded_sums, namespace.aggregation.keeps_times
    board_names = await read_board_names(link, namespace, spoilt)
    calls: list[Call] = [last_seq_call(namespace.partition), fields_call(namespace)]
    calls += [user_count_call(namespace, board) for board in board_names.boards]
    calls += [tie_prefix_count_call(namespace, board) for board in board_names.boards if has_prefixes]
    calls += [grant_time_count_call(namespace, board) for board in board_names.boards if timed]
    calls += [top_sums_call(namespace, board) for board in board_names.boards if trees]
    calls += [balances_call(namespace, name) for _, name in users]
    seq, flat_fields, *rest = await transact(link, calls)
    now = board_names_of(flat_fields[::2], spoilt)
    if (set(now.boards), now.closed) != (set(board_names.boards), board_names.closed):
        return None
    values = {
        name.decode(errors="replace"): value for name, value in zip(flat_fields[::2], flat_fields[1::2], strict=True)
    }
    count = len(board_names.boards)
    open_count = sum(name.startswith(fields.BOARD_VERSION) for name in values)
    each = iter(rest)
    counts = list(islice(each, count))
    orders = list(islice(each, count)) if has_prefixes else [None] * count
    times = list(islice(each, count)) if timed else [None] * count
    tops = [namespace.sign * _sum(top) for top in islice(each, count)] if trees else [None] * count
    boards = {
        board: BoardState(
            users, known, timed_users, parse_sums(values.get(fields.BOARD_TOTALS + board)) if sums else None, top
        )
        for board, users, known, timed_users, top in zip(board_names.boards, counts, orders, times, tops, strict=True)
    }
    hidden: set[tuple[int, str]] = set()
    hidden_score = fields.HIDDEN_SCORE.encode()
    for (number, _), flat in zip(users, each, strict=True):
        hidden.update((number, name[2:].decode()) for name in flat[::2] if name.startswith(hidden_score))
    return NamespaceState(
        int(seq or 0), boards, hidden, open_count, (values.get(fields.BOARD_COUNT), values.get(fields.USER_COUNT))
    )
