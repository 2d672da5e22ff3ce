"""Reads of boards for rank events: connections of their own, made when the first webhook asks for them."""

import asyncio

from ..drivers.postgres import Postgres
from ..drivers.redis import NodeMap, RedisConnection
from ..loops import forever
from ..settings import Settings
from ..store.board_reader import BoardReader
from ..store.boards import READS
from ..store.marks import MARK_SCRIPTS, Marks
from ..store.node_reader import WAIT_S_MAX
from ..store.read_batcher import ReadBatcher
from ..task_end import end_all


class BoardAccess:
    """Reads boards as a server does: a partition that lost something is not read."""

    def __init__(self, settings: Settings) -> None:
        url, nodes = settings.redis_url, NodeMap.of_url(settings.redis_url)
        self._links = [
            RedisConnection(url, READS, timeout_s=WAIT_S_MAX, nodes=nodes),
            RedisConnection(url, MARK_SCRIPTS, nodes=nodes),
        ]
        self._postgres = Postgres(settings.postgres_url)
        self._marks = Marks(self._links[1], settings.postgres_url)
        self._batcher = ReadBatcher(self._links[0], self._marks.renew)
        self._task: asyncio.Task[None] | None = None
        self._reader = BoardReader(self._batcher, self._postgres)

    def reader(self) -> BoardReader:
        """Reads boards, from the first call on."""
        self._task = self._task or asyncio.create_task(forever(self._batcher.run))
        return self._reader

    async def close(self) -> None:
        """Ends the connections."""
        if self._task is not None:
            await end_all([self._task])
        await self._marks.close()
        for link in self._links:
            await link.close()
        await self._postgres.close()
