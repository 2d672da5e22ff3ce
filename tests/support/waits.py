"""Waits in tests, each with a deadline."""

import time
from collections.abc import Callable
from typing import Any

#: Seconds within which things come about on a machine that does other work, too.
READY_S_MAX = 60.0
#: Seconds between two looks.
LOOK_S = 0.02


def until(ask: Callable[..., Any], what: str, seconds: float = READY_S_MAX) -> Any:
    """Asks until the answer is true, and returns it; AssertionError names `what`."""
    deadline = time.monotonic() + seconds
    while not (answer := ask()):
        assert time.monotonic() < deadline, f"{what}: not within {seconds:g} s"
        time.sleep(LOOK_S)
    return answer
