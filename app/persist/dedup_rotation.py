"""Rotates the dedup generations: begins a new one when the newest is full or old, and drops the oldest."""

from collections.abc import Sequence

from ..drivers.redis import RedisConnection, ask_all
from ..settings import Settings
from ..store.apply import CallRefused
from ..store.capacity import Capacity
from ..store.partitions import read_heads, rotate_call


class DedupRotation:
    """Rotates the generations of partitions. `link` knows rotate_dedup.lua. A generation is full by the capacity."""

    def __init__(self, link: RedisConnection, settings: Settings, capacity: Capacity) -> None:
        self._link = link
        self._age_micros = settings.dedup_s * 1_000_000
        self._capacity = capacity

    async def rotate(self, partitions: Sequence[int]) -> None:
        """Rotates where the newest generation is full or old, by two round trips. O(partitions). CallRefused where a
        partition's head is corrupt, RedisRefused."""
        calls = []
        for p, head in zip(partitions, await read_heads(self._link, partitions), strict=True):
            if isinstance(head, CallRefused):
                raise head
            calls.append(rotate_call(p, head, age_micros=self._age_micros, entries_max=self._capacity.dedup_ids(p)))
        await ask_all(self._link, calls)
