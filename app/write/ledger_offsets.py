"""How far the ledger is, as one node's committer knows it since it connected."""

import asyncio
from collections.abc import Awaitable, Callable
from math import inf
from time import monotonic

import structlog

log = structlog.get_logger()

#: Seconds that a round waits for the ledger's offsets from Postgres.
OFFSETS_S_MAX = 1.0
#: Seconds until Postgres is asked again after it did not answer.
OFFSETS_PAUSE_S = 10.0

#: Epoch, seq and digest of an entry.
Known = tuple[int, int, bytes]
Offsets = Callable[[], Awaitable[dict[int, Known]]]


class LedgerOffsets:
    """Postgres' offsets, read once for each connection to Redis, because every round waits for the answer. While
    Postgres is away, it is asked again after a while."""

    def __init__(self, ask: Offsets) -> None:
        self._ask = ask
        self._offsets: dict[int, Known] | None = None
        self._question_s = -inf

    def forget(self) -> None:
        """There is a new connection: they are asked for anew."""
        self._offsets = None

    async def get(self) -> dict[int, Known]:
        """By partition; nothing while Postgres is away."""
        if self._offsets is None and monotonic() - self._question_s >= OFFSETS_PAUSE_S:
            self._question_s = monotonic()
            try:
                self._offsets = await asyncio.wait_for(self._ask(), OFFSETS_S_MAX)
                self._question_s = -inf
            except Exception as error:
                log.warning("offsets unknown", error=str(error) or type(error).__name__)
        return self._offsets or {}
