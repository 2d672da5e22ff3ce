"""`leaderboard serve`."""

import asyncio
import os
import socket
from typing import Annotated

import structlog
import typer
import uvicorn

from ..access.token_keys import read_token_keys
from ..admin.store_agreement import find_partitions
from ..logs import configure
from ..server import UVICORN, from_environment
from ..settings import Settings, SettingsError, read_settings

log = structlog.get_logger()


def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="Port to listen on.")] = None,
    workers: Annotated[int | None, typer.Option(min=1, max=256, help="Processes.")] = None,
) -> None:
    """The server: REST and WebSocket."""
    settings = read_settings(host=host, port=port, workers=workers)
    configure(settings.log_level)
    read_token_keys(settings)
    _check_port(settings)
    asyncio.run(find_partitions(settings))
    log.info("serve starts", address=f"{settings.host}:{settings.port}", workers=settings.workers)
    os.environ |= {"LEADERBOARD_HOST": settings.host, "LEADERBOARD_PORT": str(settings.port)}
    uvicorn.run(
        f"{from_environment.__module__}:{from_environment.__name__}",
        factory=True,
        host=settings.host,
        port=settings.port,
        workers=settings.workers,
        **UVICORN,
    )


def _check_port(settings: Settings) -> None:
    """SettingsError if the address cannot be listened on: uvicorn would print a traceback."""
    try:
        addresses = socket.getaddrinfo(settings.host or None, settings.port, type=socket.SOCK_STREAM)
        with socket.socket(*addresses[0][:3]) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(addresses[0][4])
    except OSError as error:
        where = f"cannot listen on {settings.host}:{settings.port}: {error.strerror or error}"
        hint = "choose another by --host and --port (LEADERBOARD_HOST, LEADERBOARD_PORT)"
        raise SettingsError(f"{where}; {hint}, or stop what listens there") from None
