"""The cost of a call of `lua/apply.lua`. It is bounded, so that other calls do not wait long.

A cost is an estimate of the script's own time in microseconds, on boards of 100,000 users.
"""

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from math import inf
from typing import NamedTuple

from ..model.entry import PlannedEntry
from ..model.namespace import Namespace

#: Cost that one call may have: some 500 grants of the default rules. Other calls to the same Redis wait for no longer.
CALL_US_MAX = 25_000
#: Entries of a call: more would save nothing, and a call's bytes stay few.
CALL_ENTRIES_MAX = 500
#: Bytes of a call's entries: the script's arguments take so much of Redis' memory.
CALL_BYTES_MAX = 256 * 1024

#: Cost of an entry without its moves: its id, its line in the log, its user's balances.
_ENTRY_US = 20
#: Cost of each label whose balance an entry moves.
_LABEL_US = 2
#: Cost of a user's day, where streaks are on: a key of its own.
_DAY_US = 6
#: Cost of each KiB that the log has to take.
_KIB_US = 7
#: Cost of each limit of a user's velocity.
_VELOCITY_US = 16
#: Cost of each namespace in a call.
_NAMESPACE_US = 15
#: Cost of a board in a call, without its users.
_BOARD_US = 20
#: Cost of one user's score on one board.
_MOVE_US = 6
#: Cost of a user's score on a board if an earlier entry of the call moves it too.
_MOVE_AGAIN_US = 2
#: Cost of a score that moves between a board and the hidden scores: hiding, showing, erasing.
_VISIBILITY_US = 14
#: Cost of each board and balance that a user's first correction in a call names, because it is parsed from text.
_CORRECTED_US = 3
#: Rates that are cached: there are 16 kinds of rules.
_RATES_CACHED_MAX = 16


class _Rates(NamedTuple):
    """The costs of a board and of a move, by a namespace's rules."""

    board: int
    move: int


@lru_cache(maxsize=_RATES_CACHED_MAX)
def _rates(ordered: bool, dense: bool, bounded: bool, keeps_times: bool) -> _Rates:
    board = _BOARD_US + 8 * ordered + 12 * dense + 24 * bounded + 5 * keeps_times
    move = _MOVE_US + 8 * ordered + 12 * dense + 22 * bounded + 2 * keeps_times
    return _Rates(board, move)


def _rates_of(namespace: Namespace) -> _Rates:
    rules = namespace.rules
    return _rates(
        rules.tie_break != "none",
        rules.ranking == "dense",
        rules.bounded_sums,
        namespace.aggregation.keeps_times,
    )


class _Boards:
    """The boards of one namespace in a call. rate: the cost of each, without its users."""

    __slots__ = ("names", "rate")

    def __init__(self, rate: int) -> None:
        self.rate = rate
        self.names: set[str] = set()


class _BoardSet:
    """A set of boards that entries of a call move together. entry: an entry's cost beside its moves; move, again: of a
    user's moves, the first time and after it. users: each with the extra cost of a first entry that is a correction."""

    __slots__ = ("again", "entry", "move", "users")

    def __init__(self, entry: int, move: int, again: int) -> None:
        self.entry, self.move, self.again = entry, move, again
        self.users: dict[str, int] = {}


class CallCost:
    """The cost of a call while entries join it: what they share (boards, users on them) is counted once."""

    __slots__ = ("_namespaces", "_targets", "us")

    def __init__(self) -> None:
        self.us = 0
        self._namespaces: dict[int, _Boards] = {}
        self._targets: dict[tuple[int, tuple[str, ...]], _BoardSet] = {}

    def add(self, entry: PlannedEntry, us_max: float = inf) -> bool:
        """Adds an entry unless the sum would exceed `us_max`. Returns whether it was added. O(1) if the call already
        has its boards, else O(its boards)."""
        target, joining, user = self._targets.get((entry.namespace.id, entry.boards)), 0, entry.body.user
        corrected = 0
        is_new = target is None
        if target is None:
            target, joining = self._target_of(entry)
        us = self.us + joining + target.entry + _own_cost(entry)
        if user in target.users:
            us += target.again
        else:
            corrected = _corrected_cost(entry) if entry.kind.names_cells else 0
            us += target.move + corrected
        if us > us_max:
            return False
        if is_new:
            self._enter(entry, target)
        target.users.setdefault(user, corrected)
        self.us = us
        return True

    def us_with(self, other: "CallCost") -> int:
        """The cost of one call that does the work of this one and then of the other. O(boards + users)."""
        us = self.us + other.us
        for number, theirs in other._namespaces.items():
            if (ours := self._namespaces.get(number)) is not None:
                us -= _NAMESPACE_US + ours.rate * len(ours.names & theirs.names)
        for key, their in other._targets.items():
            if (our := self._targets.get(key)) is not None:
                both = our.users.keys() & their.users.keys()
                us -= (our.move - our.again) * len(both) + sum(their.users[user] for user in both)
        return us

    def merge(self, other: "CallCost") -> None:
        """Adds the work of another call. O(boards + users of the other call)."""
        self.us = self.us_with(other)
        for number, theirs in other._namespaces.items():
            self._namespaces.setdefault(number, _Boards(theirs.rate)).names |= theirs.names
        for key, their in other._targets.items():
            our = self._targets.setdefault(key, _BoardSet(their.entry, their.move, their.again))
            our.users = their.users | our.users  # the first entry of the user is in this call

    def _target_of(self, entry: PlannedEntry) -> tuple[_BoardSet, int]:
        """A board set that the call does not have yet, and the cost that it would add."""
        namespace, boards = entry.namespace, entry.boards
        rates, call_boards = _rates_of(namespace), self._namespaces.get(namespace.id)
        bringing = rates.board * len(boards) + _NAMESPACE_US
        if call_boards is not None:
            bringing = rates.board * len(set(boards) - call_boards.names)
        return _BoardSet(_entry_cost(namespace), rates.move * len(boards), _MOVE_AGAIN_US * len(boards)), bringing

    def _enter(self, entry: PlannedEntry, target: _BoardSet) -> None:
        namespace, boards = entry.namespace, entry.boards
        call_boards = self._namespaces.get(namespace.id)
        if call_boards is None:
            call_boards = self._namespaces[namespace.id] = _Boards(_rates_of(namespace).board)
        call_boards.names.update(boards)
        self._targets[namespace.id, boards] = target


def _entry_cost(namespace: Namespace) -> int:
    """The cost of any entry of a namespace, without its moves."""
    rules = namespace.rules
    return _ENTRY_US + _DAY_US * rules.streaks + _VELOCITY_US * len(rules.velocity or ())


def _own_cost(entry: PlannedEntry) -> int:
    """The cost of an entry's own contents."""
    cost = _LABEL_US * len(entry.labels) + (_KIB_US * len(entry.log_bytes) >> 10)
    return cost + _VISIBILITY_US * len(entry.boards) if entry.kind.hides else cost


def _corrected_cost(entry: PlannedEntry) -> int:
    """The extra cost of a user's first correction in a call."""
    return _CORRECTED_US * (len(entry.boards) + len(entry.labels)) if entry.kind.names_cells else 0


def entry_cost(entry: PlannedEntry) -> int:
    """The cost of a call that holds one entry alone, in microseconds. O(1)."""
    namespace, rates = entry.namespace, _rates_of(entry.namespace)
    shared = _NAMESPACE_US + _entry_cost(namespace)
    ops = (rates.board + rates.move) * len(entry.boards) + _corrected_cost(entry)
    return shared + _own_cost(entry) + ops


def write_cost(entries: Iterable[PlannedEntry]) -> int:
    """The cost of a call that holds these entries, in microseconds. O(entries + boards)."""
    cost = CallCost()
    for entry in entries:
        cost.add(entry)
    return cost.us


class Portion(NamedTuple):
    """Entries for one call, and the parts of the call's cost."""

    entries: Sequence[PlannedEntry]
    shared: CallCost

    @property
    def cost(self) -> int:
        """Microseconds."""
        return self.shared.us


def entries_cost(count: int) -> int:
    """The least cost of so many entries, before their contents are known."""
    return _ENTRY_US * count


def portions(entries: Sequence[PlannedEntry], us_max: int = CALL_US_MAX) -> Iterator[Portion]:
    """Entries in calls within the bounds, in order; one entry is never divided. O(entries + boards)."""
    first, size, cost = 0, 0, CallCost()
    for i, entry in enumerate(entries):
        own, count = len(entry.log_bytes), i - first
        is_full = count == CALL_ENTRIES_MAX or size + own > CALL_BYTES_MAX
        if count and (is_full or not cost.add(entry, us_max)):
            yield Portion(entries[first:i], cost)
            first, size, cost = i, 0, CallCost()
        if i == first:
            cost.add(entry)
        size += own
    if entries:
        yield Portion(entries[first:], cost)
