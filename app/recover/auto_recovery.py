"""`LEADERBOARD_RECOVER`: what a persister brings back by itself.

`auto`: an end of the log that Redis lost and the ledger has, where Redis bears this deployment's id and its log holds
nothing that the ledger does not have. An empty Redis, another deployment's, or one with another history may be a wrong
URL or a volume that is not mounted: there an operator decides. `own`: Redis is this deployment's alone, as in
`leaderboard dev`; so an empty one, or one with another history, is written, too.
"""

import asyncio

import structlog

from ..admin.migrate import SCRIPTS, publish_deployment
from ..admin.store_agreement import find_chain
from ..drivers.postgres import Postgres
from ..drivers.redis import RedisConnection
from ..drivers.some_nodes import PresentNodes
from ..model.errors import Problem
from ..model.ledger_chain import LedgerChain
from ..persist.leases import Superseded
from ..persist.maintenance import STORES_LOST, log_loss
from ..settings import Settings
from ..store import keys
from ..store.apply import CallRefused
from ..store.ledger_reach import PartitionReach, read_reach
from ..store.partitions import read_deployment
from ..store.rebuilds import RebuildHead, read_last_entry, read_rebuild_head
from ..verify.progress import NullProgress
from .fork import BEGINNING
from .partition_rebuild import PartitionRebuild
from .progress import RebuildMoved, RebuildProgress, fork_of_clearing
from .recovery import is_behind
from .replay import replay_asides

log = structlog.get_logger()

#: Seconds between two looks at all partitions: some hundred µs of both stores.
LOOK_S = 2.0


class AutoRecovery:
    """Brings back what `settings.recover` allows, partition by partition, as `leaderboard recover` does it."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._owns_redis = settings.recover == "own"

    async def run(self) -> None:
        """Looks from time to time, for ever. A store that is away, or a partition that cannot be had, waits for the
        next look."""
        while self._settings.recover != "off":
            try:
                await self._look()
            except (*STORES_LOST, Superseded, CallRefused, Problem, RebuildMoved) as error:
                log_loss("a recovery stopped before its end, and is tried again", error)
            except Exception:  # The next look may go well; without one, nothing would ever come back.
                log.exception("a recovery failed, and is tried again")
            await asyncio.sleep(LOOK_S)

    async def _look(self) -> None:
        settings = self._settings
        link, postgres = RedisConnection(settings.redis_url, SCRIPTS), Postgres(settings.postgres_url)
        try:
            while True:
                await self.look(link, postgres)
                await asyncio.sleep(LOOK_S)
        finally:
            await link.close()
            await postgres.close()

    async def look(self, link: RedisConnection, postgres: Postgres) -> None:
        """One look. `link` knows SCRIPTS. O(partitions), and what a recovery takes."""
        present = PresentNodes(link)
        row, deployment = await postgres.fetch_one("get_deployment"), await read_deployment(present)
        if row is None or (deployment is None and (not self._owns_redis or present.lacks(keys.DEPLOYMENT))):
            return  # Nobody can tell whose Redis this is.
        if deployment is not None and deployment.id != row["id"]:
            return
        offsets = await postgres.fetch("get_offsets")
        due = [
            reach
            for reach in await read_reach(present, offsets)
            if is_behind(reach) and await self._may_recover(link, postgres, reach)
        ]
        if not due:
            return
        await publish_deployment(postgres, link)
        for reach in due:
            log.warning("a recovery begins", partition=reach.partition, reason=reach.closed or reach.loss)
            report = await self._rebuild(reach.partition, await find_chain(self._settings, postgres)).run()
            log.warning("a recovery is done", partition=report.partition, epoch=report.epoch, seq=report.seq)
        async for replay in replay_asides(self._settings, [reach.partition for reach in due]):
            log.warning("entries that only the log had count again", partition=replay.partition, report=str(replay))

    def _rebuild(self, p: int, chain: LedgerChain) -> PartitionRebuild:
        stores = self._settings.postgres_url, self._settings.redis_url
        return PartitionRebuild(*stores, p, NullProgress(), chain=chain, from_fork=True)

    async def _may_recover(self, link: RedisConnection, postgres: Postgres, reach: PartitionReach) -> bool:
        """Whether what a partition lost may come back without an operator."""
        if self._owns_redis:
            return True
        head = await read_rebuild_head(link, reach.partition)
        if head.progress:
            return _is_recovery(head)
        last = await read_last_entry(link, reach.partition)
        if head.seq is None or last is None or last.seq != head.seq:
            return False
        rows = await postgres.fetch("get_digests", reach.partition, [last.epoch], [last.seq])
        return any(bytes(row["digest"]) == last.digest for row in rows)


def _is_recovery(head: RebuildHead) -> bool:
    """Whether a recovery from a fork was under way: it goes on, unless the process that began it is alive."""
    progress = RebuildProgress.parse(head.progress)
    fork = fork_of_clearing(head.progress) if progress is None else progress.fork
    return fork not in (None, BEGINNING)
