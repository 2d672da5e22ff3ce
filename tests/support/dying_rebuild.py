"""A rebuild that kills itself (kill -9) when it has written so many portions of users.

`python -m tests.support.dying_rebuild <partition> <portions>`. Portions are small: a few users are many of them.
"""

import asyncio
import os
import signal
import sys
from unittest.mock import patch

from app.access.digest_key import read_digest_key
from app.model.ledger_chain import LedgerChain
from app.recover.partition_rebuild import PartitionRebuild
from app.settings import read_settings

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


def main(partition: int, portions: int) -> None:
    """Rebuilds, as far as it comes."""
    settings = read_settings()
    with patch("app.recover.user_walk.USERS_A_CALL_MAX", USERS_A_CALL):
        chain = LedgerChain(read_digest_key(settings))
        work = PartitionRebuild(settings.postgres_url, settings.redis_url, partition, Fuse(portions), chain=chain)
        asyncio.run(work.run())


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
