"""What the ledger lacks of a grant, and how long a read of one waits for it."""

import asyncio
from typing import Any

import pytest

from app.drivers.pauses import FIRST_PAUSE_S
from app.model.errors import GrantNotFound, StoreUnavailable
from app.model.namespace import Namespace, Rules
from app.read.grant_history import WAIT_S_MAX, GrantHistory
from app.store.grant_lag import GrantLag, LaggingGrants, RecordedRevision
from tests.support.fake_ledger import FakeLedger, FakeRedis
from tests.support.virtual_time import VirtualTime

SPACE = Namespace(3, "race", 0, 1, Rules())
PLACE = 1, 2


@pytest.mark.parametrize(
    ("dead", "looks"),
    [
        pytest.param({}, [LaggingGrants(["g"], [], False)] * 3, id="fresh"),
        pytest.param(
            {PLACE: False}, [LaggingGrants(["g"], [], False), *[LaggingGrants([], ["g"], False)] * 2], id="dead"
        ),
        pytest.param(
            {PLACE: True},
            [LaggingGrants(["g"], [], False), LaggingGrants(["g"], [], True), LaggingGrants([], [], False)],
            id="settled",
        ),
    ],
)
def test_what_the_looks_of_a_request_find(dead: dict[tuple[int, int], bool], looks: list[LaggingGrants]) -> None:
    """The first look asks for no dead letter: nearly all that is behind is only fresh."""
    ledger, redis = FakeLedger(dead=dead), FakeRedis()
    redis.count(SPACE, "g", 1, PLACE[1])
    lag = GrantLag(redis, ledger, SPACE)  # type: ignore[arg-type]

    async def look() -> list[LaggingGrants]:
        return [await lag.look({"g": RecordedRevision(), "none": RecordedRevision()}) for _ in looks]

    assert asyncio.run(look()) == looks


@pytest.mark.parametrize(("revision", "behind"), [(0, []), (1, ["g"]), (2, []), (3, [])])
def test_the_next_revision_is_what_may_be_lacking(revision: int, behind: list[str]) -> None:
    redis = FakeRedis()
    redis.count(SPACE, "g", 2, 7)
    lag = GrantLag(redis, FakeLedger(), SPACE)  # type: ignore[arg-type]
    assert asyncio.run(lag.look({"g": RecordedRevision(revision)})) == LaggingGrants(behind, [], False)


@pytest.mark.parametrize("revision", [1, 2, 3])
def test_a_grant_with_an_open_letter_is_dead_whatever_redis_knows(revision: int) -> None:
    """Redis has revision 2; its entry of the letter may be taken off by now, or forgotten."""
    redis = FakeRedis()
    redis.count(SPACE, "g", 2, 7)
    redis.count(SPACE, "other", 1, 8)
    lag = GrantLag(redis, FakeLedger(), SPACE)  # type: ignore[arg-type]
    recorded = {"g": RecordedRevision(revision, has_open_letter=True), "other": RecordedRevision()}
    assert asyncio.run(lag.look(recorded)) == LaggingGrants(["other"], ["g"], False)


class Postgres:
    """Holds no grant, and one dead letter: is_settled None where there is none."""

    def __init__(self, is_settled: bool | None) -> None:
        self._is_settled = is_settled

    async def fetch(self, query: str, *args: Any) -> list[Any]:
        if query != "get_dead_letters_at" or self._is_settled is None:
            return []
        return [{"epoch": PLACE[0], "seq": PLACE[1], "is_settled": self._is_settled}]


@pytest.mark.parametrize(
    ("is_settled", "error", "waits_s"),
    [
        (True, GrantNotFound, FIRST_PAUSE_S),
        (False, StoreUnavailable, FIRST_PAUSE_S),
        (None, StoreUnavailable, WAIT_S_MAX),
    ],
    ids=["dropped", "dead", "fresh"],
)
def test_a_read_waits_only_for_a_grant_that_may_come(
    monkeypatch: pytest.MonkeyPatch, is_settled: bool | None, error: type[Exception], waits_s: float
) -> None:
    redis, postgres = FakeRedis(), Postgres(is_settled)
    redis.count(SPACE, "g", 1, PLACE[1])
    history = GrantHistory(postgres=postgres, batcher=redis, authorizer=None, clock=lambda: 0)  # type: ignore[arg-type]
    time = VirtualTime(monkeypatch)
    with pytest.raises(error):
        time.run(history.read_grant(SPACE, "g"))
    assert time.passed_s == pytest.approx(waits_s)
