"""`leaderboard verify` on real parts: it finds what was planted by name, and nothing where nothing is wrong."""

from collections.abc import Iterator
from typing import Any

import pytest
import redis

from tests.integration.faults import FAULTS, Checked
from tests.integration.writing import Writers


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


@pytest.mark.timeout(240)
def test_nothing_is_found_under_writes(own_stack: Any) -> None:
    """Users are hidden and shown all the time, too; the last run is of what all of that came to."""
    with Writers(own_stack):
        for _ in range(6):
            done = own_stack.run("verify", "--quiet")
            assert (done.returncode, done.stdout.splitlines()[:20], done.stderr) == (0, [], "")
    own_stack.wait_flushed()
    done = own_stack.run("verify", "--quiet")
    assert (done.returncode, done.stdout) == (0, "")
