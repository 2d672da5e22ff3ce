"""What a ledger lacks of a user's cells, and no log holds any more: recorded once as Redis has it.

A lost cell of what adds up (sums and counts) is a difference; of what one grant decides (the best, the latest, the last
moment) it is that grant's value. So later grants and corrections count beside it as beside any other grant.
"""

from typing import Any

from .cell_ops import Cell
from .labels import is_day
from .namespace import Namespace
from .user_cells import CellBuilder, Cells, UserCells

_COUNT, _LAST, _TOTAL = "count", "last", "total"
#: How the names of cells begin that stand beside a number: its place among equals, and its moment.
_BESIDE = ("o:", "gb", "gc", "gs")


def lost_cells(namespace: Namespace, actual: Cells, expected: Cells) -> tuple[Cells, list[str]]:
    """What has to come to the cells by the ledger (`expected`) for them to be those of Redis (`actual`); and the cells
    that differ even so, as they do where a correction is lost. O(cells)."""
    lost: Cells = {}
    for name in sorted(actual.keys() | expected.keys()):
        if name == _COUNT or (name not in actual and name != _TOTAL) or name[:2] in _BESIDE:
            continue
        beside = [other for other in _beside(name) if other in actual]
        if all(actual.get(one) == expected.get(one) for one in (name, *_beside(name))):
            continue
        adds = namespace.aggregation.adds and name != _LAST and not is_day(name)
        lost[name] = actual.get(name, 0) - (expected.get(name, 0) if adds else 0)
        lost |= {other: actual[other] for other in beside}
    if "b:all" in lost and not namespace.aggregation.adds:
        # Both are the number of one grant, also where a grant of the ledger has it.
        lost[_TOTAL] = actual.get(_TOTAL, 0)
    if actual.get(_COUNT, 0) != expected.get(_COUNT, 0):
        lost[_COUNT] = actual.get(_COUNT, 0) - expected.get(_COUNT, 0)
    together = dict(expected)
    _add(namespace, together, lost)
    return lost, sorted(name for name in actual.keys() | together.keys() if actual.get(name) != together.get(name))


def add_lost_cells(namespace: Namespace, builder: CellBuilder, user: UserCells, lost: Cells) -> None:
    """Adds lost cells to those of a user, as far as the builder makes these. O(cells)."""
    user.is_uniform = False
    _add(namespace, user.cells, {name: value for name, value in lost.items() if builder.makes(name)})


def _add(namespace: Namespace, cells: Cells, lost: Cells) -> None:
    """Adds lost cells to others."""
    before = dict(cells)
    for name, value in lost.items():
        if name[:2] in _BESIDE:
            continue
        if name == _COUNT:
            cells[name] = before.get(name, 0) + value
        elif name == _LAST or is_day(name):
            cells[name] = max(before.get(name, value), value)
        elif namespace.aggregation.adds:
            cells[name] = before.get(name, 0) + value
            cells |= {tie: max(before.get(tie, lost[tie]), lost[tie]) for tie in _beside(name) if tie in lost}
        elif name not in before or _decides(namespace, name, before, lost):
            cells |= {one: lost[one] for one in (name, *_beside(name)) if one in lost}
    for name in (_TOTAL, _COUNT):
        if not cells.get(name, 1):
            del cells[name]


def _decides(namespace: Namespace, name: str, cells: Cells, lost: Cells) -> bool:
    """Whether a lost grant makes the number of a cell, and not one of the ledger's."""
    tie = f"o:{name[2:]}"
    if namespace.aggregation.keeps_times:
        moment = "gb:all" if name == _TOTAL else f"g{name}"
        return (lost.get(moment, 0), lost.get(tie, 0)) >= (cells.get(moment, 0), cells.get(tie, 0))
    if cells[name] == lost[name]:
        return lost.get(tie, 0) < cells.get(tie, 0)
    return namespace.aggregation.merged(cells[name], lost[name]) == lost[name]


def _beside(name: str) -> tuple[str, ...]:
    """The cells that belong to a number's."""
    if name[:2] == "b:":
        return f"o:{name[2:]}", f"g{name}"
    return (f"g{name}",) if name[:2] in ("c:", "s:") else ()


def lost_events(number: int, lost: Cells, name: str) -> list[dict[str, Any]]:
    """The lost scores of a user as rows of `get_score_events`, in order: one grant a board, at its place among equals.
    name: of these grants, no client's. O(cells × log n)."""
    blank = dict.fromkeys(("category", "old_windows", "old_category", "old_amount", "old_voided"))
    events = []
    for cell, amount in lost.items():
        if cell[:2] == "b:":
            board, seq = cell[2:], lost.get(f"o:{cell[2:]}", 0)
            at = lost.get(f"g{cell}", 0)
            event = {"number": number, "seq": seq, "grant_id": name, "first_seq": seq, "windows": [board]}
            events.append(blank | event | {"amount": amount, "granted_at": at, "voided": False})
    return sorted(events, key=lambda event: event["seq"])


def other_cells(lost: Cells) -> dict[str, Cell]:
    """The lost cells as what other grants add up to, by board or label, as corrections are planned with them."""
    made = {}
    for name, value in lost.items():
        if name[:2] in _BESIDE or name in (_COUNT, _LAST, _TOTAL):
            continue
        is_board = name[:2] == "b:"
        board = name[2:] if is_board else name
        moment = lost.get(f"g{name}", 0)
        tie = lost.get(f"o:{board}") if is_board else None
        made[board] = Cell(value, value, value, moment, 0, tie)
    return made
