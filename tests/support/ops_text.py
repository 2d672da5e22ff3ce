"""Ops for tests, out of the text in which they travel: `w1+2w2xl1=4@17a=17u=3`."""

import re

from app.model.ops import AddToCell, CellOp, CellOps, DeleteCell, Hold, LastGrantedAt, SetCell
from app.model.tie_break import tie_place_from_digits

_OP = re.compile(r"([wla])(\d*)([=+x])(-?\d*)(?:@(-?\d+))?(?:~(\d{33}))?|([ugf])=(\d*)")


def cell_ops(text: str) -> CellOps:
    """What `render_ops` would write as this text, without the letter of its kind."""
    boards: list[CellOp] = []
    labels: list[CellOp] = []
    last, hold = None, None
    for what, index, how, number, time, digits, holds, seq in _OP.findall(text):
        if holds:
            hold = Hold(holds, int(seq) if seq else None)
        elif what == "a":
            last = (
                LastGrantedAt(int(number), how == "+", int(time) if time else None) if number else LastGrantedAt(None)
            )
        else:
            tie = tie_place_from_digits(digits.encode(), "granted_at") if digits else None
            (boards if what == "w" else labels).append(_op(int(index), how, number, int(time) if time else None, tie))
    return CellOps(tuple(boards), tuple(labels), last, hold)


def _op(index: int, how: str, number: str, time: int | None, tie: int | None) -> CellOp:
    if how == "x":
        return DeleteCell(index)
    return AddToCell(index, int(number), tie) if how == "+" else SetCell(index, int(number), time, tie)
