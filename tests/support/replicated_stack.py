"""A running system whose Redis has a replica behind a link that a test breaks."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from app.embedded import ValkeyProcess, free_port
from tests.conftest import Stack, running_stack
from tests.support.redis_topologies import ask, wait_until
from tests.support.tcp_proxy import TcpProxy


class ReplicatedStack:
    """stack: all parts. link: what the replica reads its primary through."""

    def __init__(self, stack: Stack, replica: ValkeyProcess, link: TcpProxy) -> None:
        self.stack = stack
        self.replica = replica
        self.link = link

    def wait_copied(self) -> None:
        """Waits until the replica is connected and has all that the primary has."""
        wait_until(self._is_copied, "the replica is not in step")

    def _is_copied(self) -> bool:
        _, offset, replicas = ask(self.stack.valkey.port, "ROLE")
        return any(int(replica[2]) >= int(offset) for replica in replicas)


@contextmanager
def replica_of(stack: Stack) -> Iterator[ReplicatedStack]:
    """A replica of a running system's Redis, gone at the end."""
    folder = stack.folder / "replica"
    with TcpProxy(stack.valkey.port) as link:
        options = {"replicaof": f"127.0.0.1 {link.port}", "repl-diskless-sync-delay": "0"}
        replica = ValkeyProcess(folder, free_port(), options=options)
        try:
            replica.start()
            replicated = ReplicatedStack(stack, replica, link)
            replicated.wait_copied()
            yield replicated
        finally:
            replica.kill()
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def replicated_stack(folder: Path, factory: pytest.TempPathFactory, wait_s: float) -> Iterator[ReplicatedStack]:
    """A running system with a replica, gone at the end. wait_s: LEADERBOARD_ACK_WAIT_S."""
    with (
        running_stack(folder, factory, {"LEADERBOARD_ACK_WAIT_S": str(wait_s)}) as stack,
        replica_of(stack) as replicated,
    ):
        yield replicated
