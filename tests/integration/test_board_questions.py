"""Questions to a board against a board counted by brute force: open, sealed, and with users hidden before and after."""

import json
import random
from datetime import timedelta
from typing import Any

import httpx
import pytest

from tests.support.board_oracle import Oracle
from tests.support.board_questions import Asker, rows
from tests.support.sealed_namespace import OLD, Space
from tests.support.waits import until

SIZES = (0, 1, 2, 5, 12)
DAYS = [OLD + timedelta(days=n) for n in range(len(SIZES))]
RULES: list[dict[str, Any]] = [
    {},
    {"order": "asc", "ranking": "dense", "scale": 2},
    {"tie_break": "earliest", "scale": 1},
    {"tie_break": "granted_at", "order": "asc", "ranking": "ordinal"},
    {"ranking": "dense", "tie_break": "earliest", "scale": 3, "category_boards": True},
]


class Crowd:
    """A namespace with a board of each size, and what they must say. `hidden`: who is off them."""

    def __init__(self, space: Space, seed: str) -> None:
        self.space, self.chance = space, random.Random(seed)
        self.hidden: set[str] = set()
        self.questions = 0
        self._windows: dict[str, list[tuple[str, int]]] = {}
        for day, size in zip(DAYS, SIZES, strict=True):
            users = [f"{space.name}-{chr(97 + n)}" for n in self.chance.sample(range(26), size)]
            scores = [(user, self.chance.randrange(-4, 5)) for user in users]
            for user, units in scores:
                amount = json.loads(str(Oracle(space.rules, ()).number(units)))
                assert space.grant(user, amount, at=day, category="red").status_code == 201
            self._windows[f"{day:%Y-%m-%d}"] = scores

    @property
    def users(self) -> list[str]:
        return sorted({user for scores in self._windows.values() for user, _ in scores})

    def oracle(self, window: str) -> Oracle:
        shown = [at for at in self._windows[window] if at[0] not in self.hidden]
        return Oracle(self.space.rules, shown)

    def ask(self, window: str) -> Asker:
        return Asker(self.space.api, self.space.url, window, self.oracle(window), self.chance)

    def settle(self) -> None:
        """Waits until every board shows whom it should: archives follow a little later."""

        def shows() -> bool:
            return all(
                rows(self.ask(window).get(limit=100)["entries"]) == self.oracle(window).rows()
                for window in self._windows
            )

        until(shows, "a board does not show whom it should")

    def check(self) -> None:
        for window in self._windows:
            asker = self.ask(window)
            asker.everything()
            self.questions += asker.questions


@pytest.mark.parametrize("rules", RULES, ids=str)
def test_every_question_is_answered_as_by_counting(
    live_server: Any, api: httpx.Client, names: Any, rules: dict[str, Any]
) -> None:
    crowd = Crowd(Space(live_server, api, names.fresh(), **rules), seed=str(rules))

    def ask(user: str, verb: str) -> None:
        assert api.post(f"/v1/users/{user}/{verb}").status_code == 200
        (crowd.hidden.add if verb == "hide" else crowd.hidden.discard)(user)

    crowd.check()
    first, second, *_ = crowd.chance.sample(crowd.users, 2)
    ask(first, "hide")
    crowd.check()
    live_server.wait_flushed()
    crowd.space.seal(*(f"{day:%Y-%m-%d}" for day, size in zip(DAYS, SIZES, strict=True) if size))
    crowd.settle()
    crowd.check()
    ask(second, "hide")
    crowd.settle()
    crowd.check()
    for user in (first, second):
        ask(user, "unhide")
    crowd.settle()
    crowd.check()
    assert crowd.questions > 800


@pytest.mark.parametrize(
    ("path", "field"),
    [
        *((f"at/{text}", "{position}") for text in ("0", "-1", "1.0", "x", "1e3", "1000000000", "٣")),
        *((f"percentile/{text}", "{percentile}") for text in ("-1", "100.1", "1e1", "x", "5.00001", "nan")),
        *((f"rank-of/{text}", "{score}") for text in ("x", "nan", "1_0", "%2B5", "0x1", "٣", "1.")),
        ("rank-of/0.25", "{score}"),
        ("rank-of/1e15", "{score}"),
        *((f"random?n={text}", "?n") for text in ("0", "1001", "x", "-1", "")),
        ("count?min_score=x", "?min_score"),
        ("count?max_score=1.55", "?max_score"),
        ("count?min_score=2&max_score=1.9", "?min_score"),
        ("count?exclusive=min", "?exclusive"),
        ("count?min_score=1&exclusive=both", "?exclusive"),
        ("count?limit=5", "?limit"),
        ("count?category=red", "?category"),
        ("at/1?ranking=best", "?ranking"),
        ("at/1?limit=2", "?limit"),
        ("percentile/5?category=%00", "?category"),
        ("?around=ann&min_score=1", "?min_score"),
        ("?user=ann&max_score=1", "?max_score"),
        ("?as_of=2024-01-01T00:00:00Z&max_score=1", "?max_score"),
    ],
)
def test_nonsense_is_refused_with_its_field(api: httpx.Client, names: Any, path: str, field: str) -> None:
    url = f"/v1/namespaces/{names.fresh()}"
    assert api.put(url, json={"scale": 1}).status_code == 201
    answer = api.get(f"{url}/boards/all{'' if path.startswith('?') else '/'}{path}")
    assert (answer.status_code, answer.json()["code"], answer.json()["field"]) == (422, "invalid", field)


def test_what_is_not_there_is_answered_with_404(api: httpx.Client, space: str) -> None:
    for path in ("at/1", "count", "random", "percentile/50", "rank-of/1"):
        answer = api.get(f"/v1/namespaces/{space}/boards/fortnight/{path}")
        assert (answer.status_code, answer.json()["code"], answer.json()["field"]) == (
            404,
            "board_not_found",
            "{window}",
        )
        answer = api.get(f"/v1/namespaces/no-such/boards/all/{path}")
        assert (answer.status_code, answer.json()["code"]) == (404, "namespace_not_found")
        assert api.post(f"/v1/namespaces/{space}/boards/all/{path}").status_code == 405


def test_an_include_stays_within_the_bounds(api: httpx.Client, space: str) -> None:
    grants = [{"grant_id": user, "user_id": user, "amount": amount} for user, amount in (("ann", 5), ("bob", 3))]
    api.post(f"/v1/namespaces/{space}/grants", json=grants)
    body = api.get(f"/v1/namespaces/{space}/boards/all?max_score=5&exclusive=max&include=updated_at").json()
    assert [(entry["user_id"], entry["position"]) for entry in body["entries"]] == [("bob", 2)]
    assert (body["count"], body["total"]) == (1, 2)
    assert body["entries"][0]["updated_at"]
