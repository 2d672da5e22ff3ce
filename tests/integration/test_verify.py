"""`leaderboard verify` on real parts: it finds what was planted by name, and nothing where nothing is wrong."""

import random
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import redis

from tests.integration.faults import FAULTS, Checked


@pytest.fixture
def checked(own_stack: Any) -> Iterator[Checked]:
    with own_stack.client() as client, redis.Redis.from_url(own_stack.valkey.url) as direct:
        yield Checked(own_stack, client, direct)


def test_nothing_is_found_where_nothing_is_wrong(checked: Checked) -> None:
    done = checked.stack.run("verify")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("ok: ")
    assert done.stdout.endswith("numbers in 1 namespace are what the ledger says\n")
    assert done.stderr.splitlines()[-1] == "7 of 7 users compared, at n"
    assert checked.verify() == (0, [])


@pytest.mark.timeout(300)
def test_each_planted_fault_is_named(checked: Checked) -> None:
    """One after the other; mended, nothing of it is found any more."""
    for plant in FAULTS:
        told = plant(checked)
        code, lines = checked.verify()
        assert code == 1, plant.__name__
        assert any(line.startswith(told) for line in lines), (plant.__name__, told, lines)
        checked.mend()
    assert checked.verify() == (0, [])


NOW = datetime.now(UTC)
SPACES: dict[str, dict[str, Any]] = {
    "plain": {},
    "lowest": {"aggregation": "best", "order": "asc", "tie_break": "earliest", "scale": 2},
    "latest": {"aggregation": "latest", "ranking": "dense", "category_boards": True, "tie_break": "earliest"},
    "rising": {
        "order": "asc", "tie_break": "earliest", "ranking": "dense", "category_boards": True, "streaks": True,
        "timezone": "America/New_York", "group": "g",
        "seasons": [{"name": "s", "starts": "2020-01-01T00:00:00Z", "ends": "2120-01-01T00:00:00Z"}],
    },
    "highest": {"aggregation": "best", "statistics": False, "group": "g", "category_boards": True},
    "paced": {"velocity": [{"per": "PT1M", "max_grants": 40}], "suspicious": "quarantine", "tie_break": "earliest"},
}


class Writer(threading.Thread):
    """Grants, corrections, hiding and showing, in every namespace, until it is told to stop."""

    def __init__(self, stack: Any, number: int, stop: threading.Event) -> None:
        super().__init__()
        self._client, self._stopped, self._number = stack.client(), stop, number
        self._random = random.Random(number)
        self._granted: list[str] = []

    def run(self) -> None:
        with self._client:
            for i in range(100_000):
                if self._stopped.is_set():
                    return
                self._step(i)

    def _step(self, i: int) -> None:
        chance = self._random
        space = chance.choice(list(SPACES))
        if i % 3 == 0:
            at = NOW - timedelta(hours=chance.randrange(72)) if chance.random() < 0.5 else None
            grants = [self._grant(f"{self._number}-{i}-{n}", at) for n in range(chance.choice((1, 1, 8)))]
            assert self._client.post(f"/v1/namespaces/{space}/grants", json=grants).status_code == 200
            self._granted += [f"/v1/namespaces/{space}/grants/{grant['grant_id']}" for grant in grants]
        elif i % 3 == 1:
            self._correct(chance.choice(self._granted))
        elif i % 7 == 0:
            self._client.post(f"/v1/users/u{chance.randrange(12)}/{chance.choice(('hide', 'unhide'))}")

    def _grant(self, name: str, at: datetime | None) -> dict[str, Any]:
        chance = self._random
        found = {"grant_id": name, "user_id": f"u{chance.randrange(40)}", "amount": chance.randrange(-2, 5)}
        found |= {"category": chance.choice(("red", "blue", None)), "source": chance.choice(("race", "quiz"))}
        return found if at is None else found | {"granted_at": at.isoformat()}

    def _correct(self, grant: str) -> None:
        match self._random.randrange(4):
            case 0:
                self._client.delete(grant)
            case 1:
                self._client.post(f"{grant}/restore")
            case 2:
                self._client.patch(grant, json={"amount": self._random.randrange(-3, 9), "category": "blue"})
            case _:
                self._client.patch(grant, json={"granted_at": (NOW - timedelta(days=1)).isoformat()})


@pytest.mark.timeout(240)
def test_nothing_is_found_under_writes(own_stack: Any) -> None:
    """Users are hidden and shown all the time, too; the last run is of what all of that came to."""
    with own_stack.client() as client:
        for name, rules in SPACES.items():
            assert client.put(f"/v1/namespaces/{name}", json=rules).status_code == 201
    stop = threading.Event()
    writers = [Writer(own_stack, number, stop) for number in range(4)]
    for writer in writers:
        writer.start()
    try:
        for _ in range(6):
            done = own_stack.run("verify", "--quiet")
            assert (done.returncode, done.stdout.splitlines()[:20], done.stderr) == (0, [], "")
    finally:
        stop.set()
        for writer in writers:
            writer.join()
    own_stack.wait_flushed()
    done = own_stack.run("verify", "--quiet")
    assert (done.returncode, done.stdout) == (0, "")
