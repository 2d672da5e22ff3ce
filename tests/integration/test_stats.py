"""Statistics over HTTP against brute force over the boards, wherever these stand, and of many namespaces at once."""

import json
from fractions import Fraction
from math import ceil, isclose, sqrt
from typing import Any

import httpx
import msgspec
import pytest
from websockets.sync.client import connect

from tests.support.grant_posts import GOOD, post
from tests.support.live_socket import grant, hear, public, unpacked
from tests.support.sealed_namespace import DAY, MONTH, RULES, Space
from tests.support.waits import until

USERS = ["ann", "bob", "cleo", "dora", "eve", "finn", "gina"]
AMOUNTS = [5, -3, 3, 40, 2, 1, 3]
FIGURES = ("count", "sum", "mean", "stddev", "min", "max", "percentiles", "histogram")


def stats(space: Space, window: str = "all", query: str = "") -> dict[str, Any]:
    answer = space.api.get(f"{space.url}/boards/{window}/stats?{query}")
    return {"status": answer.status_code, **answer.json()}


def check(space: Space, window: str, query: str = "", low: float = -1e9, high: float = 1e9) -> dict[str, Any]:
    """Every figure against the board's scores that lie from `low` to `high`."""
    category = "&category=c1" if "category" in query else ""
    board = space.scores(window, f"limit=1000{category}")
    within = sorted(Fraction(str(score)) for score in board.values() if low <= score <= high)
    figures, n = stats(space, window, query), len(within)
    assert figures["status"] == 200, figures
    assert figures["count"] == n, figures
    if n == 0:
        assert [figures[name] for name in ("sum", "mean", "stddev", "min", "max")] == [0, None, None, None, None]
        assert figures["percentiles"] == {"50": None, "90": None, "99": None}
        return figures
    check_sums(space, figures, within, is_whole="_score" not in query)
    assert (figures["min"], figures["max"]) == (float(within[0]), float(within[-1]))
    worst_first = within[::-1] if space.rules.get("order") == "asc" else within
    for percent, score in figures["percentiles"].items():
        assert score == float(worst_first[ceil(Fraction(percent) * n / 100) - 1]), percent
    if "histogram" in figures:
        bins = figures["histogram"]
        assert (bins[0]["from"], bins[-1]["to"]) == (figures["min"], figures["max"])
        assert [one["to"] for one in bins[:-1]] == [one["from"] for one in bins[1:]]
        for one in bins[:-1]:
            assert one["count"] == sum(one["from"] <= score < one["to"] for score in within)
        assert sum(one["count"] for one in bins) == n
    return figures


def check_sums(space: Space, figures: dict[str, Any], within: list[Fraction], is_whole: bool) -> None:
    """What adds up: the whole board where statistics are kept, any part of it where bounded sums are."""
    mean, has_squares = sum(within) / len(within), is_whole and space.rules.get("statistics", True)
    if has_squares or space.rules.get("bounded_sums"):
        assert (figures["sum"], figures["mean"]) == (float(sum(within)), float(mean))
    else:
        assert (figures["sum"], figures["mean"]) == (None, None)
    if has_squares:
        assert isclose(
            figures["stddev"], sqrt(sum((score - mean) ** 2 for score in within) / len(within)), abs_tol=1e-12
        )
    else:
        assert figures["stddev"] is None


QUERIES: list[tuple[str, float, float]] = [
    ("", -1e9, 1e9),
    ("histogram=4", -1e9, 1e9),
    ("min_score=2&max_score=5&histogram=100", 2, 5),
    ("min_score=2&max_score=5&exclusive=min,max&histogram=1", 2.01, 4.99),
    ("max_score=3", -1e9, 3),
    ("min_score=2e0", 2, 1e9),
    ("min_score=41", 41, 1e9),
]


@pytest.mark.parametrize("rules", RULES, ids=str)
def test_every_figure_is_that_of_the_board(
    live_server: Any, api: httpx.Client, names: Any, rules: dict[str, Any]
) -> None:
    space, tag = Space(live_server, api, names.fresh(), **rules), names.fresh()
    queries = list(QUERIES)
    if rules.get("category_boards"):
        queries += [("category=c1", -1e9, 1e9), ("category=c1&min_score=2&histogram=3", 2, 1e9)]

    def agree() -> list[dict[str, Any]]:
        live_server.wait_flushed()
        return [check(space, window, *query) for window in ("all", DAY, MONTH) for query in queries]

    def figures() -> list[Any]:
        all_figures = [stats(space, window, query) for window in (DAY, MONTH) for query, _, _ in queries]
        return [[one.get(name) for name in FIGURES] for one in all_figures]

    assert agree()[0]["count"] == 0
    for user, amount in zip(USERS, AMOUNTS, strict=True):
        assert space.grant(f"{tag}-{user}", amount, category=f"c{amount % 2}").status_code == 201
    assert space.grant(f"{tag}-bob", 5, category="c1").status_code == 201
    assert agree()[0]["count"] == 7
    assert api.patch(f"{space.url}/grants/g4", json={"amount": 7}).status_code == 200
    assert api.delete(f"{space.url}/grants/g5").status_code == 200
    assert api.post(f"/v1/users/{tag}-ann/hide").status_code == 200
    assert agree()[0]["count"] == 5
    before = figures()
    space.seal(DAY, MONTH)
    assert figures() == before
    assert agree()[0]["count"] == 5
    for verb, user, shown in (("hide", "cleo", 4), ("unhide", "ann", 5), ("unhide", "cleo", 6)):
        assert api.post(f"/v1/users/{tag}-{user}/{verb}").status_code == 200
        until(lambda shown=shown: stats(space, DAY)["count"] == shown, "the archive does not close up")
        assert agree()[0]["count"] == shown
    assert space.grant(f"{tag}-hal", 9, query="?backfill=true", category="c1").status_code == 201
    space.wait_for(DAY, space.scores("all"))
    assert agree()[0]["count"] == 7


def test_what_is_no_question_is_refused(api: httpx.Client, space: str) -> None:
    url = f"/v1/namespaces/{space}/boards"
    for query, field in (
        ("min_score=abc", "?min_score"),
        ("min_score=1_0", "?min_score"),
        ("min_score=NaN", "?min_score"),
        ("max_score=0.5", "?max_score"),
        ("max_score=1000000000000000", "?max_score"),
        ("min_score=2&max_score=1", "?min_score"),
        ("exclusive=min", "?exclusive"),
        ("min_score=1&exclusive=both", "?exclusive"),
        ("histogram=0", "?histogram"),
        ("histogram=101", "?histogram"),
        ("category=red", "?category"),
        ("limit=5", "?limit"),
    ):
        refused = api.get(f"{url}/all/stats?{query}")
        assert (refused.status_code, refused.json()["code"], refused.json().get("field")) == (422, "invalid", field)
    assert api.get(f"{url}/2021-13/stats").json()["code"] == "board_not_found"
    assert api.get("/v1/namespaces/nowhere/boards/all/stats").json()["code"] == "namespace_not_found"
    assert api.get(f"{url}/all/stats", headers={"authorization": ""}).json()["code"] == "unauthorized"


def test_one_score_more_is_another_version(api: httpx.Client, space: str) -> None:
    post(api, space, GOOD)
    url = f"/v1/namespaces/{space}/boards/all"
    first, board = api.get(f"{url}/stats").json(), api.get(url).json()
    assert (first["version"], first["epoch"]) == (board["version"], board["epoch"])
    post(api, space, {**GOOD, "grant_id": "another"})
    assert api.get(f"{url}/stats").json()["version"] > first["version"]


def test_a_namespace_without_statistics_tells_what_its_board_tells(api: httpx.Client, names: Any) -> None:
    name = names.fresh()
    rules = {"statistics": False, "accept_past": None}
    assert api.put(f"/v1/namespaces/{name}", json=rules).json()["statistics"] is False
    post(api, name, {"grant_id": "g1", "user_id": "ann", "amount": 5})
    body = api.get(f"/v1/namespaces/{name}/boards/all/stats").json()
    assert [body[field] for field in ("count", "sum", "mean", "stddev", "min", "max")] == [1, None, None, None, 5, 5]
    assert body["percentiles"] == {"50": 5, "90": 5, "99": 5}
    locked = api.put(f"/v1/namespaces/{name}", json={"accept_past": None})
    assert (locked.json()["code"], locked.json()["field"]) == ("rule_locked", "$.statistics")
    assert api.put(f"/v1/namespaces/{name}", json=rules).status_code == 200
    listed = api.get(f"/v1/stats?prefix={name}").json()["namespaces"]
    assert [(one["percentile"], one["band"], one["count"]) for one in listed if one["namespace"] == name] == [
        (None, None, 1)
    ]


def test_what_is_kept_beside_boards_may_be_given_up(live_server: Any, api: httpx.Client, names: Any) -> None:
    name = names.fresh()
    rules: dict[str, Any] = {"statistics": True, "bounded_sums": True}
    assert api.put(f"/v1/namespaces/{name}", json=rules).status_code == 201
    post(api, name, {"grant_id": "g1", "user_id": "ann", "amount": 5})
    url = f"/v1/namespaces/{name}/boards/all/stats"
    with live_server.store() as direct:
        trees = direct.keys("lb:*:bt:*")
        assert api.get(f"{url}?max_score=9").json()["sum"] == 5
        for rule in rules:
            assert api.put(f"/v1/namespaces/{name}", json=rules | {rule: False}).status_code == 200
            rules[rule] = False
            assert post(api, name, {"grant_id": rule, "user_id": "ann", "amount": 1}).status_code == 201
            locked = api.put(f"/v1/namespaces/{name}", json=rules | {rule: True})
            assert (locked.json()["code"], locked.json()["field"]) == ("rule_locked", f"$.{rule}")
        assert len(direct.keys("lb:*:bt:*")) == len(trees) - 4, "one a board"
        direct.hset(next(iter(set(trees) - set(direct.keys("lb:*:bt:*")))), "0", 5)  # as one that broke off leaves it
        assert api.put(f"/v1/namespaces/{name}", json=rules).status_code == 200
        assert len(direct.keys("lb:*:bt:*")) == len(trees) - 4
    assert [api.get(f"{url}{query}").json()["sum"] for query in ("", "?max_score=9")] == [None, None]


def test_damaged_statistics_are_refused_and_only_they(own_stack: Any) -> None:
    with own_stack.client() as api, own_stack.store() as direct:
        for name in ("damaged", "whole"):
            assert api.put(f"/v1/namespaces/{name}", json={}).status_code == 201
            post(api, name, {"grant_id": "g1", "user_id": "ann", "amount": 5})
        (key,) = direct.keys("lb:*:ns:1")
        request = {"boards": [{"namespace": "damaged"}, {"namespace": "whole"}]}
        for field, planted in (("t:all", "abc"), ("t:all", "10 2"), ("t:all", ""), ("v:all", "abc")):
            before = direct.hget(key, field)
            direct.hset(key, field, planted)
            answer = api.get("/v1/namespaces/damaged/boards/all/stats")
            assert (answer.status_code, answer.json()["code"]) == (503, "recovering"), planted
            boards = api.post("/v1/stats", json=request).json()["boards"]
            assert (boards[0]["error"]["code"], boards[1]["sum"]) == ("recovering", 5)
            direct.hset(key, field, before)


def test_a_sum_beyond_64_bits_is_exact(api: httpx.Client, names: Any) -> None:
    name = names.fresh()
    assert api.put(f"/v1/namespaces/{name}", json={"scale": 3}).status_code == 201
    most = 999_999_999_999.999
    for start in range(0, 20_000, 1000):
        batch = [{"grant_id": f"g{i}", "user_id": f"u{i}", "amount": most} for i in range(start, start + 1000)]
        assert api.post(f"/v1/namespaces/{name}/grants", json=batch).json()["applied"] == 1000
    url = f"/v1/namespaces/{name}/boards/all/stats"
    assert '"sum":19999999999999980' in api.get(url).text
    body = api.get(url).json()
    assert (body["mean"], body["stddev"], body["count"]) == (most, 0, 20_000)
    packed = msgspec.msgpack.decode(api.get(url, headers={"accept": "application/msgpack"}).content)
    assert (packed["sum"], packed["mean"]) == (body["sum"], most)
    assert isinstance(packed["sum"], int)


def test_many_namespaces_side_by_side(live_server: Any, api: httpx.Client, names: Any) -> None:
    prefix = f"topic-{names.fresh()}-"
    bands = [{"name": "top", "up_to": 0.5}, {"name": "rest", "up_to": 1}]
    means = {"a": [10], "b": [1, 2], "c": [7, 9], "d": [], "e": [8, 8], "f": [100]}
    for name, amounts in means.items():
        rules: dict[str, Any] = {"scale": 1 if name == "a" else 0, "bands": bands if name == "b" else []}
        rules |= {"mode": "shadow"} if name == "f" else {}
        rules |= {"periods": ["all", "day"]} if name == "c" else {}
        assert api.put(f"/v1/namespaces/{prefix}{name}", json=rules).status_code == 201
        for i, amount in enumerate(amounts):
            post(api, prefix + name, {"grant_id": f"g{i}", "user_id": f"u{i}", "amount": amount})

    def rows_of(query: str = "", client: httpx.Client = api) -> list[tuple[Any, ...]]:
        answer = client.get(f"/v1/stats?prefix={prefix}{query}")
        assert answer.status_code == 200, answer.text
        fields = ("mean", "percentile", "band")
        return [(one["namespace"][-1], *(one[field] for field in fields)) for one in answer.json()["namespaces"]]

    with live_server.client(live_server.new_key(f"read:{prefix}*")) as reader:
        assert rows_of(client=reader) == [
            ("a", 10, 100, "very-high"),
            ("c", 8, 75, "high"),
            ("e", 8, 75, "high"),
            ("b", 1.5, 25, "rest"),
            ("d", None, None, None),
        ]
        assert rows_of("&band=high", reader) == [("c", 8, 75, "high"), ("e", 8, 75, "high")]
        assert [name for name, *_ in rows_of("&window=week", reader)] == ["a", "e", "b", "d"]
    assert [name for name, *_ in rows_of()] == ["f", "a", "c", "e", "b", "d"], "an admin reads the shadow"
    with live_server.client(None) as anyone:
        assert rows_of(client=anyone) == []
    assert api.get("/v1/stats?limit=5").json()["field"] == "?limit"


@pytest.mark.parametrize("packed", [False, True])
def test_statistics_are_watched(live_server: Any, api: httpx.Client, names: Any, packed: bool) -> None:
    space, user = names.fresh(), names.fresh()
    public(api, space)
    url = live_server.url.replace("http", "ws") + "/v1/live"
    protocol: Any = "leaderboard.v1.msgpack" if packed else "leaderboard.v1"
    ask = {"type": "subscribe", "id": 7, "namespace": space, "view": {"kind": "stats"}}
    with connect(url, subprotocols=[protocol]) as socket:

        def next_frame() -> dict[str, Any]:
            """A frame that tells what a read does."""
            frame = unpacked(socket) if packed else hear(socket)
            read = api.get(f"/v1/namespaces/{space}/boards/all/stats").json()
            assert frame["stats"] == {name: read[name] for name in FIGURES[:-1]}
            assert (frame["id"], frame["version"], frame["total"]) == (7, read["version"], read["count"])
            return frame

        socket.send(msgspec.msgpack.encode(ask) if packed else json.dumps(ask))
        first = next_frame()
        assert (first["type"], first["entries"], first["stats"]["sum"]) == ("snapshot", [], 0)
        for i, amount in enumerate((5, 999_999_999_999_999)):
            grant(api, space, f"g{i}", f"{user}-{i}", amount)
            frame = next_frame()
            assert (frame["type"], frame["from"], frame["upsert"], frame["remove"]) == (
                *("delta", first["version"]),
                *([], []),
            )
            first = frame
        assert frame["stats"]["sum"] == 10**15 + 4
        assert api.post(f"/v1/users/{user}-1/hide").status_code == 200
        assert next_frame()["stats"]["sum"] == 5


@pytest.mark.parametrize(
    ("bands", "field"),
    [
        ([{"name": "a", "up_to": 0.5}], "$.bands[0].up_to"),
        ([{"name": "a", "up_to": 0.5}, {"name": "a", "up_to": 1}], "$.bands[1].name"),
        ([{"name": "a", "up_to": 0.5}, {"name": "b", "up_to": 0.5}], "$.bands[1].up_to"),
        ([{"name": "", "up_to": 1}], "$.bands[0].name"),
        ([{"name": "a", "up_to": 1.5}], "$.bands[0].up_to"),
        ([{"name": "a"}], "$.bands[0].up_to"),
        ([{"name": str(i), "up_to": 1} for i in range(21)], "$.bands"),
    ],
)
def test_bands_are_checked(api: httpx.Client, bands: list[Any], field: str) -> None:
    refused = api.put("/v1/namespaces/refused", json={"bands": bands})
    assert (refused.json()["code"], refused.json()["field"]) == ("invalid", field)
