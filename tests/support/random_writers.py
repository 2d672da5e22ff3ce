"""Everything that moves scores, in namespaces of all kinds, by many at once."""

import random
import threading
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Any, Self

NOW = datetime.now(UTC)
SPACES: dict[str, dict[str, Any]] = {
    "plain": {},
    "lowest": {"aggregation": "best", "order": "asc", "tie_break": "earliest", "scale": 2, "bounded_sums": True},
    "latest": {"aggregation": "latest", "ranking": "dense", "category_boards": True, "tie_break": "earliest"},
    "rising": {
        "order": "asc",
        "tie_break": "earliest",
        "ranking": "dense",
        "category_boards": True,
        "streaks": True,
        "timezone": "America/New_York",
        "group": "g",
        "bounded_sums": True,
        "seasons": [{"name": "s", "starts": "2020-01-01T00:00:00Z", "ends": "2120-01-01T00:00:00Z"}],
    },
    "moments": {"tie_break": "granted_at", "category_boards": True, "ranking": "ordinal", "bounded_sums": True},
    "first": {"aggregation": "best", "tie_break": "granted_at", "order": "asc", "ranking": "dense"},
    "last": {"aggregation": "latest", "tie_break": "granted_at", "category_boards": True},
    "highest": {"aggregation": "best", "statistics": False, "group": "g", "category_boards": True},
    "paced": {"velocity": [{"per": "PT1M", "max_grants": 40}], "suspicious": "quarantine", "tie_break": "earliest"},
    "sealed": {"accept_past": "PT12H", "category_boards": True, "tie_break": "earliest", "order": "asc"},
}
BACKFILLED = "sealed"  # days are sealed as soon as they have a board; what comes to them later, their archives follow


USERS = [f"u{i}" for i in range(40)] + [f"v{i}" for i in range(3)]  # the last ones are erased now and then


class Writer(threading.Thread):
    """Sends grants and corrections, hides and shows users, in every namespace, until it is stopped. has_state: whether
    it hides, shows and erases users, too."""

    def __init__(self, stack: Any, number: int, stop: threading.Event, *, has_state: bool = True) -> None:
        super().__init__()
        self._client, self._stopped, self._number = stack.client(), stop, number
        self._has_state = has_state
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
            query = "?backfill=true" if space == BACKFILLED else ""
            answer = self._client.post(f"/v1/namespaces/{space}/grants{query}", json=grants)
            assert answer.status_code in (200, 503)  # 503: all of them to one who is being erased
            self._granted += [f"/v1/namespaces/{space}/grants/{grant['grant_id']}" for grant in grants]
        elif i % 3 == 1:
            self._correct(chance.choice(self._granted))
        elif not self._has_state:
            return
        elif i % 29 == 0:
            self._client.delete(f"/v1/users/v{chance.randrange(3)}")
        elif i % 7 == 0:
            self._client.post(f"/v1/users/u{chance.randrange(12)}/{chance.choice(('hide', 'unhide'))}")

    def _grant(self, name: str, at: datetime | None) -> dict[str, Any]:
        chance = self._random
        grant = {"grant_id": name, "user_id": chance.choice(USERS), "amount": chance.randrange(-2, 5)}
        grant |= {"category": chance.choice(("red", "blue", None)), "source": chance.choice(("race", "quiz"))}
        return grant if at is None else grant | {"granted_at": at.isoformat()}

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


class Writers:
    """Some writers at work, in namespaces that they make; leaving the context stops them. first: the number of the
    first of them, so that others before them granted other things. has_state: as of a Writer."""

    def __init__(self, stack: Any, count: int = 4, first: int = 0, *, has_state: bool = True) -> None:
        with stack.client() as client:
            for name, rules in SPACES.items():
                assert client.put(f"/v1/namespaces/{name}", json=rules).status_code in (200, 201)
        self._stop = threading.Event()
        self._writers = [
            Writer(stack, number, self._stop, has_state=has_state) for number in range(first, first + count)
        ]

    def __enter__(self) -> Self:
        for writer in self._writers:
            writer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        for writer in self._writers:
            writer.join()
