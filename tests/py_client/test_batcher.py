"""Grants in the background: a server that is killed and comes back, programs that end, grants that are refused."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from leaderboard_client import (
    AsyncLeaderboard,
    BatchResult,
    Call,
    Closed,
    Fault,
    Grant,
    Leaderboard,
    Problem,
    QueueFull,
    Result,
    Unauthorized,
    Unavailable,
)
from leaderboard_client.batcher import Batcher

from tests.conftest import Names, Stack

PACKAGE = Path(__file__).parents[2] / "clients/python"
#: A program that adds grants and comes to its end, without a word about the batcher.
PROGRAM = """
import os, signal, sys
from leaderboard_client import Grant, Leaderboard
client = Leaderboard(os.environ["URL"], key=os.environ["KEY"])
batcher = client.batcher(exit_s=float(os.environ.get("EXIT_S", "20")))
if "SIGTERM" in os.environ:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
for i in range(2500):
    batcher.add(Grant(grant_id=f"g{i}", user_id=f"u{i % 10}", amount=1), namespace=os.environ["SPACE"])
print("added", flush=True)
if "SIGTERM" in os.environ:
    signal.pause()
"""


@pytest.fixture
def client(live_server: Stack) -> Iterator[Leaderboard]:
    with Leaderboard(live_server.url, key=live_server.key) as client:
        yield client


def program(stack: Stack, space: str, text: str = PROGRAM, **more: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(PACKAGE), "URL": stack.url, "KEY": stack.key, "SPACE": space, **more}
    pipe = subprocess.PIPE
    return subprocess.Popen([sys.executable, "-c", text], env=environment, stdout=pipe, stderr=pipe, text=True)


def totals(client: Leaderboard, space: str) -> tuple[float, int]:
    """The sum of all scores, and the users."""
    stats = client.stats(space)
    assert stats.sum is not None
    return float(stats.sum), stats.count


def test_what_is_added_counts(client: Leaderboard, space: str, names: Names) -> None:
    other = names.fresh()
    client.put_namespace(other)
    with client.batcher() as batcher:
        for i in range(1500):
            batcher.add(Grant(user_id=f"u{i % 7}", amount=1), namespace=space)
        batcher.add(Grant(user_id="ann", amount=3, namespace=other))
        assert batcher.flush(10)
        assert len(batcher) == 0
        assert totals(client, space) == (1500, 7)
        assert totals(client, other) == (3, 1)
    with pytest.raises(Closed):
        batcher.add(Grant(user_id="ann", amount=3, namespace=other))
    with client.batcher() as batcher, pytest.raises(ValueError, match="namespace"):
        batcher.add(Grant(user_id="ann", amount=3))


def test_a_grant_that_waits_counts_at_the_time_at_which_it_was_added(client: Leaderboard, space: str) -> None:
    before = datetime.now(UTC)
    with client.batcher(linger_s=0.3) as batcher:
        batcher.add(Grant(user_id="ann", amount=1, grant_id="g"), namespace=space)
        after = datetime.now(UTC)
        assert batcher.flush(10)
    assert before <= client.grant_state(space, "g").granted_at <= after


def test_what_is_refused_is_told_and_the_rest_counts(client: Leaderboard, space: str) -> None:
    refusals: dict[str, str] = {}
    with client.batcher(on_refused=lambda grant, problem: refusals.update({grant.grant_id: problem.code})) as batcher:
        for i in range(20):
            batcher.add(Grant(grant_id=f"g{i}", user_id=f"u{i}", amount=0.5 if i == 3 else 1), namespace=space)
            if i == 7:  # A batch across namespaces is refused as a whole for this one, and halved to find it.
                batcher.add(Grant(grant_id="lost", user_id="u", amount=1), namespace="no such name")
        assert batcher.flush(10)
    assert totals(client, space) == (19, 19)
    assert refusals.keys() == {"g3", "lost"}
    assert refusals["g3"] == "amount_scale"


def test_a_key_that_is_refused_is_told_for_each_grant(live_server: Stack, space: str) -> None:
    problems: list[Problem] = []
    with (
        Leaderboard(live_server.url, key="lb_no_0123456789abcdef0123") as client,
        client.batcher(on_refused=lambda _grant, problem: problems.append(problem)) as batcher,
    ):
        for i in range(3):
            batcher.add(Grant(user_id=f"u{i}", amount=1), namespace=space)
        assert batcher.flush(10)
    assert [type(problem) for problem in problems] == [Unauthorized] * 3


def test_the_queue_has_a_bound(space: str) -> None:
    with Leaderboard("http://127.0.0.1:9", key="lb_x_0123456789abcdef0123", deadline_s=0.1) as nowhere:
        unsent: list[Grant] = []
        batcher = nowhere.batcher(queue_max=3, exit_s=0.3, on_unsent=unsent.extend)
        for i in range(3):
            batcher.add(Grant(user_id=f"u{i}", amount=1), namespace=space)
        with pytest.raises(QueueFull):
            batcher.add(Grant(user_id="u", amount=1), namespace=space, timeout_s=0.2)
        begin = time.monotonic()
        batcher.close()
        assert time.monotonic() - begin < 2
        assert [grant.user_id for grant in unsent] == ["u0", "u1", "u2"]


class Fake:
    """A server that answers as it is told. sent: the grant_ids of each call."""

    def __init__(self, *answers: BatchResult | Problem) -> None:
        self.answers = list(answers)
        self.sent: list[bytes] = []

    def send(self, call: Call[BatchResult], /) -> BatchResult:
        """The next answer."""
        assert call.body is not None
        self.sent.append(call.body)
        answer = self.answers.pop(0)
        if isinstance(answer, Problem):
            raise answer
        return answer


def test_what_was_refused_for_a_cause_that_passes_is_sent_again_alone() -> None:
    busy = Fault(code="overloaded", status=503, detail="", retryable=True)
    fake = Fake(
        Unavailable("store_unavailable", "", status=503),
        BatchResult(results=(Result(status="rejected", error=busy), Result(status="applied"))),
        BatchResult(results=(Result(status="duplicate"),)),
    )
    with Batcher(fake, chance=lambda: 0.0) as batcher:
        for user in ("ann", "bob"):
            batcher.add(Grant(user_id=user, amount=1, grant_id=user), namespace="gp")
        assert batcher.flush(10)
    assert [(b'"ann"' in body, b'"bob"' in body) for body in fake.sent] == [(True, True), (True, True), (True, False)]
    assert fake.sent[0] == fake.sent[1], "the same grant_id, the same time: it counts once"


def test_a_server_that_is_killed_in_between_loses_nothing_and_counts_nothing_twice(own_stack: Stack) -> None:
    """kill -9, twice, while four threads add; the program then ends as programs do."""
    with (
        Leaderboard(own_stack.url, key=own_stack.key) as client,
        Leaderboard(
            own_stack.url,
            key=own_stack.key,
            deadline_s=0.2,  # A call ends before the server is back.
        ) as sender,
    ):
        client.put_namespace("race", accept_past=None)
        batcher = sender.batcher(linger_s=0.0)

        def play(player: int) -> None:
            for i in range(1500):
                batcher.add(Grant(grant_id=f"{player}-{i}", user_id=f"u{i % 50}", amount=1), namespace="race")

        players = [threading.Thread(target=play, args=(player,)) for player in range(4)]
        for thread in players:
            thread.start()
        deadline = time.monotonic() + 60
        for least in (1, 2500):
            while totals(client, "race")[0] < least and time.monotonic() < deadline:
                pass
            own_stack.kill("serve")
            own_stack.start("serve")
        for thread in players:
            thread.join()
        batcher.close()
        assert totals(client, "race") == (6000, 50)


def test_a_program_that_ends_sends_what_waits(live_server: Stack, client: Leaderboard, space: str) -> None:
    child = program(live_server, space)
    assert child.communicate(timeout=30) == ("added\n", "")
    assert (child.returncode, totals(client, space)) == (0, (2500, 10))


def test_a_program_that_makes_an_exit_of_sigterm_sends_what_waits(
    live_server: Stack, client: Leaderboard, space: str
) -> None:
    child = program(live_server, space, SIGTERM="1")
    assert child.stdout is not None
    assert child.stdout.readline() == "added\n"
    child.send_signal(signal.SIGTERM)
    child.communicate(timeout=30)
    assert (child.returncode, totals(client, space)) == (0, (2500, 10))


def test_a_program_that_ends_while_the_server_is_away_waits_for_it(own_stack: Stack) -> None:
    with Leaderboard(own_stack.url, key=own_stack.key) as client:
        client.put_namespace("race")
        own_stack.kill("serve")
        child = program(own_stack, "race", PROGRAM.replace("2500", "900"))
        assert child.stdout is not None
        assert child.stdout.readline() == "added\n"
        own_stack.start("serve")
        child.communicate(timeout=30)
        assert (child.returncode, totals(client, "race")) == (0, (900, 10))


def test_a_program_that_cannot_send_in_time_says_which_grants_are_left(live_server: Stack, space: str) -> None:
    child = program(live_server, space, PROGRAM.replace("2500", "2"), URL="http://127.0.0.1:9", EXIT_S="0.2")
    _, errors = child.communicate(timeout=30)
    assert "2 grants were not sent: ['g0', 'g1']" in errors


def test_for_asyncio_it_is_the_same_queue(live_server: Stack, client: Leaderboard, space: str) -> None:
    async def play() -> None:
        async with AsyncLeaderboard(live_server.url, key=live_server.key) as own:
            async with own.batcher(queue_max=50) as batcher:
                for i in range(200):
                    await batcher.add(Grant(user_id=f"u{i % 5}", amount=1), namespace=space)
                assert await batcher.flush(10)
            left = own.batcher()
            left.add_nowait(Grant(user_id="u0", amount=1), namespace=space)

    asyncio.run(play())
    assert totals(client, space) == (201, 5)


def test_what_asyncio_leaves_is_sent_at_the_exit(live_server: Stack, client: Leaderboard, space: str) -> None:
    text = """
import asyncio, os
from leaderboard_client import AsyncLeaderboard, Grant
async def play():
    client = AsyncLeaderboard(os.environ["URL"], key=os.environ["KEY"])
    client.batcher().add_nowait(Grant(user_id="ann", amount=4), namespace=os.environ["SPACE"])
asyncio.run(play())
"""
    child = program(live_server, space, text)
    assert (child.communicate(timeout=30), child.returncode) == (("", ""), 0)
    assert totals(client, space) == (4, 1)


def test_after_a_fork_it_is_of_no_use() -> None:
    fake = Fake(BatchResult(results=(Result(status="applied"),)))
    batcher = Batcher(fake)
    batcher._process = -1
    with pytest.raises(Closed, match="fork"):
        batcher.add(Grant(user_id="ann", amount=1), namespace="gp")
    batcher.close()
