"""Dead letters and duplicates that are open when Redis is rebuilt: boards count them as before."""

from collections.abc import Iterator
from typing import Any

import pytest
import redis

from app.store import keys
from tests.support.dead_letters import AT, command, edit, places, refusing, score, verify
from tests.support.fault_isolation import Isolation, isolation
from tests.support.redis_state import differences, namespace_state
from tests.support.waits import until

pytestmark = pytest.mark.timeout(180)
RULES: list[dict[str, Any]] = [
    {"category_boards": True, "streaks": True, "bounded_sums": True, "ranking": "dense"},
    {"tie_break": "earliest"},
    {"aggregation": "best", "tie_break": "earliest"},
    {"aggregation": "latest", "tie_break": "granted_at"},
]


@pytest.fixture
def iso(own_stack: Any) -> Iterator[Isolation]:
    """A system of the test's own: Redis loses all of it."""
    with isolation(own_stack) as system:
        yield system


def rebuild(iso: Isolation) -> None:
    """Redis loses everything; behind it all is as before."""
    before = namespace_state(iso.stack.valkey.url)
    with redis.Redis.from_url(iso.stack.valkey.url) as store:
        store.flushall()
    rebuilt = iso.stack.run("rebuild", "--quiet")
    assert (rebuilt.returncode, rebuilt.stderr) == (0, "")
    assert differences(before, namespace_state(iso.stack.valkey.url)) == []
    iso.stack.wait_ready()


@pytest.mark.parametrize("verb", ["drop", "retry"])
def test_open_letters_count_behind_a_rebuild_and_are_settled(iso: Isolation, verb: str) -> None:
    """A grant and a correction in each namespace."""
    spaces = [iso.space(**rules) for rules in RULES]
    for space in spaces:
        iso.grant(space, "g1", 3, granted_at=AT)
        iso.grant(space, "other", 5, user="heron", granted_at=AT)
    iso.stack.wait_flushed()
    with refusing(iso, "g1", "g2"):
        for space in spaces:
            assert edit(iso, space, "g1", 8).status_code == 200
            iso.grant(space, "g2", 4, granted_at=AT)
        iso.stack.wait_flushed()
    letters = places(iso)
    assert len(letters) == 2 * len(spaces)
    scores = [score(iso, space) for space in spaces]
    rebuild(iso)
    assert [score(iso, space) for space in spaces] == scores
    for letter in letters:
        code, text = command(iso, verb, letter)
        assert code == 0, text
    iso.stack.wait_flushed()
    assert verify(iso) == (0, "")


def test_an_open_duplicate_counts_behind_a_rebuild_and_is_taken_back(iso: Isolation) -> None:
    iso.stack.stop("persist")
    iso.stack.extra["LEADERBOARD_CHORES_S"] = "600"
    iso.stack.start("persist")
    spaces = [iso.space(**rules) for rules in RULES]
    for space in spaces:
        iso.grant(space, "g1", 3, granted_at=AT)
        iso.grant(space, "other", 1, user="heron", granted_at=AT)
    iso.stack.wait_flushed()
    before = [score(iso, space) for space in spaces]
    with redis.Redis.from_url(iso.stack.valkey.url) as store:
        assert store.delete(*(keys.dedup(p, 1) for p in range(16))) > 0
    for space in spaces:
        iso.grant(space, "g1", 3, granted_at=AT)
    iso.stack.wait_flushed()
    assert iso.sql("SELECT count(*) FROM dead_letters WHERE healed_seq IS NULL") == [(len(spaces),)]
    rebuild(iso)
    iso.stack.stop("persist")
    iso.stack.extra["LEADERBOARD_CHORES_S"] = "0.2"
    iso.stack.start("persist")
    until(lambda: iso.sql("SELECT count(*) FROM dead_letters WHERE healed_seq IS NULL") == [(0,)], "heals do not come")
    iso.stack.wait_flushed()
    assert [score(iso, space) for space in spaces] == before
    assert verify(iso) == (0, "")
