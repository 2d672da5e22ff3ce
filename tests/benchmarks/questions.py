"""Every question to a board, with other arguments each time."""

import json
from collections.abc import Callable
from random import Random
from typing import Any, NamedTuple

from tests.benchmarks.crowds import HIGHEST, LOWEST, WINDOWS, Crowd
from tests.benchmarks.load import get, post
from tests.conftest import KEY

FEW, USERS = 10, 100
TOPS = 20


class Question(NamedTuple):
    """One operation. make: a request; is_same: it has no arguments, so something is granted before each call, that no
    kept answer is measured; by_chance: two equal boards may answer it differently."""

    name: str
    group: str
    make: Callable[[Crowd, Random], bytes]
    is_same: bool = False
    by_chance: bool = False


def _board(path: Callable[[Crowd, Random], str]) -> Callable[[Crowd, Random], bytes]:
    return lambda crowd, chance: get(f"/v1/namespaces/{crowd.name}/boards/all{path(crowd, chance)}", KEY)


def _score(chance: Random) -> int:
    return chance.randrange(LOWEST, HIGHEST)


def _bounds(chance: Random) -> str:
    low, high = sorted((_score(chance), _score(chance)))
    exclusive = chance.choice(["", "&exclusive=min", "&exclusive=max", "&exclusive=min,max"])
    return f"min_score={low}&max_score={high}{exclusive}"


def _send(path: str, body: Any) -> bytes:
    return post(path, KEY, json.dumps(body).encode())


def _ranks(count: int) -> Callable[[Crowd, Random], bytes]:
    def make(crowd: Crowd, chance: Random) -> bytes:
        users = [crowd.user(chance) for _ in range(count)]
        return _send(f"/v1/namespaces/{crowd.name}/ranks", {"users": users, "windows": WINDOWS})

    return make


def _tops(crowd: Crowd, _: Random) -> bytes:
    boards = [{"namespace": crowd.name, "window": WINDOWS[n % 2], "limit": 1 + n} for n in range(TOPS)]
    return _send("/v1/boards", {"boards": boards})


ONE, MANY, STATS, PAGES = "one place", "many at once", "statistics", "pages"
QUESTIONS = (
    Question("at a position", ONE, _board(lambda crowd, chance: f"/at/{1 + chance.randrange(crowd.size)}")),
    Question(
        "rank of a user (users/…)",
        ONE,
        lambda crowd, chance: get(f"/v1/namespaces/{crowd.name}/users/{crowd.holder(chance)}", KEY),
    ),
    Question("rank of a user (?user=)", ONE, _board(lambda crowd, chance: f"?user={crowd.user(chance)}")),
    Question("rank of a score", ONE, _board(lambda _, chance: f"/rank-of/{_score(chance)}")),
    Question("score at a percentile", ONE, _board(lambda _, chance: f"/percentile/{chance.randrange(10**6) / 10**4}")),
    Question("1 by chance", ONE, _board(lambda *_: "/random?n=1"), by_chance=True),
    Question("10 by chance", MANY, _board(lambda *_: "/random?n=10"), by_chance=True),
    Question("100 by chance", MANY, _board(lambda *_: "/random?n=100"), by_chance=True),
    Question(f"ranks of {FEW} users, 2 windows", MANY, _ranks(FEW)),
    Question(f"ranks of {USERS} users, 2 windows", MANY, _ranks(USERS)),
    Question(f"tops of {TOPS} boards", MANY, _tops, is_same=True),
    Question("count", STATS, _board(lambda *_: "/count"), is_same=True),
    Question("count within bounds", STATS, _board(lambda _, chance: f"/count?{_bounds(chance)}")),
    Question("statistics, with min and max", STATS, _board(lambda *_: "/stats"), is_same=True),
    Question("statistics and sum within bounds", STATS, _board(lambda _, chance: f"/stats?{_bounds(chance)}")),
    Question("statistics, histogram of 20", STATS, _board(lambda *_: "/stats?histogram=20"), is_same=True),
    Question("statistics by prefix", STATS, lambda crowd, _: get(f"/v1/stats?prefix={crowd.name}", KEY), True),
    Question("top 10", PAGES, _board(lambda *_: ""), is_same=True),
    Question(
        "10 at a random place", PAGES, _board(lambda crowd, chance: f"?offset={chance.randrange(crowd.size - 9)}")
    ),
    Question("11 around a user", PAGES, _board(lambda crowd, chance: f"?around={crowd.user(chance)}&radius=5")),
)
