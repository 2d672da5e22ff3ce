"""A server like `leaderboard serve` whose limits are short, so that a test need not wait for a minute."""

import asyncio
import os
from concurrent.futures import ThreadPoolExecutor

import uvicorn
from starlette.types import ASGIApp

from app.admin.store_agreement import find_partitions
from app.http.connections import ConnectionLimits
from app.live.connection_sweep import SILENCE_S
from app.live.websocket import LiveLimits
from app.logs import configure
from app.server import UVICORN, Server
from app.services import build_services
from app.settings import read_settings
from app.write import node_committer

LIMITS = ConnectionLimits(
    connections_max=60,
    head_s_max=1.0,
    body_s_max=3.0,
    body_grace_s=0.5,
    idle_s_max=2.0,
    write_s_max=1.0,
    goodbye_s_max=float(os.environ.get("GOODBYE_S", "0.5")),
    bodies_bytes_max=16 * 1024 * 1024,
    key_bodies_bytes_max=8 * 1024 * 1024,
    anonymous_bodies_bytes_max=4 * 1024 * 1024,
    address_bodies_bytes_max=1024 * 1024,
)
LIVE_LIMITS = LiveLimits(
    first_message_s_max=1.0,
    begin_s_max=2.0,
    send_s_max=1.0,
    key_sockets_max=12,
    address_sockets_max=8,
    silence_s=float(os.environ.get("SILENCE_S", SILENCE_S)),
)
#: A quarter of the real backlog: a test fills it with a quarter of the grants.
BACKLOG_PARTS = 4


def build() -> ASGIApp:
    """What uvicorn builds."""
    node_committer.BACKLOG_US_MAX //= BACKLOG_PARTS
    settings = read_settings()
    configure(settings.log_level)
    with ThreadPoolExecutor(1) as threads:
        partitions = threads.submit(asyncio.run, find_partitions(settings)).result()
    return Server(build_services(settings, partitions, limits=LIMITS, live_limits=LIVE_LIMITS)).app()


if __name__ == "__main__":
    settings = read_settings()
    uvicorn.run(f"{__package__}.short_limits:build", factory=True, host="127.0.0.1", port=settings.port, **UVICORN)
