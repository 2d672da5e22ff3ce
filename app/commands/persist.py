"""`leaderboard persist`."""

import asyncio
import signal
from collections.abc import Sequence

import structlog
from prometheus_client import start_http_server

from ..admin.store_agreement import find_partitions
from ..drivers.redis import NodeMap, RedisConnection, RedisLink
from ..drivers.scripts import Script
from ..drivers.store_contact import log_outages
from ..logs import configure
from ..model.micros import now_micros
from ..persist.worker import Worker
from ..recover.auto_recovery import AutoRecovery
from ..settings import Settings, read_settings
from ..store.partitions import check_store
from ..task_end import cancel_and_wait, end_all
from ..tune_gc import tune_gc
from ..webhooks.deliverer import Deliverer

log = structlog.get_logger()


def persist() -> None:
    """The persister: Redis' log into the ledger in Postgres. Several may run."""
    settings = read_settings()
    configure(settings.log_level)
    if settings.metrics_port is not None:
        start_http_server(settings.metrics_port, settings.host)
    log_outages()
    log.info("persist starts")
    asyncio.run(_persist(settings))


async def _persist(settings: Settings) -> None:
    async def greet(link: RedisLink) -> None:
        await check_store(link, settings.redis_durability)

    partitions, nodes = await find_partitions(settings), NodeMap.of_url(settings.redis_url)

    def connect(scripts: Sequence[Script]) -> RedisConnection:
        return RedisConnection(settings.redis_url, scripts, greet, nodes=nodes)

    worker = Worker(settings, connect, partitions, now_micros)
    tune_gc()
    task, stop_requested = asyncio.ensure_future(worker.run()), asyncio.Event()
    recovery = asyncio.ensure_future(AutoRecovery(settings).run())
    deliverer = asyncio.ensure_future(Deliverer(settings, partitions, worker.is_crowded).run())
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop_requested.set)
    stop = asyncio.ensure_future(stop_requested.wait())
    await asyncio.wait({task, stop}, return_when=asyncio.FIRST_COMPLETED)
    stop.cancel()
    await end_all([recovery, deliverer])
    await cancel_and_wait(task)
    if not task.cancelled():
        task.result()
