"""`leaderboard rebuild --from-redis`: partitions of which Postgres lost rows that no log holds are opened again."""

from collections.abc import AsyncIterator, Mapping

from ..admin.store_agreement import check_together, find_chain
from ..drivers.postgres import Postgres
from ..drivers.redis import RedisConnection
from ..drivers.some_nodes import PresentNodes
from ..settings import Settings
from ..store.ledger_reach import read_reach
from ..store.marks import MARK_SCRIPTS, Marks
from ..store.partitions import LEDGER_BEHIND
from ..verify.report import Progress
from .ledger_from_redis import LedgerFromRedis
from .ledger_gap import LedgerGap, begin_gaps, find_gap
from .settlement import Recovery
from .user_names import UserNames


async def record_lost_rows(settings: Settings, progress: Progress, only: int | None = None) -> AsyncIterator[Recovery]:
    """Records what Redis has where the ledger lost rows, and has each partition compared with the ledger again; of one
    partition, or of all. RedisRefused, CallRefused, RebuildMoved, PartitionStopped, StoreUnavailable; O(users ×
    boards)."""
    link, postgres = RedisConnection(settings.redis_url, []), Postgres(settings.postgres_url)
    marks = Marks(RedisConnection(settings.redis_url, MARK_SCRIPTS), settings.postgres_url)
    try:
        offsets = [row for row in await postgres.fetch("get_offsets") if only in (None, row["partition"])]
        reaches = await read_reach(PresentNodes(link), offsets)
        behind = {reach.partition for reach in reaches if (reach.loss or "").startswith(LEDGER_BEHIND)}
        users = await postgres.fetch("count_users_of_partitions", sorted(behind), None)
        progress.begin(users[0]["users"])
        gaps = {p: gap for p in sorted(behind) if (gap := await find_gap(link, postgres, p)) is not None}
        reports = await _record(settings, link, postgres, gaps, progress) if gaps else {}
        await marks.renew_all()
        wrong = await check_together(link, postgres)
        for p in sorted(behind | wrong.keys()):
            report = f"{reports[p]}; " if p in reports else ""
            yield Recovery(p, p not in wrong, f"{report}{wrong.get(p, 'it takes grants again')}")
    finally:
        await marks.close()
        await link.close()
        await postgres.close()


async def _record(
    settings: Settings, link: RedisConnection, postgres: Postgres, gaps: Mapping[int, LedgerGap], progress: Progress
) -> dict[int, str]:
    """Records what Redis has of partitions with gaps; the report of each."""
    chain, reports = await find_chain(settings, postgres), dict[int, str]()
    await begin_gaps(link, gaps)
    names = await UserNames.read(link, settings.postgres_url, gaps.keys())
    try:
        for p, gap in gaps.items():
            work = LedgerFromRedis(
                settings.postgres_url, settings.redis_url, p, gap, progress, names=names, chain=chain
            )
            reports[p] = str(await work.run(postgres))
    finally:
        names.close()
    return reports
