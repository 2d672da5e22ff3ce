"""A primary of Postgres that dies under writes, and a standby that takes its place without the last transactions."""

import threading
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.conftest import Stack
from tests.support.postgres_pair import PostgresPair
from tests.support.template import THROWAWAY, template
from tests.support.waits import until

GRANTS = "/v1/namespaces/race/grants"


class Writer:
    """Grants points until it is stopped. acknowledged: the ids that were answered with 201."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.acknowledged: list[str] = []

    def __enter__(self) -> "Writer":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def wait_for(self, more: int) -> None:
        """Waits until so many more are acknowledged."""
        end = len(self.acknowledged) + more
        for _ in range(3_000):
            if len(self.acknowledged) >= end:
                return
            self._ended.wait(0.01)
        raise AssertionError("grants are not acknowledged any more")

    def _run(self) -> None:
        with self._stack.client() as client:
            while not self._ended.is_set():
                grant_id = f"g{len(self.acknowledged)}"
                body = {"grant_id": grant_id, "user_id": f"u{len(grant_id)}", "amount": 3}
                answer = client.post(GRANTS, json=body)
                assert answer.status_code == 201, answer.text
                self.acknowledged.append(grant_id)


@pytest.fixture
def stack(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    own = Stack(tmp_path, template(tmp_path_factory), THROWAWAY)
    own.extra["LEADERBOARD_CHORES_S"] = "0.5"
    try:
        yield own
    finally:
        own.down()


@pytest.fixture
def pair(stack: Stack, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresPair]:
    made = PostgresPair(template(tmp_path_factory), stack.postgres, tmp_path / "standby")
    stack.extra["LEADERBOARD_POSTGRES_URL"] = made.url
    try:
        stack.up()
        made.standby.start()
        yield made
    finally:
        made.stop()


def ledger_ids(url: str) -> list[str]:
    with psycopg.connect(url) as db:
        return [row[0] for row in db.execute("SELECT grant_id FROM ledger WHERE kind = 'grant' ORDER BY seq")]


def wait_recorded(url: str, grant_id: str) -> None:
    """Waits until the ledger holds a grant."""
    until(lambda: grant_id in ledger_ids(url), f"{grant_id} is not recorded", 30)


@pytest.mark.timeout(120)
def test_what_a_standby_never_got_is_written_again_from_the_log(stack: Stack, pair: PostgresPair) -> None:
    with stack.client() as client:
        assert client.put("/v1/namespaces/race", json={}).status_code == 201
        with Writer(stack) as writer:
            writer.wait_for(50)
            wait_recorded(pair.primary.url, writer.acknowledged[-1])
            pair.wait_followed()
            pair.standby.stop()  # from here on it gets nothing
            writer.wait_for(50)
            lost = writer.acknowledged[-1]
            wait_recorded(pair.primary.url, lost)
            pair.primary.kill()
            writer.wait_for(20)
            pair.standby.start()
            pair.promote()
            assert lost not in ledger_ids(pair.standby.url)
            writer.wait_for(50)
        stack.postgres = pair.standby
        stack.wait_flushed()
        assert ledger_ids(pair.standby.url) == writer.acknowledged
        # Everybody else has found the new primary, too: the pools of reads and of writes, and commands.
        assert client.get("/v1/namespaces/race/grants/g7").json()["revision"] == 1
        assert client.patch(f"{GRANTS}/{lost}", json={"amount": 5}).json()["revision"] == 2
        assert client.put("/v1/users/u2", json={"display_name": "U"}).status_code == 200
        for verb in ("migrate", "checkconfig", "verify"):
            done = stack.run(verb)
            assert done.returncode == 0, done.stdout + done.stderr


def test_hosts_that_are_standbys_alone_are_told_by_name(stack: Stack, pair: PostgresPair) -> None:
    pair.primary.kill()
    ports = pair.primary.port, pair.standby.port
    words = "no host of Postgres takes writes: 127.0.0.1:{} does not answer, 127.0.0.1:{} is a standby".format(*ports)
    with stack.client() as client:

        def are_named() -> bool:
            answer = client.put("/v1/users/u2", json={"display_name": "U"})
            assert (answer.status_code, answer.json()["code"]) == (503, "store_unavailable")
            return words in answer.json()["detail"]

        # First it learns that the connection which it had is gone.
        until(are_named, "the hosts are not named", 10)
