"""Why a score is what it is: the grants behind it, page by page, and the score, both of one seq of the ledger."""

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import psycopg
import pytest

from tests.support.correction_driver import Space

SEASON = {"name": "s", "starts": "2031-01-05T01:02:03.000004Z", "ends": "2031-02-03T04:05:06.000007Z"}
BEGAN = datetime(2031, 1, 1, tzinfo=UTC)
DAYS = 60


@pytest.fixture
def db(live_server: Any) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(live_server.postgres.url, autocommit=True) as connection:
        yield connection


def moment(rng: random.Random) -> datetime:
    """Some at the season's very edges, many alike."""
    edges = (datetime.fromisoformat(SEASON["starts"]), datetime.fromisoformat(SEASON["ends"]))
    if rng.random() < 0.2:
        return rng.choice(edges) + rng.choice((-1, 0, 1)) * timedelta(microseconds=1)
    return BEGAN + timedelta(hours=rng.randrange(DAYS * 24))


def fill(space: Space, rng: random.Random) -> None:
    """Grants of one user, half of them voided, some moved and edited, and a few of another's."""
    grants = [
        {"grant_id": f"g{i}", "user_id": "ann" if i % 10 else "ben", "amount": rng.randrange(-9, 30)}
        | {"granted_at": moment(rng).isoformat(), "category": rng.choice(("red", "blue"))}
        for i in range(400)
    ]
    grants.sort(key=lambda grant: str(grant["granted_at"]))
    assert space.api.post(f"{space.url}/grants", json=grants).json()["rejected"] == 0
    corrections: list[dict[str, Any]] = [{"grant_id": f"g{i}", "op": "void"} for i in rng.sample(range(400), 200)]
    corrections += [
        {"grant_id": f"g{i}", "op": "edit", "amount": rng.randrange(40)} for i in rng.sample(range(400), 40)
    ]
    corrections += [
        {"grant_id": f"g{i}", "op": "edit", "granted_at": moment(rng).isoformat()} for i in rng.sample(range(400), 40)
    ]
    corrections += [{"grant_id": f"g{i}", "op": "restore"} for i in rng.sample(range(400), 40)]
    space.api.post(f"{space.url}/corrections", json=corrections).raise_for_status()


def pages(api: httpx.Client, path: str, window: str, limit: int) -> tuple[Any, list[dict[str, Any]]]:
    """The score that every page tells, and the grants of all of them."""
    grants_of_pages: list[dict[str, Any]] = []
    query: dict[str, Any] = {"window": window, "limit": limit}
    while True:
        body = api.get(path, params=query).raise_for_status().json()
        assert body["lag_seq"] == 0
        assert len(body["grants"]) <= limit
        grants_of_pages += body["grants"]
        if body["next_cursor"] is None:
            return body["score"], grants_of_pages
        query["cursor"] = body["next_cursor"]


LIVE = """
SELECT DISTINCT ON (l.grant_id) l.grant_id, l.amount, l.granted_at, l.voided, l.windows, f.seq
FROM ledger l JOIN ledger f ON f.namespace_id = l.namespace_id AND f.grant_id = l.grant_id AND f.revision = 1
JOIN namespaces n ON n.id = l.namespace_id JOIN users u ON u.number = l.user_number
WHERE n.name = %s AND u.name = 'ann' ORDER BY l.grant_id, l.revision DESC
"""


@pytest.mark.parametrize(
    ("aggregation", "order"), [("sum", "desc"), ("latest", "desc"), ("best", "desc"), ("best", "asc")]
)
def test_pages_and_score_are_those_of_the_ledger(
    api: httpx.Client, live_server: Any, db: psycopg.Connection[Any], aggregation: str, order: str
) -> None:
    rng = random.Random(f"{aggregation} {order}")
    rules = {"aggregation": aggregation, "order": order, "seasons": [SEASON], "timezone": "America/New_York"}
    space = Space(api, **rules, accept_past=None, accept_future=None)
    fill(space, rng)
    live_server.wait_flushed()
    rows = db.execute(LIVE, (space.name,)).fetchall()
    for window in ("all", "2031-01", "2031-W03", "2031-01-10", "season:s", "2031-05"):
        live = [
            (at, seq, name, value) for name, value, at, voided, windows, seq in rows if not voided and window in windows
        ]
        live.sort(reverse=True)
        values = [value for *_, value in live]
        score = None
        if live:
            score = {"sum": sum(values), "latest": values[0], "best": (min if order == "asc" else max)(values)}[
                aggregation
            ]
        expected = {"sum": live, "latest": live[:1], "best": [row for row in live if row[3] == score]}[aggregation]
        reply = pages(api, f"{space.url}/users/ann/explain", window, rng.choice((1, 7, 1000)))
        assert reply[0] == score, window
        assert [(g["grant_id"], g["seq"], g["amount"]) for g in reply[1]] == [(n, s, v) for _, s, n, v in expected], (
            window
        )


def test_a_page_behind_the_last_grant_still_tells_the_score(api: httpx.Client, live_server: Any) -> None:
    space = Space(api, aggregation="latest", accept_past=None)
    space.api.post(f"{space.url}/grants", json=[{"grant_id": f"g{i}", "user_id": "ann", "amount": i} for i in (1, 2)])
    live_server.wait_flushed()
    body = api.get(f"{space.url}/users/ann/explain?limit=1").json()
    assert (body["score"], [g["grant_id"] for g in body["grants"]], body["next_cursor"]) == (2, ["g2"], None)
    other = Space(api, accept_past=None)
    other.api.post(f"{other.url}/grants", json=[{"grant_id": f"g{i}", "user_id": "ann", "amount": i} for i in (1, 2)])
    live_server.wait_flushed()
    cursor = api.get(f"{other.url}/users/ann/explain?limit=1").json()["next_cursor"]
    first = api.get(f"{other.url}/users/ann/explain", params={"cursor": cursor}).json()
    assert (first["score"], [g["grant_id"] for g in first["grants"]]) == (3, ["g1"])
    api.delete(f"{other.url}/grants/g1").raise_for_status()
    live_server.wait_flushed()
    last = api.get(f"{other.url}/users/ann/explain", params={"cursor": cursor}).json()
    assert (last["score"], last["grants"], last["next_cursor"]) == (2, [], None)


def test_who_has_no_grant_is_not_explained(api: httpx.Client, space: str) -> None:
    assert api.get(f"/v1/namespaces/{space}/users/nobody/explain").status_code == 404


def test_a_score_of_a_moment_ago_is_explained(api: httpx.Client, space: str) -> None:
    """The ledger's counts follow its rows: the user's last change is waited for."""
    url = f"/v1/namespaces/{space}"
    for i in range(1, 9):
        api.post(f"{url}/grants", json={"grant_id": f"g{i}", "user_id": "ann", "amount": i}).raise_for_status()
        body = api.get(f"{url}/users/ann/explain").raise_for_status().json()
        assert body["score"] == i * (i + 1) // 2
        assert [grant["grant_id"] for grant in body["grants"]] == [f"g{j}" for j in range(i, 0, -1)]
