"""A persister compares once a second and connection whether Postgres is older than Redis."""

import asyncio
from collections.abc import Sequence
from typing import Any

from app.persist.state_guard import COMPARISON_S, StateGuard
from app.store import keys


class Session:
    """A connection to a Postgres at a version of the state."""

    def __init__(self, version: int) -> None:
        self.version = version
        self.looks = 0

    async def fetch(self, query: str, versions: list[int]) -> list[dict[str, Any]]:
        self.looks += 1
        return [{"state_version": self.version, "state_token": "a", "version": None, "token": None}]


class Redis:
    """Notes of version 5 on the nodes that answer."""

    def __init__(self) -> None:
        self.lost: set[str] = set()

    def node_of(self, call: Sequence[Any]) -> str:
        return "one"

    async def run_apart(self, calls: Sequence[Sequence[Any]], timeout_s: float | None = None) -> list[Any]:
        return [ConnectionError() if call[1] in self.lost else b"5 a" for call in calls]


def refusals(guard: StateGuard, *sessions: Session) -> list[bool]:
    async def ask() -> list[bool]:
        return [await guard.refusal(session) is not None for session in sessions]  # type: ignore[arg-type]

    return asyncio.run(ask())


def test_a_comparison_holds_for_a_second_on_its_connection() -> None:
    now, older, newer = [0.0], Session(4), Session(5)
    guard = StateGuard(Redis(), 2, lambda: now[0])  # type: ignore[arg-type]
    assert refusals(guard, newer, newer) == [False, False]
    assert newer.looks == 1
    assert refusals(guard, older, newer) == [True, False]
    newer.version = 4
    now[0] = COMPARISON_S
    assert refusals(guard, newer) == [True]


def test_partitions_tell_where_the_node_of_the_deployment_is_away() -> None:
    redis = Redis()
    redis.lost = {keys.DEPLOYMENT, keys.meta(0)}
    assert refusals(StateGuard(redis, 2), Session(4)) == [True]  # type: ignore[arg-type]
    redis.lost |= {keys.meta(1)}
    assert refusals(StateGuard(redis, 2), Session(4)) == [False]  # type: ignore[arg-type]
