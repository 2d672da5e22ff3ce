"""Faults of a cluster: masters that die or stand still, replicas that lag, slots that move."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

from app.embedded import ValkeyProcess
from tests.crash.faults import AWAY_S, WHAT_REMAINS, Fault
from tests.crash.field import Field
from tests.support.redis_topologies import ask

#: Entries that come after a replica's link was cut.
BEHIND_ENTRIES = 60


@contextmanager
def stopped(node: ValkeyProcess) -> Iterator[None]:
    """A node that stands still."""
    os.kill(node.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(node.pid, signal.SIGCONT)


class KillMaster(Fault):
    name = "a master of a cluster killed, its replica promoted"
    promise = f"other partitions go on; nothing is lost that the replica has; else {WHAT_REMAINS}"
    topology = "cluster"

    def inject(self, field: Field) -> None:
        p = field.partition("sum")
        self.dead = field.cluster.owner(p)
        with field.losing():
            self.dead.kill()
            field.cluster.wait_failover(p, self.dead)

    def heal(self, field: Field) -> None:
        self.dead.start()
        field.cluster.wait_ready()
        field.bring_back_if_closed()


class PromoteBehind(KillMaster):
    name = "a replica promoted without the last writes"
    promise = WHAT_REMAINS

    def inject(self, field: Field) -> None:
        p = field.partition("sum")
        self.dead = field.cluster.owner(p)
        with field.losing():
            # It may follow nobody any more, and votes on.
            ask(self.dead.port, "ACL", "SETUSER", "default", "-psync", "-sync")
            ask(self.dead.port, "CLIENT", "KILL", "TYPE", "replica")
            field.more(BEHIND_ENTRIES)
            self.dead.kill()
            field.cluster.wait_failover(p, self.dead)
        field.wait_refused()


class OldMaster(KillMaster):
    name = "a master stands still, its replica is promoted, and it comes back"
    promise = f"it acknowledges nothing; {KillMaster.promise}"

    def inject(self, field: Field) -> None:
        p = field.partition("sum")
        old = field.cluster.owner(p)
        with field.losing(), stopped(old):
            field.cluster.wait_failover(p, old)
            field.wait(AWAY_S)

    def heal(self, field: Field) -> None:
        field.cluster.wait_ready()
        field.bring_back_if_closed()


class MoveSlot(Fault):
    name = "a partition's slot moves to another master"
    topology = "cluster"

    def inject(self, field: Field) -> None:
        p = field.partition("sum")
        here = field.cluster.owner(p)
        others = [field.cluster.owner(other) for other in range(16)]
        field.cluster.move(p, next(node for node in others if node is not here))
