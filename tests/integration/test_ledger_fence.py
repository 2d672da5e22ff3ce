"""What keeps a former primary's entries out of the ledger, also where whoever began an epoch died half-way."""

import asyncio
from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from app.drivers.redis import RedisConnection, ask_all
from app.embedded.postgres import PostgresProcess as Cluster
from app.model.ledger_chain import LedgerChain
from app.persist.failure import EpochBegan
from app.persist.ledger_session import LedgerSession
from app.store import fields, keys, marks
from app.store.ledger_offset import LedgerOffset
from app.store.marks import MARK_SCRIPTS, Marks
from tests.conftest import Stack
from tests.integration.test_ledger import START, cluster, open_partitions, row
from tests.support.redis_topologies import ask
from tests.support.replicated_stack import replica_of
from tests.support.template import here
from tests.support.waits import until

__all__ = ["cluster"]


def test_the_ledger_takes_nothing_of_a_former_primary(cluster: Cluster) -> None:
    """A promoted replica had everything up to seq 2. Of what its former primary has behind that nothing is recorded."""
    open_partitions(cluster.url)

    async def work() -> None:
        session = await LedgerSession.connect(cluster.url, chain=LedgerChain())
        try:

            async def end_epoch(epoch: int, seq: int) -> bool:
                return bool(await session.fetch("set_fence", 0, epoch, seq, epoch + 1))

            assert await session.write({0: (START, [row(0, 1)])}) == {}
            assert not await end_epoch(1, 0)  # The ledger has more than this Redis.
            assert await end_epoch(1, 2)
            assert not await end_epoch(1, 3)  # It went on elsewhere.
            assert await end_epoch(1, 2)  # Its replica, to which the mark never came.
            first = LedgerOffset(1, 1, b"digest")
            late = [row(0, 2, "g2"), row(0, 3, "g3")]
            failed = await session.write({0: (first, late), 1: (START, [row(1, 1, "g4")])})
            assert {p: str(error) for p, error in failed.items()} == {
                0: "the entry 1-3 of partition 0 came from a former primary: epoch 1 ended behind seq 2"
            }
            assert await session.write({0: (first, late[:1])}) == {}
            offset = await session.offset(0)
            assert (offset.epoch, offset.seq, offset.fence_epoch) == (1, 2, 1)
        finally:
            session.terminate()

    asyncio.run(work())
    with psycopg.connect(cluster.url) as db:
        places = db.execute("SELECT partition, seq FROM ledger ORDER BY 1, 2").fetchall()
    assert places == [(0, 1), (0, 2), (1, 1)]


def test_what_was_read_before_an_epoch_began_is_not_recorded(cluster: Cluster) -> None:
    """Whoever begins an epoch may end between the mark in Redis and the fence in Postgres. A persister that has read
    another Redis looks again."""
    open_partitions(cluster.url)

    async def work() -> None:
        session, other = [await LedgerSession.connect(cluster.url, chain=LedgerChain()) for _ in range(2)]
        try:
            offset = await session.offset(0)
            assert await session.write({0: (offset, [row(0, 1)])}) == {}
            first = LedgerOffset(1, 1, b"digest")
            await other.fetch("raise_epoch", 0, 1)
            failed = await session.write({0: (first, [row(0, 2, "g2")]), 1: (START, [row(1, 1, "g4")])})
            assert {p: type(error) for p, error in failed.items()} == {0: EpochBegan}
            assert await session.offset(0) == first
            assert await session.write({0: (first, [row(0, 2, "g2")])}) == {}
        finally:
            session.terminate()
            other.terminate()

    asyncio.run(work())
    with psycopg.connect(cluster.url) as db:
        places = db.execute("SELECT partition, seq FROM ledger ORDER BY 1, 2").fetchall()
    assert places == [(0, 1), (0, 2), (1, 1)]


class Killed(BaseException):
    """In place of a SIGKILL: nothing of the process goes on, and Postgres undoes its transaction."""


def killed_behind_mark(p: int) -> Callable[..., Any]:
    """In place of `ask_all`: the process dies as soon as a partition has its mark in Redis."""

    async def ask_and_die(link: Any, calls: Any, what: str = "") -> Any:
        replies = await ask_all(link, calls, what)
        if what == "a mark" and keys.meta(p) in calls[0]:
            raise Killed
        return replies

    return ask_and_die


async def compare(stack: Stack, port: int) -> None:
    """What a process does that starts with the Redis of a port."""
    link = RedisConnection(f"redis://127.0.0.1:{port}/0", MARK_SCRIPTS)
    process = Marks(link, stack.postgres.url)
    try:
        await process.renew_all()
        await asyncio.gather(*process._tasks.values())
    finally:
        await process.close()


@pytest.mark.own_valkey
@pytest.mark.timeout(120)
def test_a_mark_whose_maker_died_before_the_fence_gets_one_from_the_next_who_comes(
    own_stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    with own_stack.client() as client, replica_of(own_stack) as replicated:
        assert client.put("/v1/namespaces/race", json={"accept_past": None}).status_code == 201

        def grant(name: str) -> int:
            body = {"grant_id": name, "user_id": "ann", "amount": 1}
            return client.post("/v1/namespaces/race/grants", json=body).status_code

        assert grant("g1") == 201
        own_stack.wait_flushed()
        ((p, epoch),) = own_stack.sql("SELECT partition, epoch FROM partitions WHERE seq > 0")
        fence = f"SELECT fence_epoch, fence_seq FROM partitions WHERE partition = {p}"
        own_stack.kill("persist")
        replicated.wait_copied()
        port = replicated.replica.port
        ask(port, "REPLICAOF", "NO", "ONE")
        with monkeypatch.context() as patch:
            patch.setattr(marks, "ask_all", killed_behind_mark(p))
            with pytest.raises(Killed):
                here(compare(own_stack, port))
        begun = int(ask(port, "HGET", keys.meta(p), fields.EPOCH))
        assert begun > epoch
        assert own_stack.sql(fence)[0][0] < epoch
        assert grant("g2") == 201  # By the former primary, and lost: nobody has told this server.
        here(compare(own_stack, port))
        assert own_stack.sql(fence) == [(begun - 1, 1)]
        newest = f"SELECT newest_epoch FROM partitions WHERE partition = {p}"
        before = own_stack.sql(newest)
        own_stack.start("persist")
        log = own_stack.folder / "persist.log"
        until(lambda: "is a former primary" in log.read_text(), "the former primary is believed")
        assert own_stack.sql("SELECT grant_id FROM ledger") == [("g1",)]
        # Each epoch has persisters look at Redis anew: who is refused again and again must begin none.
        assert own_stack.sql(newest) == before
