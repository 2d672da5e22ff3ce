"""What hostile tests share: a server with short limits, and a system whose parts are broken and mended."""

import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.embedded import free_port
from tests.conftest import NO_TLS, running_stack
from tests.support.checked_client import checked_client
from tests.support.fault_isolation import Isolation, isolation
from tests.support.raw_clients import Raw
from tests.support.waits import until


@dataclass
class Short:
    """The server, a key for it, and its log."""

    port: int
    pid: int
    key: str
    log: Path

    def client(self, key: str | None = None) -> httpx.Client:
        """A client of a key, an admin's without one, with a connection of its own."""
        headers = {"authorization": f"Bearer {key or self.key}"}
        return checked_client(base_url=f"http://127.0.0.1:{self.port}", headers=headers, timeout=30, verify=NO_TLS)

    def raw(self, receive_bytes: int | None = None) -> Raw:
        """A connection for anything."""
        return Raw(self.port, receive_bytes)


@contextmanager
def serving_short(stack: Any, folder: Path, **more: str) -> Iterator[Short]:
    """A server of its own, on the stores of a running system. more: of its environment, as `short_limits` reads it."""
    port, log = free_port(), folder / "serve.log"
    environment = stack.environment | {"LEADERBOARD_PORT": str(port), **more}
    with log.open("ab") as out:
        command = [sys.executable, "-m", "tests.support.short_limits"]
        process = subprocess.Popen(command, env=environment, stdout=out, stderr=out)

    short = Short(port, process.pid, stack.key, log)

    def is_up() -> bool:
        try:
            return client.get("/readyz").status_code == 200
        except httpx.TransportError:
            return False

    try:
        with short.client() as client:
            until(is_up, f"the server is not ready (see {log})", 30)
        yield short
    finally:
        process.terminate()
        process.wait(timeout=10)


@pytest.fixture(scope="session")
def short_server(live_server: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Short]:
    with serving_short(live_server, tmp_path_factory.mktemp("short")) as short:
        yield short


@pytest.fixture
def short(short_server: Short) -> Iterator[Short]:
    """Behind each test the server answers somebody else."""
    yield short_server
    with short_server.client() as client:
        assert client.get("/readyz").status_code == 200


@pytest.fixture
def files() -> Iterator[None]:
    """Room for thousands of sockets in this process."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.fixture(scope="session")
def shared_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """What a test breaks in it, it mends."""
    with running_stack(tmp_path_factory.mktemp("hostile"), tmp_path_factory) as stack:
        yield stack


@pytest.fixture
def iso(shared_stack: Any) -> Iterator[Isolation]:
    """Two fresh namespaces of the shared system; the test leaves nothing behind."""
    with isolation(shared_stack) as iso:
        yield iso


@pytest.fixture(scope="module")
def poisoned_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """For tests that spoil a partition without namespaces: nobody else makes namespaces in it."""
    with running_stack(tmp_path_factory.mktemp("poisoned"), tmp_path_factory) as stack:
        yield stack
