"""The problems that clients get while a partition refuses writes."""

import structlog

from ..drivers.redis import RedisLink
from ..model.errors import Overloaded, Problem, Recovering, StoreUnavailable, Unavailable
from ..store.apply import CallRefused
from ..store.marks import close_partitions
from ..store.partitions import lost_head

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
        self._losses: dict[int, str] = {}

    def problem(self, p: int, refusal: CallRefused) -> Problem:
        """The problem for a partition that refuses writes. It names the command that helps."""
        if refusal.code == "unopened":
            refusal = CallRefused("unopened", lost_head(p))
        if self._codes.get(p) != refusal.code:
            self._codes[p] = refusal.code
            log.error("writes refused", partition=p, code=refusal.code, detail=refusal.detail)
        if refusal.code == "lost_tail":
            self._losses[p] = f"{refusal.detail}: run leaderboard recover --partition {p}"
        return _PROBLEMS.get(refusal.code, Recovering)(f"partition {p}: {refusal}")

    async def close_lost(self, link: RedisLink) -> None:
        """Closes partitions that lost what this process acknowledged: nobody else may know of it. RedisRefused."""
        losses, self._losses = self._losses, {}
        if losses:
            await close_partitions(link, losses)

    def clear(self, p: int) -> None:
        """It takes writes again."""
        self._codes.pop(p, None)
