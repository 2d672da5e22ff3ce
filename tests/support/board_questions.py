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
    """A board and what it must say. url: the namespace's; questions: how many questions were."""

    api: httpx.Client
    url: str
    window: str
    oracle: Oracle
    chance: Random
    category: str | None = None
    questions: int = 0

    def everything(self, rounds: int = 6) -> None:
        """By chance and at the edges."""
        total = len(self.oracle.scores)
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
            lambda: self.at(self.chance.randrange(1, len(self.oracle.scores) + 2)),
            *(self.percentile, self.bounds, self.figures, self.users, self.around),
            lambda: self.rank_of(self.units()),
            lambda: self.by_chance(self.chance.choice([1, 2, 5, 1000])),
        )
        self.chance.choice(questions)()

    def get(self, path: str = "", **query: Any) -> dict[str, Any]:
        """An answer and its status."""
        self.questions += 1
        named = {name: value for name, value in (query | {"category": self.category}).items() if value is not None}
        answer = self.api.get(f"{self.url}/boards/{self.window}{path}", params=named)
        return {"status": answer.status_code, "asked": str(answer.url), **json.loads(answer.text, parse_float=Decimal)}

    def units(self) -> int:
        """A score that somebody has, one beside it, or any small one."""
        scores = [units for _, units in self.oracle.scores]
        near = self.chance.choice(scores) + self.chance.choice((-1, 0, 0, 1)) if scores else 0
        return self.chance.choice((near, near, self.chance.randrange(-5, 6)))

    def at(self, position: int) -> None:
        ranking = self.chance.choice(RANKINGS)
        answer = self.get(f"/at/{position}", ranking=ranking)
        if position > len(self.oracle.scores):
            assert (answer["status"], answer["code"], answer["field"]) == (404, "user_not_found", "{position}"), answer
        else:
            assert rows([answer]) == [self.oracle.rows(ranking)[position - 1]], answer
            assert answer["total"] == len(self.oracle.scores), answer

    def percentile(self) -> None:
        ranking = self.chance.choice(RANKINGS)
        own = [str(self.oracle.percentile_of(units)) for _, units in self.oracle.scores]
        p = self.chance.choice([*PERCENTILES, *self.chance.sample(own, min(len(own), 5))])
        answer = self.get(f"/percentile/{p}", ranking=ranking)
        expected = self.oracle.at_percentile(Decimal(p), ranking)
        if expected is None:
            refusal = (answer["status"], answer["code"], answer["field"])
            assert refusal == (404, "user_not_found", "{percentile}"), answer
        else:
            position, rank, _, score = expected
            answers = [answer[name] for name in ("position", "rank", "score", "total")]
            assert answers == [position, rank, score, len(self.oracle.scores)], answer

    def rank_of(self, units: int) -> None:
        ranking = self.chance.choice(RANKINGS)
        answer = self.get(f"/rank-of/{self.oracle.number(units)}", ranking=ranking)
        expected = self.oracle.score(units, ranking)
        assert {name: answer.get(name) for name in expected} == expected, answer

    def by_chance(self, n: int) -> None:
        """Any of the board, each at most once, in its order."""
        answer = self.get("/random", n=n)
        drawn, whole = rows(answer["entries"]), self.oracle.rows()
        assert len(drawn) == min(n, len(whole)), answer
        assert [row for row in whole if row in drawn] == drawn, answer

    def users(self) -> None:
        ranking, known = self.chance.choice(RANKINGS), [user for user, _ in self.oracle.scores]
        some = [*self.chance.sample(known, self.chance.randrange(len(known) + 1)), "nobody"]
        answer = self.get(user=some, ranking=ranking)
        assert rows(answer["entries"]) == [row for row in self.oracle.rows(ranking) if row[2] in some], answer
        assert answer["missing"] == ["nobody"], answer

    def around(self) -> None:
        ranking, radius, whole = self.chance.choice(RANKINGS), self.chance.randrange(4), self.oracle.rows()
        position, _, user, _ = self.chance.choice(whole or [(1, 1, "nobody", 0)])
        answer = self.get(around=user, radius=radius, ranking=ranking)
        if whole:
            near = self.oracle.rows(ranking)[max(0, position - 1 - radius) : position + radius]
            assert rows(answer["entries"]) == near, answer
        else:
            assert (answer["status"], answer["code"]) == (404, "user_not_found"), answer

    def some_bounds(self) -> tuple[int | None, int | None, list[str], dict[str, Any]]:
        """From, to, which of the two is left out, and all of that as a query."""
        low, high = (self.chance.choice([None, self.units()]) for _ in range(2))
        if low is not None and high is not None:
            low, high = min(low, high), max(low, high)
        items = [name for name, bound in (("min", low), ("max", high)) if bound is not None]
        named = [name for name in items if self.chance.random() < 0.5]
        query: dict[str, Any] = {"min_score": low if low is None else str(self.oracle.number(low))}
        query |= {"max_score": high if high is None else str(self.oracle.number(high))}
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
        for name, figure in self.oracle.figures(low, high, named, bins, percents, between).items():
            actual = answer[name]
            if name == "percentiles":
                # Interpolated ones are rounded once, to a double.
                actual, figure = (
                    {percent: score if score is None else float(score) for percent, score in scores.items()}
                    for scores in (actual, figure)
                )
            assert (float(actual) if isinstance(figure, float) else actual) == figure, (name, figure, answer)

    def bounds(self) -> None:
        """How many lie within bounds, and they themselves, page by page."""
        low, high, named, query = self.some_bounds()
        ranking, limit, offset = self.chance.choice(RANKINGS), self.chance.randrange(1, 9), self.chance.randrange(3)
        expected = self.oracle.within(low, high, named, ranking)
        counted = self.get("/count", **query)
        assert (counted["count"], counted["total"]) == (len(expected), len(self.oracle.scores)), counted
        page = self.get(**query, limit=limit, offset=offset, ranking=ranking)
        rows_of_page = rows(page["entries"])
        assert rows_of_page == expected[offset : offset + limit], page
        if any(query.values()):
            assert page["count"] == len(expected), page
        assert (page["next_cursor"] is not None) == (bool(rows_of_page) and rows_of_page[-1] != expected[-1]), page
        while page["next_cursor"]:
            page = self.get(**query, limit=limit, cursor=page["next_cursor"], ranking=ranking)
            rows_of_page += rows(page["entries"])
        assert rows_of_page == expected[offset:], page
        above = self.get(limit=1)["next_cursor"]
        if above:
            page = self.get(**query, limit=limit, cursor=above, ranking=ranking)
            assert rows(page["entries"]) == [row for row in expected if row[0] > 1][:limit], page


def rows(entries: Iterable[dict[str, Any]]) -> list[Row]:
    """As the oracle has them."""
    return [(e["position"], e["rank"], e["user_id"], e["score"]) for e in entries]
