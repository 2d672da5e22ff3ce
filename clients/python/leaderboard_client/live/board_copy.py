"""The copy of a watched board, and how frames change it. No clock and no socket."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec
from msgspec import Struct

from ..answers import Entry, Stats

#: Rows of a view: a `top` of 100.
ROWS_MAX = 100


class LiveBoard(Struct, frozen=True, kw_only=True):
    """One state of a watched board. It never changes: each change brings a new one. window: the resolved one, such as
    `2025-11-04` for `day`; total: users on the whole board; stats: of the view Figures alone."""

    window: str
    starts: datetime | None
    ends: datetime | None
    epoch: int
    version: int
    total: int
    entries: tuple[Entry, ...]
    stats: Stats | None = None

    def changes_since(self, before: "LiveBoard | None") -> tuple[tuple[Entry, ...], tuple[str, ...]]:
        """The rows that are new or other than before, and the users who left. O(rows)."""
        rows = {} if before is None else {entry.user_id: entry for entry in before.entries}
        users = {entry.user_id for entry in self.entries}
        upsert = tuple(entry for entry in self.entries if rows.get(entry.user_id) != entry)
        return upsert, tuple(user for user in rows if user not in users)


class BoardCopy:
    """board: the newest state; None before the first, and while there is no such board."""

    def __init__(self) -> None:
        self.board: LiveBoard | None = None

    @property
    def resume(self) -> dict[str, Any]:
        """Where to go on after a lost connection; nothing without a state. A version does not tell which names a copy
        has, so a copy with names is asked for anew."""
        board = self.board
        if board is None or any(entry.display_name is not None or entry.avatar is not None for entry in board.entries):
            return {}
        return {"epoch": board.epoch, "version": board.version, "resume_window": board.window}

    def forget(self) -> None:
        """There is no such board, or what is here does not fit it."""
        self.board = None

    def apply(self, frame: Mapping[str, Any]) -> bool:
        """Applies a snapshot, a delta or an uptodate. False: it does not lead on from this copy, which has to be asked
        for anew. O(rows · log rows), a hundred at most. msgspec.ValidationError for a frame that is none."""
        board = self.board
        kind = frame["type"]
        if kind != "snapshot" and (board is None or board.window != frame["window"]):
            return False
        if kind == "uptodate":
            return board is not None and board.version == frame["version"]
        rows: dict[str, Entry] = {}
        if kind == "delta":
            if board is None or board.version != frame["from"]:
                return False
            rows = {entry.user_id: entry for entry in board.entries}
            for user in frame["remove"]:
                rows.pop(user, None)
        changes = msgspec.convert(frame["upsert" if kind == "delta" else "entries"], tuple[Entry, ...])
        rows.update((entry.user_id, entry) for entry in changes)
        entries = tuple(sorted(rows.values(), key=lambda entry: entry.position))
        if len(entries) > ROWS_MAX or len({entry.position for entry in entries}) < len(entries):
            return False
        epoch = {} if board is None else {"epoch": board.epoch}
        self.board = msgspec.convert({**epoch, **frame, "entries": entries}, LiveBoard)
        return True
