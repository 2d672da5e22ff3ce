"""A webhook whose rows of Postgres are locked: the others go on."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import psycopg

from tests.conftest import Names, Stack
from tests.support.receiver import Receiver, status
from tests.support.waits import until
from tests.support.webhooks import Hook, arrive

#: Seconds in which messages come that nothing holds up, on a busy machine: far less than what is locked stays so.
PROMPT_S_MAX = 15.0


@contextmanager
def locked(stack: Stack, statement: str) -> Iterator[None]:
    """Somebody has a lock, and hangs."""
    with psycopg.connect(stack.postgres.url) as other:
        other.execute(statement.encode())
        yield
        other.rollback()


def partition_of(stack: Stack, name: str) -> int:
    ((p,),) = stack.sql("SELECT partition FROM namespaces WHERE name = %s", name)
    return int(p)


def hooks_of_two_partitions(stack: Stack, api: httpx.Client, names: Names, *urls: str) -> list[Hook]:
    first = Hook(api, names.fresh(), urls[0])
    while True:
        name = names.fresh()
        second = Hook(api, name, urls[1])
        if partition_of(stack, name) != partition_of(stack, first.name):
            return [first, second]
        second.api.delete(second.path)


def test_a_partition_that_is_locked_holds_up_its_own_webhooks_alone(
    stack: Stack, api: httpx.Client, receiver: Receiver, names: Names
) -> None:
    with Receiver() as other:
        hung, sound = hooks_of_two_partitions(stack, api, names, receiver.url, other.url)
        receiver.behave = other.behave = status(500)
        for i in range(10):
            hung.grant(f"h{i}")
            sound.grant(f"s{i}")
        stack.wait_flushed()
        arrive(receiver, 1)
        arrive(other, 1)
        p = partition_of(stack, hung.name)
        with locked(stack, f"LOCK TABLE ledger_{p} IN ACCESS EXCLUSIVE MODE"):
            receiver.behave = other.behave = status(204)
            until(lambda: other.grant_ids()[-1] == "s9", "those of the other partition", seconds=PROMPT_S_MAX)
        until(lambda: receiver.grant_ids()[-1] == "h9", "then the rest", seconds=60)
    assert list(dict.fromkeys(receiver.grant_ids())) == [f"h{i}" for i in range(10)]


def test_a_webhook_whose_row_is_locked_comes_again_and_the_others_go_on(
    stack: Stack, api: httpx.Client, receiver: Receiver, names: Names
) -> None:
    with Receiver() as other:
        hung, sound = Hook(api, names.fresh(), receiver.url), Hook(api, names.fresh(), other.url)
        with locked(stack, f"SELECT FROM webhooks WHERE id = '{hung.name}' FOR UPDATE"):
            hung.grant("h0")
            arrive(receiver, 1)
            began_s = time.monotonic()
            for i in range(10):
                sound.grant(f"s{i}")
            until(lambda: other.grant_ids()[-1:] == ["s9"], "those of the other one", seconds=PROMPT_S_MAX)
            assert time.monotonic() - began_s < PROMPT_S_MAX
            assert sound.deliveries(state="delivered")
        until(lambda: hung.deliveries(state="delivered"), "then it is noted", seconds=60)
    assert len({delivery.message_id for delivery in receiver.deliveries}) == 1
