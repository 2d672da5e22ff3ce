"""Archives and people: who is not shown is in none, whether they left before the window was sealed or after."""

from typing import Any

import httpx
import pytest

from tests.support.sealed_namespace import DAY, MONTH, RULES, VIEWS, Space
from tests.support.waits import until

GRANTS = [("ann", 5), ("bob", 3), ("cleo", 3), ("dora", 4), ("bob", 2), ("eve", 1), ("finn", 3)]


class Pair:
    """Twice the same, in a namespace that is sealed and in one that never is, with users of their own."""

    def __init__(self, stack: Any, api: httpx.Client, names: Any, rules: dict[str, Any]) -> None:
        self.api, self.rules, self.tag = api, rules, names.fresh()
        self.sealed, self.open = (Space(stack, api, names.fresh(), **rules) for _ in range(2))
        for space in (self.sealed, self.open):
            for user, amount in GRANTS:
                granted = space.grant(self.user(user), amount, category=f"c{amount % 2}")
                assert granted.status_code == 201, granted.text
        stack.wait_flushed()

    def user(self, name: str) -> str:
        return f"{self.tag}-{name}"

    def ask(self, method: str, user: str, verb: str = "") -> None:
        answer = self.api.request(method, f"/v1/users/{self.user(user)}{verb}")
        assert answer.status_code in (200, 204), answer.text

    def agree(self) -> list[int]:
        """Waits until both tell the same; how many stand on each board."""
        views = [(window, view) for window in ("all", DAY, MONTH) for view in VIEWS]
        if self.rules.get("category_boards"):
            views += [(DAY, f"category={category}&limit=9") for category in ("c0", "c1")]
        views = [(window, view.replace("=ann", f"={self.user('ann')}")) for window, view in views]
        views = [(window, view.replace("=bob", f"={self.user('bob')}")) for window, view in views]
        views = [(window, view.replace("=dora", f"={self.user('dora')}")) for window, view in views]

        def board_of(space: Space) -> list[Any]:
            fields = ("total", "entries", "missing", "status", "code")
            boards = [space.board(*view) for view in views]
            pages = [self.pages(space, view) for view in ("limit=2", "limit=3&ranking=dense")]
            return [[{name: board.get(name) for name in fields} for board in boards], pages]

        until(lambda: board_of(self.sealed) == board_of(self.open), f"{board_of(self.sealed)}\n{board_of(self.open)}")
        return [self.sealed.board(window)["total"] for window in ("all", DAY)]

    def pages(self, space: Space, query: str) -> list[Any]:
        """A day's board, page by page."""
        entries, cursor = [], None
        while True:
            page = space.board(DAY, query if cursor is None else f"{query}&cursor={cursor}")
            entries.append(page["entries"])
            cursor = page["next_cursor"]
            if cursor is None:
                return entries


@pytest.mark.parametrize("rules", RULES, ids=str)
def test_an_archive_closes_up(
    live_server: Any, api: httpx.Client, names: Any, direct: Any, rules: dict[str, Any]
) -> None:
    pair = Pair(live_server, api, names, rules)
    pair.ask("POST", "finn", "/hide")
    pair.sealed.seal(DAY, MONTH)
    assert pair.agree() == [5, 5]
    for user in ("bob", "ann"):
        pair.ask("POST", user, "/hide")
        pair.agree()
    assert pair.agree() == [3, 3]
    for user in ("finn", "bob", "ann"):
        pair.ask("POST", user, "/unhide")
        pair.agree()
    assert pair.agree() == [6, 6]
    assert pair.sealed.keys_of(direct, DAY) == []


def test_what_is_granted_behind_a_seal_to_one_who_is_hidden_shows_with_them(
    live_server: Any, api: httpx.Client, names: Any
) -> None:
    pair = Pair(live_server, api, names, {"tie_break": "earliest"})
    pair.sealed.seal(DAY, MONTH)
    pair.ask("POST", "bob", "/hide")
    for space in (pair.sealed, pair.open):
        assert space.grant(pair.user("bob"), 9, query="?backfill=true").status_code == 201
        assert space.grant(pair.user("gina"), 9, query="?backfill=true").status_code == 201
    assert pair.agree() == [6, 6]
    pair.ask("POST", "bob", "/unhide")
    assert pair.agree() == [7, 7]


def test_an_erased_user_is_in_no_archive_and_keeps_no_window_open(
    live_server: Any, api: httpx.Client, names: Any
) -> None:
    pair = Pair(live_server, api, names, {"tie_break": "earliest", "ranking": "dense"})
    pair.ask("DELETE", "eve")
    pair.sealed.seal(DAY, MONTH)
    assert pair.agree() == [5, 5]
    pair.ask("DELETE", "bob")
    assert pair.agree() == [4, 4]
    sums = "SELECT sum(score_delta) FROM ledger WHERE namespace_id = %s"
    assert pair.sealed.sql(sums, pair.sealed.id) == [(sum(amount for _, amount in GRANTS),)]


def test_a_dry_run_tells_of_one_who_is_hidden_behind_a_seal_too(
    live_server: Any, api: httpx.Client, names: Any
) -> None:
    pair = Pair(live_server, api, names, {"periods": ["all", "day"]})
    pair.ask("POST", "dora", "/hide")

    def ops() -> list[tuple[Any, ...]]:
        moves = api.patch(f"{pair.sealed.url}/grants/g4?dry_run=true", json={"amount": 9}).json()["moves"]
        return [(move["window"], move["previous_score"], move["score"], move["rank"]) for move in moves]

    before = ops()
    assert before == [("all", 4, 9, None), (DAY, 4, 9, None)]
    pair.sealed.seal(DAY)
    assert ops() == before
