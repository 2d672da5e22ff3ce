"""Faults behind Sentinels: a primary that dies, stands still or is cut off while its replica is promoted."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager

from app.embedded import ValkeyProcess
from app.store import fields, keys
from tests.crash.faults import AWAY_S, WHAT_REMAINS, Fault
from tests.crash.field import Field
from tests.crash.link_faults import CutRedis, LostReplies
from tests.crash.node_faults import BEHIND_ENTRIES, stopped
from tests.support.redis_topologies import ask
from tests.support.template import PARTITIONS

#: Seconds in which servers leave a former primary that still answers: they ask the Sentinels each second.
LEAVE_S = 2.5


def cut_replica(primary: ValkeyProcess) -> None:
    """Its replica hears of nothing any more."""
    ask(primary.port, "ACL", "SETUSER", "default", "-psync", "-sync")
    ask(primary.port, "CLIENT", "KILL", "TYPE", "replica")


@contextmanager
def cut_off(primary: ValkeyProcess) -> Iterator[None]:
    """Neither the Sentinels nor its replica reach it; who is connected goes on."""
    cut_replica(primary)
    ask(primary.port, "ACL", "SETUSER", "default", "-ping", "-info", "-replicaof", "-slaveof", "-publish")
    try:
        yield
    finally:
        ask(primary.port, "ACL", "SETUSER", "default", "+@all")


class KillPrimary(Fault):
    name = "a primary killed, and Sentinels promote its replica"
    promise = f"nothing is lost that the replica has; else {WHAT_REMAINS}"
    topology = "sentinel"

    def inject(self, field: Field) -> None:
        self.former = field.watched.primary()
        with field.losing():
            self.former.kill()
            field.watched.wait_failover(self.former)

    def heal(self, field: Field) -> None:
        self.former.start()
        self._settle(field)

    def _settle(self, field: Field) -> None:
        """The former primary follows the new one."""
        field.watched.wait_followed()
        field.bring_back_if_closed()
        field.watched.wait_linked()


class PromotePrimaryBehind(KillPrimary):
    name = "Sentinels promote a replica without the last writes"
    promise = WHAT_REMAINS

    def inject(self, field: Field) -> None:
        self.former = field.watched.primary()
        with field.losing():
            cut_replica(self.former)
            field.more(BEHIND_ENTRIES)
            self.former.kill()
            field.watched.wait_failover(self.former)
        field.wait_refused()


class StopPrimary(KillPrimary):
    name = "a primary stands still, its replica is promoted, and it comes back"
    promise = f"it acknowledges nothing; {KillPrimary.promise}"

    def inject(self, field: Field) -> None:
        former = field.watched.primary()
        with field.losing(), stopped(former):
            field.watched.wait_failover(former)
            field.wait(AWAY_S)

    def heal(self, field: Field) -> None:
        self._settle(field)


class CutPrimary(StopPrimary):
    name = "Sentinels and replica lose a primary that servers still reach, and the replica is promoted"
    promise = f"servers leave it within {LEAVE_S} s; {KillPrimary.promise}"

    def inject(self, field: Field) -> None:
        former = field.watched.primary()
        with cut_off(former), field.losing():
            field.watched.wait_failover(former)
            field.wait(LEAVE_S)


class LatePersister(StopPrimary):
    name = "the same, and a persister that stood still meanwhile goes on at the former primary"
    promise = f"the ledger takes nothing of the former primary; {KillPrimary.promise}"

    def inject(self, field: Field) -> None:
        former, persister = field.watched.primary(), field.stack.pid("persist")
        with cut_off(former), field.losing():
            os.kill(persister, signal.SIGSTOP)
            try:
                field.watched.wait_failover(former)
                field.wait(LEAVE_S)
            finally:
                os.kill(persister, signal.SIGCONT)
            field.wait(LEAVE_S)


class KillMarker(LatePersister):
    name = "the same, and the server is killed while it marks the promoted replica"

    def inject(self, field: Field) -> None:
        former, persister = field.watched.primary(), field.stack.pid("persist")
        with cut_off(former), field.losing():
            os.kill(persister, signal.SIGSTOP)
            try:
                field.watched.wait_failover(former)
                before = self._epochs(field)
                field.until(lambda: self._epochs(field) != before, "nobody marks the promoted replica")
                field.stack.kill("serve")
            finally:
                os.kill(persister, signal.SIGCONT)
            field.wait(LEAVE_S)

    def heal(self, field: Field) -> None:
        field.stack.start("serve", ready=False)
        super().heal(field)

    @staticmethod
    def _epochs(field: Field) -> list[bytes | None]:
        with field.direct() as store:
            return [store.hget(keys.meta(p), fields.EPOCH) for p in range(int(PARTITIONS))]


class CutPrimaryLink(CutRedis):
    name = "connections of servers and persisters to a primary cut, which Sentinels and its replica reach"
    topology = "sentinel"


class LostPrimaryReplies(LostReplies):
    name = "replies of a primary are lost after it applied"
    is_short = False
    topology = "sentinel"


class HalfOpenPrimaryLink(KillPrimary):
    name = "connections of servers and persisters to a primary half-open, and Sentinels promote its replica"
    promise = f"servers leave it within {LEAVE_S} s; {KillPrimary.promise}"

    def inject(self, field: Field) -> None:
        former, self._link = field.watched.primary(), field.redis_link
        with field.losing():
            self._link.hold()
            field.wait(AWAY_S)
            field.watched.fail_over()
            field.watched.wait_failover(former)
            began = time.monotonic()
            field.more(1)
            left_s = time.monotonic() - began
        assert left_s < LEAVE_S, f"servers left a former primary after {left_s:.1f} s"
        self.notes.append(f"left after {left_s:.1f} s")

    def heal(self, field: Field) -> None:
        self._link.mend()
        self._settle(field)
