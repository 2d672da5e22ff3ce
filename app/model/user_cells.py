"""What the ledger says of a user: each of their numbers, out of groups of their grants.

A cell is a number of one user, by its name: `b:<board>` the score there; `o:<board>` the seq, or the tie place, by
which it stands among equals; `total`, `count`, `last`; `c:…` and `s:…` balances; `d:…` 1 for a day with a live grant;
where the latest counts, `gb:<board>`, `gc:…`, `gs:…` the times (microseconds) of the grants that these numbers are.

`verify` compares Redis with these cells, and `rebuild` writes them there.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import NamedTuple

from .labels import labels_of
from .namespace import Namespace
from .tie_break import NO_MOMENT

Cells = dict[str, int]
#: Kinds of grants (windows, category, source) whose cells' names are remembered: some hundred bytes each.
KINDS_CACHED_MAX = 10_000


class GrantGroup(NamedTuple):
    """Grants of a user that are alike in all but amount and moment, as the query `get_grant_groups` has them.

    windows: with spaces between. grants: how many; seq: of their last revision; last: the latest granted_at
    (microseconds); first_seq: the seq of the first of them; score: what they make together; latest: moment and first
    seq of the latest, where it makes the score; tie_key, seq_key: of the grant that gives the score its tie place.
    """

    windows: str
    category: str | None
    source: str | None
    day: str | None
    voided: bool
    grants: int
    seq: int
    last: int
    first_seq: int
    score: int
    latest: list[int] | None
    tie_key: list[int] | None
    seq_key: list[int] | None


@dataclass(slots=True)
class UserCells:
    """A user by the ledger. changed_seq: of the last entry that was applied, None: none was; corrected_seq: of the last
    that was no grant; score_changed_at: when the score on the `all` board changed last (microseconds); is_corrected:
    something else than grants moved the user; is_uniform: all scores and balances are one number, all times one, and
    all tie places one; seq: of the last grant or correction."""

    changed_seq: int | None
    corrected_seq: int | None
    score_changed_at: int | None
    has_zero: bool
    is_corrected: bool
    is_uniform: bool = False
    seq: int = 0
    groups: list[GrantGroup] = field(default_factory=list)
    cells: Cells = field(default_factory=dict)


class CellBuilder:
    """Makes the cells of a namespace's users. closed: windows whose boards are left out; only: the one window whose
    boards alone are made, None for all others."""

    def __init__(self, namespace: Namespace, closed: Collection[str] = (), only: str | None = None) -> None:
        self._namespace = namespace
        self._closed = closed
        self._only = only
        self._aggregation = namespace.aggregation
        self._by_seq = namespace.rules.tie_break == "earliest"
        self._names: dict[tuple[str, str | None, str | None], tuple[tuple[str, ...], tuple[str, ...]]] = {}

    def build(self, user: UserCells) -> None:
        """Fills the cells of a user from their groups. O(groups × boards)."""
        groups = [group for group in user.groups if not group.voided]
        if len(groups) == 1 and self._only is None:
            group, user.is_uniform = groups[0], not self.needs_replay(user)
            boards, labels = self._names_of(group)
            user.cells = cells = dict.fromkeys(boards, group.score)
            cells |= dict.fromkeys(labels, group.score)
        else:
            cells = user.cells
            self._merge(cells, groups)
        if groups and self._only is None:
            cells["count"] = sum(group.grants for group in groups)
            cells["last"] = max(group.last for group in groups)
            for group in groups:
                if group.day is not None:
                    cells[f"d:{group.day}"] = 1
        if not cells.get("total", 1):
            del cells["total"]
        if self._aggregation.keeps_times:
            self._add_times(cells, groups)
        if self._namespace.by_moment:
            self._add_tie_places(cells, groups)
        elif self._by_seq and not self.needs_replay(user):
            self._add_seqs(cells, groups)

    def needs_replay(self, user: UserCells, *, has_lost_cells: bool = False) -> bool:
        """Whether the order of a user among equals can only be known by a replay: a score that came and went may have
        been reached anew; and where the latest counts, scores come and go by themselves. has_lost_cells: whether the
        ledger lacks something of the user, which then counts as a grant."""
        if not self._by_seq:
            return False
        grants = sum(group.grants for group in user.groups) + has_lost_cells
        return user.is_corrected or (self._aggregation.keeps_times and grants > 1)

    def boards_of(self, windows: Sequence[str], category: str | None) -> tuple[str, ...]:
        """The cells of the boards of some windows and a category, as far as these boards are made."""
        some = tuple(window for window in windows if self._has(window))
        return tuple(f"b:{board}" for board in self._namespace.boards_of(some, category))

    def makes(self, cell: str) -> bool:
        """Whether a cell of this name is one that it makes. O(closed windows)."""
        kind, _, board = cell.partition(":")
        if kind not in ("b", "o", "gb"):
            return self._only is None
        if self._only is not None:
            return f"{board}:".startswith(f"{self._only}:")
        return not any(f"{board}:".startswith(f"{window}:") for window in self._closed)

    def _names_of(self, group: GrantGroup) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The names of the cells of a group: boards, and `total` with labels."""
        key = group.windows, group.category, group.source
        names = self._names.get(key)
        if names is None:
            if len(self._names) >= KINDS_CACHED_MAX:
                self._names.clear()
            boards = self.boards_of(group.windows.split(" "), group.category)
            labels = () if self._only is not None else ("total", *labels_of(group.category, group.source))
            names = self._names[key] = boards, labels
        return names

    def _has(self, window: str) -> bool:
        return window == self._only if self._only is not None else window not in self._closed

    def _merge(self, cells: Cells, groups: Sequence[GrantGroup]) -> None:
        if self._aggregation.keeps_times:
            groups = sorted(groups, key=lambda group: group.latest or [])  # the latest is written last
        for group in groups:
            for name in chain(*self._names_of(group)):
                old = cells.get(name)
                cells[name] = group.score if old is None else self._aggregation.merged(old, group.score)

    def _add_times(self, cells: Cells, groups: Sequence[GrantGroup]) -> None:
        for group in groups:
            assert group.latest is not None
            for name in chain(*self._names_of(group)):
                if name != "total":
                    cells[f"g{name}"] = max(cells.get(f"g{name}", group.latest[0]), group.latest[0])

    def _add_tie_places(self, cells: Cells, groups: Sequence[GrantGroup]) -> None:
        keys: dict[str, list[int]] = {name: [] for group in groups for name in self._names_of(group)[0]}
        for group in groups:
            if group.tie_key is not None:
                for name in self._names_of(group)[0]:
                    keys[name] = max(keys[name], group.tie_key)
        for name, key in keys.items():
            cells[f"o:{name[2:]}"] = abs(int(key[1])) if key else NO_MOMENT

    def _add_seqs(self, cells: Cells, groups: Sequence[GrantGroup]) -> None:
        """Where only grants came: the first grant, or the one that made the score what it is."""
        firsts: dict[str, int] = {}
        keys: dict[str, list[int]] = {}
        for group in groups:
            for name in self._names_of(group)[0]:
                firsts[name] = min(firsts.get(name, group.first_seq), group.first_seq)
                if group.seq_key is not None:
                    keys[name] = max(keys.get(name, []), group.seq_key)
        for name, first in firsts.items():
            cells[f"o:{name[2:]}"] = abs(keys[name][1]) if name in keys else first
