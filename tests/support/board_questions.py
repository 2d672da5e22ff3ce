"""Every question to one board over HTTP, by chance, each against what brute force says."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from random import Random
from typing import Any

import httpx

from tests.support.board_oracle import Oracle, Row

RANKINGS = (None, None, "competition", "dense", "ordinal")
PERCENTILES = ("0", "0.0001", "10", "33.3333", "33.3334", "50", "66.6667", "83.3333", "90", "99.9999", "100")


@dataclass
class Asker:
    """A board and what it must say. url: the namespace's; asked: how many questions were."""

    api: httpx.Client
    url: str
    window: str
    told: Oracle
    chance: Random
    category: str | None = None
    asked: int = 0

    def everything(self, rounds: int = 6) -> None:
        """By chance and at the edges."""
        total = len(self.told.scores)
        for position in {1, total, total + 1, self.chance.randrange(1, 20)} - {0}:
            self.at(position)
        for _ in range(rounds):
            self.percentile()
            self.bounds()
            self.figures()
        for units in {-5, 5, *(self.units() for _ in range(rounds))}:
            self.rank_of(units)
        self.by_chance(self.chance.choice([1, 2, 5, 1000]))

    def one(self) -> None:
        """Any."""
        questions = (
            lambda: self.at(self.chance.randrange(1, len(self.told.scores) + 2)),
            *(self.percentile, self.bounds, self.figures, self.users, self.around),
            lambda: self.rank_of(self.units()),
            lambda: self.by_chance(self.chance.choice([1, 2, 5, 1000])),
        )
        self.chance.choice(questions)()

    def get(self, path: str = "", **query: Any) -> dict[str, Any]:
        """An answer and its status."""
        self.asked += 1
        named = {name: value for name, value in (query | {"category": self.category}).items() if value is not None}
        answer = self.api.get(f"{self.url}/boards/{self.window}{path}", params=named)
        return {"status": answer.status_code, "asked": str(answer.url), **json.loads(answer.text, parse_float=Decimal)}

    def units(self) -> int:
        """A score that somebody has, one beside it, or any small one."""
        held = [units for _, units in self.told.scores]
        near = self.chance.choice(held) + self.chance.choice((-1, 0, 0, 1)) if held else 0
        return self.chance.choice((near, near, self.chance.randrange(-5, 6)))

    def at(self, position: int) -> None:
        ranking = self.chance.choice(RANKINGS)
        answer = self.get(f"/at/{position}", ranking=ranking)
        if position > len(self.told.scores):
            assert (answer["status"], answer["code"], answer["field"]) == (404, "user_not_found", "{position}"), answer
        else:
            assert rows([answer]) == [self.told.rows(ranking)[position - 1]], answer
            assert answer["total"] == len(self.told.scores), answer

    def percentile(self) -> None:
        ranking = self.chance.choice(RANKINGS)
        own = [str(self.told.percentile_of(units)) for _, units in self.told.scores]
        p = self.chance.choice([*PERCENTILES, *self.chance.sample(own, min(len(own), 5))])
        answer = self.get(f"/percentile/{p}", ranking=ranking)
        wanted = self.told.at_percentile(Decimal(p), ranking)
        if wanted is None:
            found = (answer["status"], answer["code"], answer["field"])
            assert found == (404, "user_not_found", "{percentile}"), answer
        else:
            position, rank, _, score = wanted
            told = [answer[name] for name in ("position", "rank", "score", "total")]
            assert told == [position, rank, score, len(self.told.scores)], answer

    def rank_of(self, units: int) -> None:
        ranking = self.chance.choice(RANKINGS)
        answer = self.get(f"/rank-of/{self.told.number(units)}", ranking=ranking)
        wanted = self.told.score(units, ranking)
        assert {name: answer.get(name) for name in wanted} == wanted, answer

    def by_chance(self, n: int) -> None:
        """Any of the board, each at most once, in its order."""
        answer = self.get("/random", n=n)
        drawn, whole = rows(answer["entries"]), self.told.rows()
        assert len(drawn) == min(n, len(whole)), answer
        assert [row for row in whole if row in drawn] == drawn, answer

    def users(self) -> None:
        ranking, known = self.chance.choice(RANKINGS), [user for user, _ in self.told.scores]
        asked = [*self.chance.sample(known, self.chance.randrange(len(known) + 1)), "nobody"]
        answer = self.get(user=asked, ranking=ranking)
        assert rows(answer["entries"]) == [row for row in self.told.rows(ranking) if row[2] in asked], answer
        assert answer["missing"] == ["nobody"], answer

    def around(self) -> None:
        ranking, radius, whole = self.chance.choice(RANKINGS), self.chance.randrange(4), self.told.rows()
        position, _, user, _ = self.chance.choice(whole or [(1, 1, "nobody", 0)])
        answer = self.get(around=user, radius=radius, ranking=ranking)
        if whole:
            near = self.told.rows(ranking)[max(0, position - 1 - radius) : position + radius]
            assert rows(answer["entries"]) == near, answer
        else:
            assert (answer["status"], answer["code"]) == (404, "user_not_found"), answer

    def some_bounds(self) -> tuple[int | None, int | None, list[str], dict[str, Any]]:
        """From, to, which of the two is left out, and all of that as a query."""
        low, high = (self.chance.choice([None, self.units()]) for _ in range(2))
        if low is not None and high is not None:
            low, high = min(low, high), max(low, high)
        held = [name for name, bound in (("min", low), ("max", high)) if bound is not None]
        named = [name for name in held if self.chance.random() < 0.5]
        query: dict[str, Any] = {"min_score": low if low is None else str(self.told.number(low))}
        query |= {"max_score": high if high is None else str(self.told.number(high))}
        return low, high, named, query | {"exclusive": ",".join(named) or None}

    def figures(self) -> None:
        low, high, named, query = self.some_bounds()
        bins = self.chance.choice((0, 1, 2, 7, 20, 100))
        percents = self.chance.choice(
            (["50", "90", "99"], ["0", "100"], ["25", "50", "75"], ["99.9", "0.0001", "33.3333"])
        )
        between = self.chance.random() < 0.5
        query |= {"percentiles": ",".join(percents), "interpolate": "true" if between else None}
        answer = self.get("/stats", **query, histogram=bins or None)
        for name, wanted in self.told.figures(low, high, named, bins, percents, between).items():
            told = answer[name]
            if name == "percentiles":
                # Interpolated ones are rounded once, to a double.
                told, wanted = (
                    {percent: score if score is None else float(score) for percent, score in scores.items()}
                    for scores in (told, wanted)
                )
            assert (float(told) if isinstance(wanted, float) else told) == wanted, (name, wanted, answer)

    def bounds(self) -> None:
        """How many lie within bounds, and they themselves, page by page."""
        low, high, named, query = self.some_bounds()
        ranking, limit, offset = self.chance.choice(RANKINGS), self.chance.randrange(1, 9), self.chance.randrange(3)
        wanted = self.told.within(low, high, named, ranking)
        counted = self.get("/count", **query)
        assert (counted["count"], counted["total"]) == (len(wanted), len(self.told.scores)), counted
        page = self.get(**query, limit=limit, offset=offset, ranking=ranking)
        found = rows(page["entries"])
        assert found == wanted[offset : offset + limit], page
        if any(query.values()):
            assert page["count"] == len(wanted), page
        assert (page["next_cursor"] is not None) == (bool(found) and found[-1] != wanted[-1]), page
        while page["next_cursor"]:
            page = self.get(**query, limit=limit, cursor=page["next_cursor"], ranking=ranking)
            found += rows(page["entries"])
        assert found == wanted[offset:], page
        above = self.get(limit=1)["next_cursor"]
        if above:
            page = self.get(**query, limit=limit, cursor=above, ranking=ranking)
            assert rows(page["entries"]) == [row for row in wanted if row[0] > 1][:limit], page


def rows(entries: Iterable[dict[str, Any]]) -> list[Row]:
    """As the oracle has them."""
    return [(e["position"], e["rank"], e["user_id"], e["score"]) for e in entries]
