"""Watched boards of one partition, whose versions one call asks for."""

from collections.abc import Sequence
from math import inf
from typing import Any

from ..drivers.redis import Call
from ..model.windows import Window
from ..store.boards import read_versions, versions_call
from .protocol import Stamp
from .watched_board import BoardRead, WatchedBoard


class BoardGroup:
    """Up to a call's worth of boards. The register makes groups anew where boards come and go.

    What is the same in the next look is kept: the call, until one of the windows is over; and the last reply, so that
    only boards are looked at whose version differs, or that were not at rest.
    """

    __slots__ = ("_begins", "_call", "_ends", "_reply", "_windows", "boards")

    def __init__(self, boards: Sequence[WatchedBoard]) -> None:
        self.boards = boards
        self._call: Call | None = None
        self._windows: list[Window] = []
        self._begins, self._ends = -inf, inf
        self._reply: list[Any] = []

    def call(self, now: int) -> Call:
        """Asks for the versions of all of them, in the windows of now. O(1) until a window is over, then O(boards)."""
        if self._call is None or not self._begins <= now < self._ends:
            self._windows = [board.window(now) for board in self.boards]
            both = list(zip(self.boards, self._windows, strict=True))
            running = [window for board, window in both if window.name != board.window_name]
            self._begins = max((window.starts for window in running if window.starts is not None), default=-inf)
            self._ends = min((window.ends for window in running if window.ends is not None), default=inf)
            names = [(board.namespace.id, board.name_in(window)) for board, window in both]
            self._call = versions_call(self.boards[0].namespace.partition, names)
            self._reply = []
        return self._call

    def readings(self, reply: list[Any], lap: int) -> list[BoardRead]:
        """The reads that are due by the reply to the call. Recovering. O(boards), cheap for those at rest."""
        # Versions of another epoch say nothing of those before.
        before = self._reply if self._reply[:1] == reply[:1] else [None] * len(reply)
        self._reply = []
        due: list[BoardRead] = []
        epoch, versions = read_versions(reply)
        for board, window, version, old, new in zip(
            self.boards, self._windows, versions, before[1:], reply[1:], strict=True
        ):
            if old == new and board.is_at_rest:
                continue
            stamp = Stamp(epoch, window.name, version, board.namespace.version, board.names)
            due += board.readings(window, stamp, lap)
            board.is_at_rest = board.has_all(stamp)
        self._reply = reply
        return due
