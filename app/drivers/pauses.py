"""Pauses between two looks at the ledger while a request waits for it."""

import asyncio
from time import monotonic

#: Seconds of the first pause: a row stands in the ledger some 50 ms after its grant.
FIRST_PAUSE_S = 0.02
#: Factor by which each pause is longer than the one before. Each look is a query, and while the ledger lags every
#: waiting request makes them. A request waits at most half as long again as it had to.
GROWTH = 1.5


class Pauses:
    """The pauses of one wait. It makes O(log wait) looks: ten within a second, twelve within two."""

    def __init__(self, wait_s: float) -> None:
        """wait_s: seconds after which the wait is over."""
        self._until = monotonic() + wait_s
        self._pause_s = FIRST_PAUSE_S

    @property
    def are_over(self) -> bool:
        """Whether the wait is over. Then the look before was the last."""
        return monotonic() >= self._until

    async def next(self) -> None:
        """Sleeps until the next look is due, at most until the wait is over."""
        await asyncio.sleep(max(0.0, min(self._pause_s, self._until - monotonic())))
        self._pause_s *= GROWTH
