"""`leaderboard rebuild`: writes into Redis anew what the ledger holds."""

import asyncio
from collections.abc import Collection, Sequence
from typing import Annotated

import typer

from ..admin.migrate import SCRIPTS, publish_deployment
from ..admin.store_agreement import find_chain
from ..drivers.postgres import Postgres
from ..drivers.redis import NodeLost, RedisConnection
from ..logs import configure
from ..model.text import count_text
from ..persist.log_reader import PartitionStopped
from ..recover.lost_rows import record_lost_rows
from ..recover.partition_rebuild import PartitionRebuild, RebuildReport
from ..recover.progress import RebuildMoved
from ..recover.replay import replay_asides
from ..recover.settlement import settle_soon
from ..recover.state_from_redis import take_state
from ..recover.state_taking import take_alone
from ..settings import Settings, read_settings
from ..store.marks import SETTLE_LOSS
from ..store.namespace_cache import namespace_from_row
from ..store.search_rows import differing_search_rows
from ..tune_gc import tune_gc
from .finding import FindingError


def rebuild(
    partition: Annotated[int | None, typer.Option(help="One partition; without it, and a namespace: all.")] = None,
    namespace: Annotated[str | None, typer.Option(help="One namespace, in place.")] = None,
    from_redis: Annotated[
        bool, typer.Option("--from-redis", help="Postgres is the older one: it gets back what Redis has.")
    ] = False,
    quiet: Annotated[bool, typer.Option(help="No progress.")] = False,
) -> None:
    """Writes boards, balances and ties anew from the ledger. A partition is closed while it is written; the others
    serve. A rebuild that was killed goes on where it was when it is started again.

    With --from-redis no board is written. An older Postgres takes the deployment's state back from Redis. Where it lost
    rows that no log holds, users' numbers are recorded as Redis has them, and the partition takes grants again. Exit 1
    where one stays closed.
    """
    if partition is not None and namespace is not None:
        raise typer.BadParameter("give --partition or --namespace, not both")
    if from_redis and namespace is not None:
        raise typer.BadParameter("--from-redis looks at whole partitions: leave --namespace out")
    settings = read_settings()
    configure(settings.log_level)
    if from_redis:
        asyncio.run(_take_from_redis(settings, partition, quiet))
        return
    asyncio.run(rebuild_targets(settings, partition, namespace, quiet))


async def rebuild_targets(settings: Settings, partition: int | None, name: str | None, quiet: bool) -> None:
    """Rebuilds one partition, one namespace, or all, and prints what was done. A node of a cluster that is away keeps
    no other's partitions from it. FindingError."""
    # Imported here, because it takes a while and no other command draws a progress bar.
    from ..verify.progress import progress

    postgres, link = Postgres(settings.postgres_url), RedisConnection(settings.redis_url, SCRIPTS)
    try:
        partitions = await publish_deployment(postgres, link)
        namespace_id, where = await _where(postgres, range(partitions), partition, name)
        chain = await find_chain(settings, postgres)
        users = await postgres.fetch("count_users_of_partitions", list(where), namespace_id)
        await _mend_search(postgres, where, namespace_id)
    finally:
        await link.close()
        await postgres.close()
    tune_gc()
    lost: dict[int, str] = {}
    with progress(quiet=quiet, verb="written") as bar:
        bar.begin(users[0]["users"])
        for p in where:
            work = PartitionRebuild(settings.postgres_url, settings.redis_url, p, bar, namespace_id, chain=chain)
            try:
                _print(await work.run())
            except RebuildMoved as error:
                raise FindingError(str(error)) from None
            except NodeLost as error:
                lost[p] = f"partition {p}: {error}"
    await _finish(settings, [p for p in where if p not in lost])
    if lost:
        raise FindingError(*lost.values())


async def _mend_search(postgres: Postgres, partitions: Collection[int], namespace_id: int | None) -> None:
    """Notes users whom searches do not find by id and name as they are; a persister writes their rows anew."""
    for row in await postgres.fetch("get_namespaces"):
        if row["partition"] in partitions and namespace_id in (None, row["id"]):
            async for page in differing_search_rows(postgres.fetch, row["id"]):
                await postgres.fetch("add_search_updates", [user["number"] for user in page])


async def _take_from_redis(settings: Settings, partition: int | None, quiet: bool) -> None:
    """Takes the deployment's state back, and records what the ledger lost. FindingError where a partition stays
    closed."""
    from ..verify.progress import progress

    postgres, link = Postgres(settings.postgres_url), RedisConnection(settings.redis_url, SCRIPTS)
    try:
        row = await postgres.fetch_one("get_deployment")
        if row is not None:
            _check_partition(partition, row["partitions"])
        async with take_alone(settings.postgres_url):
            report = await take_state(postgres, link)
        for line in report.lines():
            print(line)
    finally:
        await link.close()
        await postgres.close()
    tune_gc()
    closed = []
    with progress(quiet=quiet, verb="compared") as bar:
        try:
            async for recovery in record_lost_rows(settings, bar, partition):
                if recovery.is_open:
                    print(f"partition {recovery.partition}: {recovery.text}", flush=True)
                else:
                    closed.append(f"partition {recovery.partition}: {recovery.text}")
        except (RebuildMoved, PartitionStopped) as error:
            raise FindingError(str(error)) from None
    if closed:
        raise FindingError(*closed)


async def _finish(settings: Settings, partitions: Sequence[int]) -> None:
    """Submits again what only the logs had, and reports what nobody has."""
    async for replay in replay_asides(settings, partitions):
        print(f"partition {replay.partition}: {replay}")
    postgres, link = Postgres(settings.postgres_url), RedisConnection(settings.redis_url, [SETTLE_LOSS])
    try:
        async for recovery in settle_soon(link, postgres, partitions):
            print(f"partition {recovery.partition}: {recovery.text}")
    finally:
        await link.close()
        await postgres.close()


async def _where(
    postgres: Postgres, partitions: Sequence[int], p: int | None, name: str | None
) -> tuple[int | None, Sequence[int]]:
    """The id of the one namespace, if there is one, and the partitions. FindingError."""
    if name is not None:
        row = await postgres.fetch_one("get_namespace", name)
        if row is None:
            raise FindingError(f"there is no namespace {name!r}")
        namespace = namespace_from_row(row)
        return namespace.id, [namespace.partition]
    _check_partition(p, len(partitions))
    return None, partitions if p is None else [p]


def _check_partition(p: int | None, count: int) -> None:
    """FindingError."""
    if p is not None and not 0 <= p < count:
        raise FindingError(f"--partition {p}: the deployment has partitions 0 to {count - 1}")


def _print(report: RebuildReport) -> None:
    went_on = " (went on behind what an earlier rebuild had written)" if report.is_resumed else ""
    written = f"{count_text(report.users, 'user')}, {count_text(report.scores, 'score')}{went_on}"
    print(f"partition {report.partition}: {written}; it goes on behind seq {report.seq} in epoch {report.epoch}")
