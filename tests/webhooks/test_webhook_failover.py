"""A master or a primary of Redis that dies beside webhooks, and a persister that dies meanwhile with a message sent and
not noted."""

import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest

from app.embedded import ValkeyProcess
from tests.integration.test_cluster import assert_verified, stack_on
from tests.support.receiver import Receiver, status
from tests.support.redis_topologies import ValkeyCluster, WatchedValkey
from tests.support.steady_writers import SteadyWriters
from tests.support.waits import until
from tests.support.webhooks import SETTINGS, Hook
from tests.webhooks.test_rank_events import LIMIT, TYPES, USERS, board_of, highest_of, ranks_of

pytestmark = [pytest.mark.own_valkey, pytest.mark.full]

NAME = "race"


def master_of(redis: ValkeyCluster | WatchedValkey, p: int) -> ValkeyProcess:
    return redis.owner(p) if isinstance(redis, ValkeyCluster) else redis.primary()


def wait_failover(redis: ValkeyCluster | WatchedValkey, p: int, dead: ValkeyProcess) -> None:
    if isinstance(redis, ValkeyCluster):
        redis.wait_failover(p, dead)
    else:
        redis.wait_failover(dead)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("kind", [ValkeyCluster, WatchedValkey], ids=["cluster", "sentinel"])
def test_a_failover_with_a_persister_that_dies_loses_no_message(
    tmp_path: Path, kind: Callable[[Path], ValkeyCluster | WatchedValkey]
) -> None:
    redis = kind(tmp_path / "nodes")
    with (
        Receiver() as receiver,
        Receiver() as ranks,
        stack_on(tmp_path, redis, SETTINGS) as stack,
        stack.client() as api,
    ):
        hook = Hook(api, NAME, receiver.url)
        body = {"url": ranks.url, "namespaces": NAME, "types": TYPES, "board": {"window": "all", "limit": LIMIT}}
        assert api.put("/v1/webhooks/ranks", json=body).status_code == 201
        ((p,),) = stack.sql("SELECT partition FROM namespaces WHERE name = %s", NAME)
        dead = master_of(redis, p)
        with SteadyWriters(stack, [NAME], users=USERS) as writers:
            until(lambda: len(receiver.deliveries) >= 10 and ranks.deliveries, "messages before it")
            died_s = time.monotonic()
            dead.kill()
            wait_failover(redis, p, dead)
            failover_s = time.monotonic() - died_s
            writers.more(5)
            until(lambda: receiver.deliveries[-1].at > died_s + failover_s, "messages behind the failover")
            behind_s = receiver.deliveries[-1].at - died_s
            is_sent, is_dead = threading.Event(), threading.Event()

            def wait_for_death(handler: BaseHTTPRequestHandler) -> None:
                is_sent.set()
                is_dead.wait(60)
                status(204)(handler)

            receiver.behave = wait_for_death
            assert is_sent.wait(30), "a message is sent"
            stack.kill("persist")
            is_dead.set()
            receiver.behave = status(204)
            stack.start("persist")
            writers.more(20)
        dead.start()
        stack.wait_ready()
        assert_verified(stack)
        rows = stack.sql(
            "SELECT l.grant_id FROM ledger l JOIN namespaces n ON n.id = l.namespace_id "
            "WHERE n.name = %s AND l.kind = 'grant' ORDER BY l.epoch, l.seq",
            NAME,
        )
        expected = [grant_id for (grant_id,) in rows]
        assert len(expected) == writers.all[0].acknowledged
        until(lambda: receiver.grant_ids()[-1:] == expected[-1:], "the last grant")
        until(lambda: ranks_of(highest_of(ranks)) == ranks_of(board_of(api, NAME)), "the top of the board")
        print(
            f"{kind.__name__}: failover {failover_s:.2f} s, the next message {behind_s:.2f} s behind the kill; "
            f"{len(expected)} grants, {len(receiver.deliveries)} messages about them, {len(ranks.deliveries)} of ranks"
        )
        assert_in_order(receiver, expected)
        assert {one["state"] for one in hook.deliveries()} == {"delivered"}


def assert_in_order(receiver: Receiver, expected: list[Any]) -> None:
    """Each grant came, in the order of the ledger; one twice that was sent and not noted, under one id."""
    runs = [(key, len(list(group))) for key, group in groupby(receiver.deliveries, key=lambda one: one.message_id)]
    grants = [grant_id for grant_id, _ in groupby(receiver.grant_ids())]
    assert grants == expected
    assert len(runs) == len(expected), "one id for each"
    assert [count for _, count in runs if count > 1] == [2]
