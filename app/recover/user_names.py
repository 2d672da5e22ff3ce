"""The users whom Redis has in some partitions, by namespace. One scan of each node finds them, however many namespaces
there are. They lie in a temporary table of Postgres, so memory is bounded."""

from collections.abc import AsyncIterator, Collection

import asyncpg

from ..drivers.postgres import connect, queries
from ..drivers.redis import RedisConnection, ask
from ..store import keys
from ..store.key_space import scan_call
from ..store.nodes import PartitionNodes
from .partition_hold import STATEMENT_S_MAX

#: Keys that one call goes through: a ms of Redis or less.
_KEYS_A_SCAN = 1_000
#: Names of one page.
_NAMES_A_PAGE = 1_000


class UserNames:
    """Those of partitions that take no entry meanwhile."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self._connection = connection

    @classmethod
    async def read(cls, link: RedisConnection, postgres_url: str, partitions: Collection[int]) -> "UserNames":
        """Scans the nodes of some partitions. RedisRefused; the stores' errors. O(keys of these nodes)."""
        names = cls(await connect(postgres_url, STATEMENT_S_MAX))
        try:
            await names._connection.execute(queries()["create_redis_users"])
            # A cursor has no meaning for another node: where a partition has moved meanwhile, all is read once more.
            while partitions:
                nodes = PartitionNodes(link)
                await nodes.learn()
                version = nodes.version
                for name in sorted({nodes.of(p) for p in partitions}):
                    await names._scan(link, name, partitions)
                if nodes.version == version:
                    break
        except BaseException:
            names.close()
            raise
        return names

    async def _scan(self, link: RedisConnection, node: str, partitions: Collection[int]) -> None:
        cursor = b"0"
        while True:
            cursor, page = await ask(link.link(node), scan_call(cursor, _KEYS_A_SCAN))
            users = [user for key in page if (user := keys.user_of(key)) is not None and user[0] in partitions]
            columns = [user[1] for user in users], [user[2] for user in users]
            await self._connection.execute(queries()["add_redis_users"], *columns)
            if cursor == b"0":
                return

    async def pages(self, namespace_id: int) -> AsyncIterator[list[str]]:
        """Those of a namespace, in order. asyncpg's errors; O(them × log n)."""
        after = ""
        while rows := await self._connection.fetch(queries()["get_redis_users"], namespace_id, after, _NAMES_A_PAGE):
            after = rows[-1]["name"]
            yield [row["name"] for row in rows]

    def close(self) -> None:
        """Ends the connection, and with it the table."""
        self._connection.terminate()
