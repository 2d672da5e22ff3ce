"""A second server over the stores of a running system: its caches are its own."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from app.embedded import free_port
from tests.conftest import KEY
from tests.support.waits import until

HEAD = {"authorization": f"Bearer {KEY}"}


@contextmanager
def second_server(stack: Any) -> Iterator[httpx.Client]:
    """A client of one, once it is ready."""
    port = free_port()
    environment = stack.environment | {"LEADERBOARD_PORT": str(port)}
    with (stack.folder / "other.log").open("ab") as log:
        process = subprocess.Popen([sys.executable, "-m", "app", "serve"], env=environment, stdout=log, stderr=log)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=HEAD, timeout=30) as client:
            until(lambda: _is_ready(client), "the second server is not ready")
            yield client
    finally:
        process.kill()
        process.wait()


def _is_ready(client: httpx.Client) -> bool:
    try:
        return client.get("/readyz").status_code == 200
    except httpx.TransportError:
        return False
