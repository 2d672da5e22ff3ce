"""Real parts for tests: Valkey and Postgres from wheels on free ports, one server, one persister."""

import base64
import itertools
import os
import secrets
import select
import shutil
import ssl
import subprocess
import tempfile
import time
from collections.abc import Container, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
import redis

from app.admin.api_keys import create_key, revoke_key
from app.embedded import EmbeddedError, PostgresProcess, ValkeyProcess, free_port
from app.settings import read_settings
from app.store import fields, keys
from tests.support import exempt_tests
from tests.support.checked_client import checked_client
from tests.support.launcher import Launched, launcher
from tests.support.redis_topologies import ValkeyCluster, WatchedValkey, open_store, topology_of_run
from tests.support.run_order import mix
from tests.support.template import DIGEST_KEY, PARTITIONS, THROWAWAY, fill, here, migrate_here, template

KEY = "lb_test_0123456789abcdef"
# One for all clients: httpx reads the system's certificates for each that brings none, 20 ms; nothing here speaks TLS.
NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)

#: Where Linux has a file system in memory, and the bytes that must be free there before the tests use it.
MEMORY, MEMORY_BYTES_MIN = Path("/dev/shm"), 4 << 30


def _use_memory() -> None:
    """Temporary folders lie in memory where it has room: a copy of the stores is a thousand files, which cost a disk's
    file system up to a second each time. What a killed process wrote survives it in either place."""
    if MEMORY.is_dir():
        memory = os.statvfs(MEMORY)
        if memory.f_bavail * memory.f_frsize >= MEMORY_BYTES_MIN and not memory.f_flag & os.ST_NOEXEC:
            os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))


_use_memory()


class Stack:
    """All parts as processes of their own. `kill` is kill -9; `start` brings a part back on its port and data."""

    def __init__(
        self,
        folder: Path,
        stores: Path | None = None,
        postgres_options: Mapping[str, str] | None = None,
        redis: ValkeyCluster | WatchedValkey | None = None,
    ) -> None:
        """`stores`: those to begin with a copy of; without any they are made and migrated. redis: several nodes
        instead of one Valkey; they are migrated, and `stores` holds a Postgres alone."""
        self.key = KEY
        self.folder = folder
        self.stores = stores
        self.valkey = ValkeyProcess(folder, free_port())
        self.redis = redis or self.valkey
        self.postgres = PostgresProcess(folder, free_port(), options=postgres_options)
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.extra: dict[str, str] = {}
        self._own: dict[str, Launched] = {}
        self._db: psycopg.Connection[Any] | None = None

    @property
    def environment(self) -> dict[str, str]:
        """The settings of our own processes."""
        clean = {name: value for name, value in os.environ.items() if not name.startswith("LEADERBOARD_")}
        return clean | {
            "LEADERBOARD_REDIS_URL": self.redis.url,
            "LEADERBOARD_POSTGRES_URL": self.postgres.url,
            "LEADERBOARD_API_KEY": KEY,
            "LEADERBOARD_DIGEST_KEY": DIGEST_KEY,
            "LEADERBOARD_PORT": str(self.port),
            "LEADERBOARD_PARTITIONS": PARTITIONS,
            **self.extra,
        }

    def run(self, *verb: str) -> subprocess.CompletedProcess[str]:
        """One `leaderboard` command to its end."""
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            process = launcher().start(verb, self.environment, out, err)
            try:
                code = process.wait(timeout=60)
            finally:
                process.kill()
            texts = [os.pread(file.fileno(), os.fstat(file.fileno()).st_size, 0).decode() for file in (out, err)]
        return subprocess.CompletedProcess(verb, code, *texts)

    def new_key(self, *scopes: str) -> str:
        """A fresh key, made as `leaderboard keys create` makes it, without a process of its own."""
        return here(create_key(read_settings(self.environment), scopes)).token

    def revoke(self, key: str) -> None:
        """What `leaderboard keys revoke` does; the stores' errors."""
        here(revoke_key(read_settings(self.environment), key.split("_")[1]))

    def up(self) -> None:
        """Starts everything."""
        if self.stores is not None:
            fill(self.stores, self.folder)
        self.redis.start()
        self.postgres.start()
        if self.stores is None or self.redis is not self.valkey:
            migrate_here(self.environment)
        self.start("persist")
        self.start("serve")

    def start(self, part: str, *, ready: bool = True) -> None:
        """Starts one part and waits until it is ready (a server that is to refuse writes: until it is up)."""
        if part == "redis":
            self.valkey.start()
        elif part == "postgres":
            self._start_postgres()
        else:
            with (self.folder / f"{part}.log").open("ab") as log:
                self._own[part] = launcher().start([part], self.environment, log)
        if part == "serve":
            self.wait_ready() if ready else self.wait_up()

    def _start_postgres(self) -> None:
        """Starts it again like a supervisor: it refuses to start while the orphans of a killed one still end."""
        deadline = time.monotonic() + 20
        while True:
            try:
                self.postgres.start()
            except EmbeddedError as error:
                if "shared memory block" not in str(error) or time.monotonic() > deadline:
                    raise
            else:
                return

    def wait_up(self, seconds: float = 30) -> None:
        """Waits until the server answers at all."""
        self._wait_answer("/healthz", range(1000), seconds)

    def wait_ready(self, seconds: float = 30) -> None:
        """Waits until writes are taken."""
        self._wait_answer("/readyz", [200], seconds)

    def _wait_answer(self, path: str, expected: Container[int], seconds: float) -> None:
        deadline = time.monotonic() + seconds
        with self.client(None) as client:
            while True:
                try:
                    if client.get(path, timeout=10).status_code in expected:
                        return
                except httpx.TransportError:
                    pass
                assert time.monotonic() < deadline, (self.folder / "serve.log").read_text()[-2000:]
                time.sleep(0.02)

    def kill(self, part: str) -> None:
        """kill -9, by the id of a process this test started."""
        if part == "redis":
            self.valkey.kill()
        elif part == "postgres":
            self.postgres.kill()
        else:
            process = self._own.pop(part)
            process.kill()
            process.wait()

    def pid(self, part: str) -> int:
        """The process id of one of our own parts."""
        return self._own[part].pid

    def stop(self, part: str) -> None:
        """Asks a part of ours to end."""
        process = self._own.pop(part)
        process.terminate()
        process.wait(timeout=30)

    def restart(self) -> None:
        """The server goes and comes back."""
        self.stop("serve")
        self.start("serve")

    def restart_unready(self) -> None:
        """The server comes back to a store that it must refuse."""
        if "serve" in self._own:
            self.stop("serve")
        self.start("serve", ready=False)

    def down(self) -> None:
        """Ends everything."""
        for part in list(self._own):
            self.kill(part)
        self.hang_up()
        self.postgres.stop()
        self.redis.stop()

    def store(self, *, decode_responses: bool = False) -> redis.Redis:
        """A connection to Redis, past all servers."""
        return open_store(self.redis.url, decode_responses=decode_responses)

    def client(self, key: str | None = KEY) -> httpx.Client:
        """A client with a key, or without."""
        headers = {} if key is None else {"authorization": f"Bearer {key}"}
        return checked_client(base_url=self.url, headers=headers, timeout=30, verify=NO_TLS)

    def sql(self, text: str, *args: Any) -> list[Any]:
        """The rows of one statement, committed. Its connection stays open: a new one costs Postgres more than the
        statements of most tests. What comes unasked on it is its end."""
        if self._db is not None and (self._db.closed or select.select([self._db], [], [], 0)[0]):
            self.hang_up()
        if self._db is None:
            self._db = psycopg.connect(self.postgres.url, autocommit=True, prepare_threshold=None)
        cursor = self._db.execute(text.encode(), args or None)
        return cursor.fetchall() if cursor.description else []

    def hang_up(self) -> None:
        """Closes the connection of `sql`, if there is one."""
        if self._db is not None:
            self._db.close()
            self._db = None

    def wait_published(self, seconds: float = 30) -> None:
        """Waits until persisters have published, and announced once more, what has changed so far."""
        ((version,),) = self.sql("SELECT state_version FROM deployment")
        partitions = [p for (p,) in self.sql("SELECT partition FROM partitions")]
        deadline = time.monotonic() + seconds
        with self.store() as direct:
            while any(_version(direct.hget(keys.meta(p), fields.STATE_VERSION)) < version for p in partitions):
                assert time.monotonic() < deadline, "the persisters do not publish"
                time.sleep(0.05)

    def wait_flushed(self, seconds: float = 30, *, counted: bool = True) -> None:
        """Waits until the ledger holds everything, and until the counts by time do."""
        deadline = time.monotonic() + seconds
        with self.client() as client:
            while client.get("/readyz").json()["lag_seq"] != 0:
                assert time.monotonic() < deadline, "the ledger does not catch up"
                time.sleep(0.05)
        while counted and self.sql("SELECT 1 FROM partitions WHERE counted_seq < seq"):
            assert time.monotonic() < deadline, "the counts by time do not catch up"
            time.sleep(0.05)


def _version(note: Any) -> int:
    return int((note or b"0").split()[0])


def pytest_configure(config: pytest.Config) -> None:
    """Has the exempt tests listed."""
    config.pluginmanager.register(exempt_tests)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Puts the long tests where workers begin, and leaves out those that need a single Valkey where there is none."""
    items[:] = mix(items, int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1")))
    exempt_tests.leave_out(config, items)


@pytest.fixture(scope="session")
def live_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """One running system for all tests that break nothing; each test takes namespaces of its own."""
    with running_stack(tmp_path_factory.mktemp("stack"), tmp_path_factory) as stack:
        yield stack


@pytest.fixture
def own_stack(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A running system of the test's own, to break."""
    with running_stack(tmp_path, tmp_path_factory) as stack:
        yield stack


@contextmanager
def running_stack(
    folder: Path, factory: pytest.TempPathFactory, settings: Mapping[str, str] | None = None
) -> Iterator[Stack]:
    """A running system in a folder, gone at the end."""
    nodes, stores = topology_of_run(folder / "nodes"), template(factory)
    stack = Stack(folder, stores if nodes is None else stores / "schema", THROWAWAY, nodes)
    folder.mkdir(parents=True, exist_ok=True)
    token_key = folder / "token_key"
    token_key.write_text(base64.b64encode(secrets.token_bytes(32)).decode())
    stack.extra |= {
        "LEADERBOARD_CHORES_S": "0.5",
        "LEADERBOARD_TOKEN_KEYS": str(token_key),
        **(settings or {}),
    }
    try:
        stack.up()
        yield stack
    finally:
        stack.down()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def direct(live_server: Stack) -> Iterator[redis.Redis]:
    """The running system's Redis, past all servers."""
    with live_server.store() as connection:
        yield connection


@pytest.fixture
def own_redis(own_stack: Stack) -> Iterator[redis.Redis]:
    """The Redis of the test's own system, past all servers."""
    with own_stack.store() as connection:
        yield connection


@pytest.fixture
def api(live_server: Stack) -> Iterator[httpx.Client]:
    """An admin's client of the running system."""
    with live_server.client() as client:
        yield client


class Names:
    """Names that no other test uses."""

    _numbers = itertools.count(1)

    def fresh(self) -> str:
        """The next number of the run: a module whose tests are not run together sets its fixtures up again."""
        return f"t{next(self._numbers)}"


_names = Names()


@pytest.fixture
def names() -> Names:
    """Names of namespaces."""
    return _names


@pytest.fixture
def space(api: httpx.Client) -> str:
    """A fresh namespace with default rules."""
    name = _names.fresh()
    assert api.put(f"/v1/namespaces/{name}", json={"accept_past": None}).status_code == 201
    return name
