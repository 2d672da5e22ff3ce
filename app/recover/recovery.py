"""`leaderboard recover`: partitions that are closed for a loss are opened again, with all that the ledger and the log
hold."""

from collections.abc import AsyncIterator

from ..admin.migrate import SCRIPTS, publish_deployment
from ..admin.store_agreement import check_together, find_chain
from ..drivers.postgres import Postgres
from ..drivers.redis import RedisConnection
from ..drivers.some_nodes import PresentNodes
from ..model.ledger_chain import LedgerChain
from ..model.text import count_text
from ..settings import Settings
from ..store.ledger_reach import PartitionReach, read_reach
from ..store.marks import SETTLE_LOSS
from ..store.partitions import LEDGER_BEHIND
from ..store.rebuilds import read_rebuild_head
from ..verify.report import Progress
from .fork import BEGINNING
from .partition_rebuild import PartitionRebuild, RebuildReport
from .replay import replay_asides
from .settlement import Recovery, settle, settle_soon


async def recover(settings: Settings, progress: Progress, only: int | None = None) -> AsyncIterator[Recovery]:
    """Opens what can be opened, or one partition alone. RedisRefused, CallRefused, FormatRefused, StoreUnavailable,
    RebuildMoved; O(what changed behind the loss), for a log that was lost as a whole O(the ledger)."""
    link, postgres = RedisConnection(settings.redis_url, [*SCRIPTS, SETTLE_LOSS]), Postgres(settings.postgres_url)
    try:
        wrong = await check_together(link, postgres)
        offsets = [row for row in await postgres.fetch("get_offsets") if only in (None, row["partition"])]
        reaches = await read_reach(PresentNodes(link), [row for row in offsets if row["partition"] in wrong])
        away = {reach.partition for reach in reaches if reach.is_away}
        if any(map(is_behind, reaches)):
            await publish_deployment(postgres, link)
        replayed = []
        for reach in reaches:
            if reach.is_away:
                yield Recovery(
                    reach.partition, False, f"{wrong[reach.partition]}: run leaderboard recover again once it answers"
                )
            elif is_behind(reach):
                recovery = await _replay(settings, link, reach, progress, await find_chain(settings, postgres))
                replayed += [reach.partition] if recovery.is_open else []
                yield recovery
            elif wrong[reach.partition].startswith(LEDGER_BEHIND):
                yield Recovery(reach.partition, False, wrong[reach.partition])
            else:
                yield await settle(link, postgres, reach)
        async for report in replay_asides(settings, [p for row in offsets if (p := row["partition"]) not in away]):
            yield Recovery(report.partition, True, str(report))
        async for recovery in settle_soon(link, postgres, replayed):
            yield recovery
    finally:
        await link.close()
        await postgres.close()


def is_behind(reach: PartitionReach) -> bool:
    """Whether Redis lacks what the ledger has."""
    return reach.loss is not None and not reach.is_away and not reach.loss.startswith(LEDGER_BEHIND)


async def _replay(
    settings: Settings, link: RedisConnection, reach: PartitionReach, progress: Progress, chain: LedgerChain
) -> Recovery:
    p, head = reach.partition, await read_rebuild_head(link, reach.partition)
    if head.seq is None and not head.progress:
        return Recovery(p, False, f"Redis has nothing of it: run leaderboard rebuild --partition {p}")
    work = PartitionRebuild(settings.postgres_url, settings.redis_url, p, progress, chain=chain, from_fork=True)
    return Recovery(p, True, _text(await work.run()))


def _text(report: RebuildReport) -> str:
    if report.fork == BEGINNING:
        came_back = f"written anew with {count_text(report.users, 'user')}"
    else:
        entries = count_text(report.seq - 1 - report.fork.seq, "entry", "entries")
        came_back = f"brought back {entries} behind seq {report.fork.seq}, of {count_text(report.users, 'user')}"
    return f"{came_back}; it goes on behind seq {report.seq} in epoch {report.epoch}"
