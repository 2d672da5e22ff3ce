"""Why a connection ended, and how it comes back."""

from collections.abc import Mapping
from typing import Any

from websockets.exceptions import ConnectionClosed

from ..errors import Problem, problem_of_body
from .comebacks import SOON, Waits

#: Seconds for which a server that shuts down may send a client away.
DRAIN_S_MAX = 60.0


class Loss(Exception):
    """The end of a connection. waits: None for good; least_s: seconds to wait at least."""

    def __init__(self, problem: Problem, waits: Waits | None, least_s: float = 0.0) -> None:
        super().__init__(problem)
        self.problem = problem
        self.waits = waits
        self.least_s = least_s


def drain_of(frame: Mapping[str, Any], chance: float) -> Loss:
    """The loss after `drain`. Every client is sent away for the same time: they come back spread over as long again."""
    away = min(float(frame.get("retry_ms") or 0) / 1000, DRAIN_S_MAX)
    return Loss(Problem("draining", "the server shuts down"), SOON, away * (1 + chance))


def problem_of_frame(frame: Mapping[str, Any]) -> Problem:
    """What an `error` frame tells."""
    return problem_of_body(frame, status=0, kind=Problem)


def close_code(error: ConnectionClosed) -> int:
    """The code with which the server closed; 0 without one."""
    return 0 if error.rcvd is None else error.rcvd.code


def problem_of_close(error: ConnectionClosed) -> Problem:
    """What a close tells: `close_4001` and the like for codes of this server."""
    code = close_code(error)
    reason = "" if error.rcvd is None else error.rcvd.reason
    name = f"close_{code}" if code >= 4000 else "connection_lost"
    return Problem(name, reason or f"the connection was closed ({code})")
