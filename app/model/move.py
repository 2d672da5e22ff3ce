"""How far the move of a namespace from another system is."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

import msgspec

from .namespace import Number

Phase = Literal["shadow", "importing", "compared", "live"]


class Move(msgspec.Struct, frozen=True, kw_only=True):
    """The phase, and what led there. compared_at, as_of, differences, largest_difference: of the last comparison of the
    board of all time that was made as of a moment; differences: users whose scores differ, or who are missing on a
    side. cut_over_…: when and by whom it last left the shadow, and the place of the ledger's end then. cut_back_…: when
    and by whom that was last undone. null: not yet."""

    phase: Phase
    compared_at: datetime | None = None
    as_of: datetime | None = None
    differences: int | None = None
    largest_difference: Number | None = None
    cut_over_at: datetime | None = None
    cut_over_by: str | None = None
    cut_over_epoch: int | None = None
    cut_over_seq: int | None = None
    cut_back_at: datetime | None = None
    cut_back_by: str | None = None


def move_of(mode: str, row: Mapping[str, Any]) -> Move | None:
    """The move of a namespace, from the row of `get_move`; None where it never moved."""
    values = dict(row)
    is_importing, back_at, difference = values.pop("is_importing"), values["cut_back_at"], values["largest_difference"]
    if difference is not None:
        values["largest_difference"] = int(difference) if difference == int(difference) else float(difference)
    if mode != "shadow":
        return None if values["cut_over_at"] is None else Move(phase="live", **values)
    if is_importing:
        return Move(phase="importing", **values)
    # A comparison of before the last way back says nothing of now.
    is_compared = values["compared_at"] is not None and (back_at is None or values["compared_at"] > back_at)
    return Move(phase="compared" if is_compared else "shadow", **values)
