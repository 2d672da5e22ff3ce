"""Whose clock decides: the slower one of both stores; this machine's is only compared."""

import asyncio
import re
from typing import Any

import pytest

from app.persist.clocks import SKEW_S_MAX, SKEW_WARN_S, ClockReading, Clocks, ClockSkewed

S = 1_000_000
NOW = 1_800_000_000 * S


class Stores:
    """Two clocks, as a link and a session tell them."""

    def __init__(self, redis_s: float, postgres_s: float) -> None:
        self.redis, self.postgres = NOW + int(redis_s * S), NOW + int(postgres_s * S)

    async def run(self, calls: Any) -> list[Any]:
        return [[str(self.redis // S).encode(), str(self.redis % S).encode()]]

    async def fetch(self, query: str) -> list[dict[str, int]]:
        return [{"now": self.postgres}]


def now(redis_s: float, postgres_s: float) -> int:
    stores: Any = Stores(redis_s, postgres_s)
    return asyncio.run(Clocks(lambda: NOW).read(stores, stores))


@pytest.mark.parametrize(
    ("redis_s", "postgres_s"), [(0, 0), (1, -1), (3e6, 2), (-3e6, 2), (2, 3e6), (8, 9), (-29, -3e6)]
)
def test_the_slower_store_decides(redis_s: float, postgres_s: float) -> None:
    assert now(redis_s, postgres_s) == NOW + int(min(redis_s, postgres_s) * S)


@pytest.mark.parametrize("ahead_s", [3_456_000, 31, -31, -3_456_000])
def test_a_machine_whose_clock_both_stores_contradict_is_ended_by_name(ahead_s: float) -> None:
    with pytest.raises(ClockSkewed, match=re.escape(f"differs from Redis's by {ahead_s:+.0f} s")):
        now(-ahead_s, -ahead_s)
    assert abs(ahead_s) > SKEW_S_MAX


def test_who_was_paused_while_asking_is_not_wrong() -> None:
    paused = ClockReading(NOW, NOW + 2 * S, NOW + 58 * S, NOW + 60 * S)
    assert (paused.own_s, paused.apart_s, paused.ahead_s(paused.redis)) == (0, 0, 0)
    apart = ClockReading(NOW, NOW, NOW + 8 * S, NOW + S)
    assert apart.apart_s == 7 > SKEW_WARN_S
    assert apart.ahead_s(apart.postgres) == 7
