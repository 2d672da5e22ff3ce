"""An announcement reaches every partition that can be reached, and its number is above all that anybody has heard."""

import asyncio
from typing import Any

import pytest
from redis.exceptions import ResponseError

from app.drivers.redis import RedisRefused
from app.model.errors import Overloaded, Recovering, StoreUnavailable
from app.store.announcements import NAMES_MAX, Announcer
from app.store.changes import Changed

PARTITIONS = 4


class World:
    """A Postgres that gives out numbers, and partitions that were told some; `faults` answer instead of them."""

    def __init__(self) -> None:
        self.numbers = {"changes": 0, "profiles": 0}
        self.partitions: list[tuple[int, list[Any]]] = [(0, []) for _ in range(PARTITIONS)]
        self.faults: dict[int, Exception] = {}
        self.calls = 0

    async def fetch(self, query: str, kind: str, behind: int = 0, count: int = 0) -> Any:
        if query == "take_change_numbers":
            self.numbers[kind] = max(self.numbers[kind], behind) + count
        return [{"number": self.numbers[kind]}]

    async def run_apart(self, calls: Any) -> list[Any]:
        self.calls += 1
        return [self.tell(call) for call in calls]

    def tell(self, call: Any) -> Any:
        _, _, count, *words = call
        keys, (_, number, _, *names) = words[:count], words[count:]
        partitions = [int(key[4 : key.index("}")]) for key in keys[::2]]
        for p in partitions:
            if p in self.faults:
                return self.faults[p]
        before = max(self.partitions[p][0] for p in partitions)
        for p in partitions:
            self.partitions[p] = max(self.partitions[p][0], number), names
        return before

    def announce(self, changed: Changed, is_cluster: bool = True) -> None:
        announcer = Announcer(self.fetch, self.run_apart, PARTITIONS, is_cluster=is_cluster)
        asyncio.run(announcer.announce(changed))


RACE = Changed(frozenset({"race"}))


@pytest.mark.parametrize("is_cluster", [True, False])
def test_every_partition_hears_the_names(is_cluster: bool) -> None:
    world = World()
    world.announce(RACE, is_cluster)
    world.announce(Changed(keys=frozenset({"k"})), is_cluster)
    assert world.partitions == [(2, ["k k"])] * PARTITIONS
    assert world.calls == 2


def test_more_names_than_one_announcement_has_are_everything() -> None:
    world = World()
    world.announce(Changed(frozenset(f"n{i}" for i in range(NAMES_MAX + 1))))
    assert world.partitions == [(1, [])] * PARTITIONS
    world.announce(Changed(frozenset(f"n{i}" for i in range(NAMES_MAX))))
    assert [(number, len(names)) for number, names in world.partitions] == [(1 + NAMES_MAX, NAMES_MAX)] * PARTITIONS


def test_where_a_partition_has_a_greater_number_it_is_announced_above_that() -> None:
    world = World()
    world.partitions[2] = (70, [])
    world.announce(RACE)
    assert world.partitions == [(71, ["n race"])] * PARTITIONS


@pytest.mark.parametrize("loss", [ConnectionError("gone"), StoreUnavailable("silent"), Recovering("closed")])
def test_a_node_that_is_away_is_left_out(loss: Exception) -> None:
    world = World()
    world.faults = {1: loss}
    world.announce(RACE)
    assert [number for number, _ in world.partitions] == [1, 0, 1, 1]


def test_where_nobody_answers_it_fails() -> None:
    world = World()
    world.faults = dict.fromkeys(range(PARTITIONS), ConnectionError("gone"))
    with pytest.raises(ConnectionError):
        world.announce(RACE)


@pytest.mark.parametrize(
    ("fault", "error"), [(Overloaded("too much waits"), Overloaded), (ResponseError("OOM"), RedisRefused)]
)
def test_a_node_that_answers_and_does_not_take_it_fails_it(fault: Exception, error: type[Exception]) -> None:
    world = World()
    world.faults = {1: fault}
    with pytest.raises(error):
        world.announce(RACE)
