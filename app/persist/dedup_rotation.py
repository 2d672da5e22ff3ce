"""Rotates the dedup generations: begins a new one when the newest is full or old, and drops the oldest."""

from ..drivers.redis import RedisConnection
from ..settings import Settings
from ..store.capacity import Capacity
from ..store.partitions import read_head, rotate_generations


class DedupRotation:
    """Rotates the generations of one partition after the other. `link` knows rotate_dedup.lua. A generation is full by
    the capacity."""

    def __init__(self, link: RedisConnection, settings: Settings, capacity: Capacity) -> None:
        self._link = link
        self._age_micros = settings.dedup_s * 1_000_000
        self._capacity = capacity

    async def rotate(self, p: int) -> None:
        """Rotates if the newest generation is full or old. O(1). CallRefused where the partition's head is corrupt,
        RedisRefused."""
        await rotate_generations(
            self._link,
            p,
            await read_head(self._link, p),
            age_micros=self._age_micros,
            entries_max=self._capacity.dedup_ids(p),
        )
