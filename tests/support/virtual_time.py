"""A loop whose time passes at once: where every task waits, its clock jumps to the next timer."""

import asyncio
import selectors
import sys
import time
from collections.abc import Coroutine
from typing import Any, TypeVar

import pytest

T = TypeVar("T")
#: What the clock shows first.
_STARTED_S = 1.0


class _Impatient(selectors.DefaultSelector):
    """Waits for nothing: the clock goes on instead."""

    def __init__(self, time: "VirtualTime") -> None:
        super().__init__()
        self._time = time

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready:
            assert timeout is not None, "every task waits, and none for a time"
            self._time.passed_s += timeout
        return ready


class VirtualTime:
    """The clock of a machine that was started just before the test. `run` runs a coroutine by it; the modules of `app`
    read it as `monotonic`. passed_s: seconds since the test began."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.passed_s = 0.0
        for name, module in list(sys.modules.items()):
            if name.startswith("app.") and getattr(module, "monotonic", None) is time.monotonic:
                monkeypatch.setattr(module, "monotonic", self)

    def __call__(self) -> float:
        return _STARTED_S + self.passed_s

    def run(self, main: Coroutine[Any, Any, T]) -> T:
        """The coroutine's result."""
        loop = asyncio.SelectorEventLoop(_Impatient(self))
        loop.time = self  # type: ignore[method-assign]
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            return runner.run(main)
