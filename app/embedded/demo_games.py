"""What is played in the demonstration: the namespaces, their rules, and grants as they come."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from .demo_cast import CAST

#: Days before now in which the first grants lie. A namespace takes them up to 35 days back.
DAYS_BEFORE = 28
#: More than a player can have in a minute by playing: such a grant is held in quarantine.
AMOUNT_MINUTE_MAX = 400
SUSPICIOUS_AMOUNT = 5_000
Amount = Callable[[random.Random, int], float]


@dataclass(frozen=True, slots=True)
class Game:
    """A namespace of the demonstration. amount: of a grant of the player with that number in the cast."""

    namespace: str
    rules: Mapping[str, object]
    categories: tuple[str, ...]
    sources: tuple[str, ...]
    amount: Amount
    season: str = ""

    def rules_at(self, now: datetime, seasons: list[dict[str, str]]) -> dict[str, Any]:
        """The rules, with the seasons that are there already, and those of this year and the next: once grants may lie
        in a season, it can be neither added nor taken away."""
        names = {season["name"] for season in seasons}
        years = [_season(self.season, year) for year in (now.year, now.year + 1)] if self.season else []
        return {
            "visibility": "public",
            **self.rules,
            "seasons": [*seasons, *(season for season in years if season["name"] not in names)],
        }


GAMES = (
    Game(
        "demo-arena",
        {
            "display_name": "Demo: arena",
            "periods": ["all", "month", "week", "day", "hour"],
            "category_boards": True,
            "streaks": True,
            "tie_break": "earliest",
            "velocity": [{"per": "PT1M", "max_grants": None, "max_amount": AMOUNT_MINUTE_MAX}],
            "suspicious": "quarantine",
        },
        ("forest", "river", "summit"),
        ("match", "quest"),
        lambda chance, _: chance.choice((1, 2, 3, 5, 8)),
        season="festival-of-long-evenings-and-fireflies-in-the-tall-grass",
    ),
    # The last round counts, of twenty questions: there are always ties.
    Game(
        "demo-quiz",
        {"display_name": "Demo: quiz, last round", "aggregation": "latest", "category_boards": True, "streaks": True},
        ("history", "nature", "science"),
        ("round",),
        lambda chance, number: sum(chance.random() < 0.92 - number / 90 for _ in range(20)),
    ),
    # The lowest is best.
    Game(
        "demo-laps",
        {
            "display_name": "Demo: lap times",
            "aggregation": "best",
            "order": "asc",
            "scale": 3,
            "periods": ["all", "week", "day", "hour"],
            "tie_break": "earliest",
        },
        ("dry", "wet"),
        ("lap",),
        lambda chance, number: round(61.4 + number * 0.137 + chance.expovariate(0.6), 3),
    ),
)

#: The game that holds back grants of more than a player can have.
SUSPICIOUS = GAMES[0]


def grant(game: Game, chance: random.Random) -> dict[str, Any]:
    """One grant; its id is unique across runs. Some play more than others, so that a board has a top."""
    number = min(int(chance.expovariate(3 / len(CAST))), len(CAST) - 1)
    return _grant(game, chance, number)


def suspicious_grant(game: Game, chance: random.Random) -> dict[str, Any]:
    """One grant of more than a player can have."""
    return {**grant(game, chance), "amount": SUSPICIOUS_AMOUNT}


def first_grants(game: Game, now: datetime) -> list[dict[str, Any]]:
    """The grants of the last weeks: at most 1,000, the same in every run but for their times and ids."""
    return list(_first_grants(game, now))


def _first_grants(game: Game, now: datetime) -> Iterator[dict[str, Any]]:
    chance = random.Random(game.namespace)
    for number in range(len(CAST)):
        days_in_a_row = number * 7 % 13
        for day in range(DAYS_BEFORE):
            if day >= days_in_a_row and chance.random() < 0.7:
                continue
            at = now - timedelta(days=day, minutes=chance.randrange(1, 90))
            yield {**_grant(game, chance, number), "granted_at": f"{at:%Y-%m-%dT%H:%M:%S}Z"}


def _grant(game: Game, chance: random.Random, number: int) -> dict[str, Any]:
    return {
        "grant_id": f"demo-{random.SystemRandom().getrandbits(64):016x}",
        "user_id": CAST[number].user_id,
        "amount": game.amount(chance, number),
        "category": chance.choice(game.categories),
        "source": chance.choice(game.sources),
    }


def _season(name: str, year: int) -> dict[str, str]:
    first, after = (datetime(one, 1, 1, tzinfo=UTC) for one in (year, year + 1))
    return {"name": f"{name}-{year}", "starts": f"{first:%Y-%m-%dT%H:%M:%S}Z", "ends": f"{after:%Y-%m-%dT%H:%M:%S}Z"}
