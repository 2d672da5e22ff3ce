"""What an entry does to its user's cells, and the text that carries it to `lua/apply.lua`.

A cell is one number of a user: the score on one board, or the balance of one label. `render_ops` writes the text,
lua/include/compute.lua reads it:

    text  = letter of the kind (model/entry_kinds) · what the kind needs
    grant   nothing: the aggregation decides what becomes of the cells
    seal    the moment from which the window may be closed: s<microseconds>
    hiding  the version of the user's state: h<version>
    others  cell … last hold: `cw1+5w2+5l1+5a=1700000000000000u=17`

    cell  = w<number> or l<number> (a board, a label, from 1) and +<by>, =<score> or x (it goes);
            @<time> behind a number where the latest grant counts, ~<digits> behind a score in line by moments
    last  = a=<moment>, a+<moment> (at least), a=<moment>@<before> (only if it was <before>) or ax (no grant is left)
    hold  = u=<seq>, g=<seq> or f=
"""

from collections.abc import Iterable
from typing import NamedTuple

from .entry_kinds import EntryKind
from .tie_break import tie_digits


class AddToCell(NamedTuple):
    """A number moves by an amount. cell: the number of the board or label, from 1; tie_place: the score's place in line
    afterwards (model/tie_break), where that goes by moments."""

    cell: int
    by: int
    tie_place: int | None = None


class SetCell(NamedTuple):
    """A number becomes another one. time: the granted_at of the grant that it is, where the latest counts."""

    cell: int
    number: int
    time: int | None = None
    tie_place: int | None = None


class DeleteCell(NamedTuple):
    """Deletes a number: no live grant is left in the cell, or on the day."""

    cell: int


CellOp = AddToCell | SetCell | DeleteCell


class LastGrantedAt(NamedTuple):
    """What becomes of the user's last granted_at (microseconds). moment: None where no live grant is left.

    is_least: grants that came meanwhile may have raised it, and then it stays. before: it changes only if it was this.
    """

    moment: int | None
    is_least: bool = False
    before: int | None = None


class Hold(NamedTuple):
    """The condition under which a plan is valid; else the script answers `stale_user`. letter: as it travels."""

    letter: str
    seq: int | None = None

    @property
    def allows_grants(self) -> bool:
        """Whether the user may have got grants since the plan was made."""
        return self.letter == "g"


#: The entry right before this one, in the same call, is of the same user and was applied.
AFTER_PREVIOUS = Hold("f")


def unchanged_since(seq: int) -> Hold:
    """The user's last change is the one at `seq`."""
    return Hold("u", seq)


def uncorrected_since(seq: int) -> Hold:
    """Nothing but grants changed the user after `seq`."""
    return Hold("g", seq)


class CellOps(NamedTuple):
    """What becomes of cells; those that are not named stay. boards, labels: numbered as the entry's own.

    last: None where the last granted_at stays. hold: None where the plan is always valid.
    """

    boards: tuple[CellOp, ...] = ()
    labels: tuple[CellOp, ...] = ()
    last: LastGrantedAt | None = None
    hold: Hold | None = None

    @property
    def deletes(self) -> bool:
        """Whether a number goes, the last granted_at among them."""
        last_goes = self.last is not None and self.last.moment is None
        return last_goes or any(isinstance(op, DeleteCell) for op in (*self.boards, *self.labels))

    @property
    def lowers_last(self) -> bool:
        """Whether the last granted_at falls if it is still what it was."""
        return self.last is not None and self.last.before is not None


class SealOps(NamedTuple):
    """A window closes, once Redis's own clock is past `earliest_at` (microseconds)."""

    earliest_at: int


class VisibilityOps(NamedTuple):
    """A user's scores go to where the state of this version wants them; the script refuses another version."""

    version: int


#: None: the aggregation decides, as for a plain grant.
Ops = CellOps | SealOps | VisibilityOps | None


def render_ops(kind: EntryKind, ops: Ops) -> str:
    """The text that travels. O(cells)."""
    match ops:
        case None:
            return kind.letter
        case SealOps(earliest_at):
            return f"{kind.letter}{earliest_at}"
        case VisibilityOps(version):
            return f"{kind.letter}{version}"
        case CellOps(boards, labels, last, hold):
            return "".join((kind.letter, *_cells("w", boards), *_cells("l", labels), _last(last), _hold(hold)))


def _cells(letter: str, ops: Iterable[CellOp]) -> Iterable[str]:
    for op in ops:
        match op:
            case AddToCell(cell, by, tie_place):
                yield f"{letter}{cell}+{by}{_tie(tie_place)}"
            case SetCell(cell, number, time, tie_place):
                yield f"{letter}{cell}={number}{'' if time is None else f'@{time}'}{_tie(tie_place)}"
            case DeleteCell(cell):
                yield f"{letter}{cell}x"


def _tie(tie_place: int | None) -> str:
    return "" if tie_place is None else f"~{tie_digits(tie_place)}"


def _last(last: LastGrantedAt | None) -> str:
    if last is None:
        return ""
    if last.moment is None:
        return "ax"
    return f"a{'+' if last.is_least else '='}{last.moment}{'' if last.before is None else f'@{last.before}'}"


def _hold(hold: Hold | None) -> str:
    return "" if hold is None else f"{hold.letter}={'' if hold.seq is None else hold.seq}"
