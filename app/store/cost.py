"""What a call of `lua/apply.lua` costs, so that no call keeps everybody else waiting for long.

A cost is an estimate of the script's own time in microseconds, on boards of 100,000 users.
"""

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

from ..model.entry import Entry
from ..model.namespace import Rules

#: Cost that one call may have: some 500 grants of the default rules. Others of the same Redis wait so long at most.
CALL_US_MAX = 25_000
#: Entries a call: more would save nothing, and what a call brings in bytes stays small.
CALL_ENTRIES_MAX = 500
#: Bytes of entries a call: what the script's arguments may take of Redis' memory at once.
CALL_BYTES_MAX = 256 * 1024

#: Cost of an entry, whatever it moves: its id, its line in the log, its user's balances.
_ENTRY_US = 20
#: Cost of each label whose balance an entry moves.
_LABEL_US = 2
#: Cost of each KiB that the log has to take.
_KIB_US = 7
#: Cost of each limit of a user's velocity.
_VELOCITY_US = 16
#: Cost of each namespace in a call.
_NAMESPACE_US = 15
#: Cost of a board in a call, whoever is moved on it.
_BOARD_US = 20
#: Cost of one user's score on one board.
_MOVE_US = 6
#: Cost of a user's score on a board where an entry before it in the call moves it, too.
_MOVE_AGAIN_US = 2
#: Cost of a score that goes to another place, or comes from there: hiding, showing, erasing.
_VISIBILITY_US = 14


class _Rates(NamedTuple):
    """What a namespace's rules make of a board and of a move."""

    board: int
    move: int


@lru_cache(maxsize=4096)
def _rates(ordered: bool, dense: bool, bounded: bool, latest: bool) -> _Rates:
    board = _BOARD_US + 8 * ordered + 12 * dense + 24 * bounded + 5 * latest
    move = _MOVE_US + 8 * ordered + 12 * dense + 22 * bounded + 2 * latest
    return _Rates(board, move)


def _rates_of(rules: Rules) -> _Rates:
    return _rates(
        rules.tie_break != "none", rules.ranking == "dense", rules.bounded_sums, rules.aggregation == "latest"
    )


class CallCost:
    """The cost of a call while entries join it: what they share (boards, users on them) is counted once."""

    __slots__ = ("_boards", "_namespaces", "_targets", "_users", "total")

    def __init__(self) -> None:
        self.total = 0
        self._namespaces: set[int] = set()
        self._boards: set[tuple[int, str]] = set()
        self._targets: dict[tuple[int, tuple[str, ...]], tuple[int, int]] = {}
        self._users: set[tuple[int, tuple[str, ...], str]] = set()

    def add(self, entry: Entry) -> int:
        """The total with one more entry. O(1) where its boards are in the call already, else O(its boards)."""
        namespace, boards = entry.namespace, entry.windows
        target = (namespace.id, boards)
        held = self._targets.get(target)
        if held is None:
            held = self._targets[target] = self._join(entry)
        move, again = held
        user = (*target, entry.body.user)
        cost = _ENTRY_US + _LABEL_US * len(entry.labels) + (_KIB_US * len(entry.packed) >> 10)
        if namespace.rules.velocity is not None:
            cost += _VELOCITY_US * len(namespace.rules.velocity)
        if user in self._users:
            cost += again
        else:
            self._users.add(user)
            cost += move
        if entry.moves.startswith("h"):
            cost += _VISIBILITY_US * len(boards)
        self.total += cost
        return self.total

    def _join(self, entry: Entry) -> tuple[int, int]:
        """Counts what a set of boards brings; the cost of a user's moves on it, the first time and again."""
        number, before = entry.namespace.id, len(self._boards)
        if number not in self._namespaces:
            self._namespaces.add(number)
            self.total += _NAMESPACE_US
        self._boards.update((number, board) for board in entry.windows)
        rates = _rates_of(entry.namespace.rules)
        self.total += rates.board * (len(self._boards) - before)
        return rates.move * len(entry.windows), _MOVE_AGAIN_US * len(entry.windows)


def write_cost(entries: Iterable[Entry]) -> int:
    """The cost of a call that holds these entries, in microseconds. O(entries + boards)."""
    cost = CallCost()
    for entry in entries:
        cost.add(entry)
    return cost.total


class Portion(NamedTuple):
    """Entries for one call, and the call's cost in microseconds."""

    entries: Sequence[Entry]
    cost: int


def entries_cost(count: int) -> int:
    """What so many entries cost at least, before anything is known of them."""
    return _ENTRY_US * count


def portions(entries: Sequence[Entry], us_max: int = CALL_US_MAX) -> Iterator[Portion]:
    """Entries in calls within the bounds, in order; one entry is never divided. O(entries + boards)."""
    first, size, cost = 0, 0, CallCost()
    for i, entry in enumerate(entries):
        before, own = cost.total, len(entry.packed)
        total = cost.add(entry)
        count = i - first
        if count and (total > us_max or count == CALL_ENTRIES_MAX or size + own > CALL_BYTES_MAX):
            yield Portion(entries[first:i], before)
            first, size, cost = i, 0, CallCost()
            cost.add(entry)
        size += own
    if entries:
        yield Portion(entries[first:], cost.total)
