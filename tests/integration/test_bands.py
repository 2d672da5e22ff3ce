"""Bands of one board: which one a user is in by rank, and what each holds; against brute force, wherever it stands."""

from itertools import pairwise
from typing import Any

import httpx
import pytest

from tests.support.sealed_namespace import DAY, RULES, Space
from tests.support.waits import until

BANDS = [("gold", 0.1), ("silver", 0.3), ("bronze", 0.35), ("rest", 1)]
AMOUNTS = [5, 3, 3, 40, 2, 1, 3, 3, 7, 40]


def rules_of(bands: list[tuple[str, float]]) -> list[dict[str, Any]]:
    return [{"name": name, "up_to": up_to} for name, up_to in bands]


def counted(space: Space, window: str, query: str) -> list[dict[str, Any]]:
    """Each band by the whole board: by how many are better, as shares of all."""
    entries = space.board(window, f"limit=1000&ranking=competition{query}")["entries"]
    counts, ends = [], [0, *(up_to for _, up_to in BANDS)]
    for (name, _), (low, high) in zip(BANDS, pairwise(ends), strict=True):
        scores = [entry["score"] for entry in entries if low <= (entry["rank"] - 1) / len(entries) < high]
        least, most = (min(scores), max(scores)) if scores else (None, None)
        counts.append({"name": name, "count": len(scores), "min": least, "max": most})
    return counts


def agree(space: Space, *views: tuple[str, str]) -> list[int]:
    """Compares the answer with a count. Returns the number of users in each band of the first board."""
    for window, query in views:
        body = space.api.get(f"{space.url}/boards/{window}/stats?histogram=2{query}").json()
        assert body["bands"] == counted(space, window, query), (window, query)
        assert sum(band["count"] for band in body["bands"]) == body["count"]
        assert body["band"] is None
    window, query = views[0]
    return [band["count"] for band in counted(space, window, query)]


@pytest.mark.parametrize("rules", RULES, ids=str)
def test_bands_are_ranges_of_the_users_by_rank(
    live_server: Any, api: httpx.Client, names: Any, rules: dict[str, Any]
) -> None:
    space, tag = Space(live_server, api, names.fresh(), **rules, bands=rules_of(BANDS)), names.fresh()
    views = [("all", ""), (DAY, "")] + ([(DAY, "&category=c1")] if rules.get("category_boards") else [])
    assert agree(space, *views[:2]) == [0, 0, 0, 0]
    for i, amount in enumerate(AMOUNTS):
        assert space.grant(f"{tag}-{i}", amount, category=f"c{amount % 2}").status_code == 201
    assert sum(agree(space, *views)) == len(AMOUNTS)
    assert api.post(f"/v1/users/{tag}-0/hide").status_code == 200
    assert sum(agree(space, *views)) == len(AMOUNTS) - 1
    space.seal(DAY)
    closed = views[1:]
    assert sum(agree(space, *closed)) == len(AMOUNTS) - 1
    assert api.post(f"/v1/users/{tag}-3/hide").status_code == 200
    until(lambda: space.board()["total"] == len(AMOUNTS) - 2, "the archive does not close up")
    agree(space, *views)
    assert api.post(f"/v1/users/{tag}-0/unhide").status_code == 200
    assert sum(agree(space, *views)) == len(AMOUNTS) - 1
    for i in range(len(AMOUNTS)):
        assert api.post(f"/v1/users/{tag}-{i}/hide").status_code == 200
    assert agree(space, *closed) == [0, 0, 0, 0]


@pytest.mark.parametrize("total", [6, 10, 12])
def test_a_band_ends_before_the_user_at_exactly_its_share(
    live_server: Any, api: httpx.Client, names: Any, total: int
) -> None:
    space = Space(live_server, api, names.fresh())
    for i in range(total):
        assert space.grant(f"u{i}", i).status_code == 201
    parts = [n for n in range(2, total + 1) if total % n == 0]

    def check(accept_past: str | None) -> None:
        for n in parts:
            space.put(accept_past=accept_past, bands=rules_of([(str(i), i / n) for i in range(1, n + 1)]))
            for window in ("all", DAY):
                bands = api.get(f"{space.url}/boards/{window}/stats").json()["bands"]
                assert [band["count"] for band in bands] == [total // n] * n, (window, n)

    check(None)
    space.seal(DAY)
    check("P7D")


@pytest.mark.parametrize("sealed", [False, True])
def test_a_third_of_six_is_two(live_server: Any, api: httpx.Client, names: Any, sealed: bool) -> None:
    space = Space(live_server, api, names.fresh(), bands=rules_of([("a", 0.3333333333333333), ("b", 1)]))
    for i in range(6):
        assert space.grant(f"u{i}", i).status_code == 201
    if sealed:
        space.seal(DAY)
    bands = api.get(f"{space.url}/boards/{DAY}/stats").json()["bands"]
    assert [band["count"] for band in bands] == [2, 4]


@pytest.mark.parametrize("order", ["desc", "asc"])
def test_a_standing_tells_the_band(live_server: Any, api: httpx.Client, names: Any, order: str) -> None:
    space = Space(live_server, api, names.fresh(), order=order, bands=rules_of(BANDS))
    sign = 1 if order == "desc" else -1
    for i, amount in enumerate(AMOUNTS):
        assert space.grant(f"u{i}", sign * amount).status_code == 201

    def bands() -> dict[int, set[str | None]]:
        answers = [api.get(f"{space.url}/users/u{i}").json()["ranks"]["all"] for i in range(len(AMOUNTS))]
        return {
            amount: {rank["band"] for rank, one in zip(answers, AMOUNTS, strict=True) if one == amount}
            for amount in sorted(set(AMOUNTS), reverse=True)
        }

    # Better than 40: none of ten; than 7: two, 5: three, 3: four, 2: eight, 1: nine.
    assert list(bands().values()) == [{"gold"}, {"silver"}, {"bronze"}, {"rest"}, {"rest"}, {"rest"}]
    space.put(bands=[])
    assert list(bands().values()) == [{None}] * 6
    assert api.get(f"{space.url}/boards/all/stats").json()["bands"] == []
