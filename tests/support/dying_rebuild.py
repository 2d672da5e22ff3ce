"""A rebuild that kills itself (kill -9) when it has written so many portions of users.

`python -m tests.support.dying_rebuild <partition> <portions> [recover|from-redis]`. Portions are
small: a few users are many of them.
"""

import asyncio
import os
import signal
import sys
from unittest.mock import patch

from app.access.digest_key import read_digest_key
from app.admin.migrate import SCRIPTS, publish_deployment
from app.drivers.postgres import Postgres
from app.drivers.redis import RedisConnection
from app.model.ledger_chain import LedgerChain
from app.recover.ledger_from_redis import LedgerFromRedis
from app.recover.ledger_gap import begin_gaps, find_gap
from app.recover.partition_rebuild import PartitionRebuild
from app.recover.user_names import UserNames
from app.settings import Settings, read_settings

USERS_A_CALL = 5


class Fuse:
    """A progress that ends its process."""

    def __init__(self, portions: int) -> None:
        self._left = portions

    def begin(self, users: int) -> None:
        """Nothing yet."""

    def at(self, what: str) -> None:
        """Nothing yet."""

    def step(self, users: int) -> None:
        """One portion less."""
        self._left -= 1
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGKILL)


async def record(settings: Settings, partition: int, fuse: Fuse, chain: LedgerChain) -> None:
    """What Redis has, into a ledger that lost it."""
    postgres, link = Postgres(settings.postgres_url), RedisConnection(settings.redis_url, [])
    gap = await find_gap(link, postgres, partition)
    assert gap is not None
    await begin_gaps(link, {partition: gap})
    names = await UserNames.read(link, settings.postgres_url, [partition])
    work = LedgerFromRedis(settings.postgres_url, settings.redis_url, partition, gap, fuse, names=names, chain=chain)
    await work.run(postgres)


async def work(settings: Settings, partition: int, portions: int, how: str) -> None:
    """As the commands do it."""
    if how == "recover":
        postgres, link = Postgres(settings.postgres_url), RedisConnection(settings.redis_url, SCRIPTS)
        await publish_deployment(postgres, link)
        await link.close()
        await postgres.close()
    fuse, chain = Fuse(portions), LedgerChain(read_digest_key(settings))
    if how == "from-redis":
        await record(settings, partition, fuse, chain)
        return
    await PartitionRebuild(
        settings.postgres_url, settings.redis_url, partition, fuse, chain=chain, from_fork=how == "recover"
    ).run()


def main(partition: int, portions: int, how: str) -> None:
    """Rebuilds, as far as it comes."""
    with (
        patch("app.recover.user_walk.USERS_A_CALL_MAX", USERS_A_CALL),
        patch("app.recover.ledger_from_redis._USERS_A_CALL", 1),
    ):
        asyncio.run(work(read_settings(), partition, portions, how))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), "".join(sys.argv[3:]))
