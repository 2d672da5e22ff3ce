"""What a client is told while a partition refuses writes."""

import structlog

from ..model.errors import Overloaded, Problem, Recovering, StoreUnavailable, Unavailable
from ..store.apply import CallRefused

log = structlog.get_logger()

_PROBLEMS: dict[str, type[Unavailable]] = {
    "corrupt": StoreUnavailable,
    "unwritable": StoreUnavailable,
    "log_full": Overloaded,
}


class PartitionRefusals:
    """The partitions that refuse writes. Each is logged once where the cause is a new one."""

    def __init__(self) -> None:
        self._codes: dict[int, str] = {}

    def problem(self, p: int, refusal: CallRefused) -> Problem:
        """The problem for a partition that refuses writes."""
        if self._codes.get(p) != refusal.code:
            self._codes[p] = refusal.code
            log.error("writes refused", partition=p, code=refusal.code, detail=refusal.detail)
        return _PROBLEMS.get(refusal.code, Recovering)(f"partition {p}: {refusal}")

    def clear(self, p: int) -> None:
        """It takes writes again."""
        self._codes.pop(p, None)
