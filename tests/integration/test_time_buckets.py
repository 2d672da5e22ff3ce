"""Counts by time: any range of any user, exact at both edges, against the ledger worked out row by row."""

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import psycopg
import pytest

from app.model.local_days import LocalDays
from app.model.micros import LATEST
from tests.support.correction_driver import Space
from tests.support.moments import MICRO, some_moment
from tests.support.time_counts import between, boards, check_counts, live, trends


@pytest.fixture
def db(live_server: Any) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(live_server.postgres.url, autocommit=True) as connection:
        yield connection


def number(db: psycopg.Connection[Any], table: str, name: str) -> int:
    column = {"users": "number", "namespaces": "id"}[table]
    row = db.execute(f"SELECT {column} FROM {table} WHERE name = %s", (name,)).fetchone()
    assert row is not None
    return int(row[0])


def fill(space: Space, rng: random.Random, grants: int, corrections: int) -> None:
    """Random grants of five users, then random corrections, many at a time."""
    bodies = [
        {"grant_id": f"g{i}", "user_id": f"u{rng.randrange(5)}", "amount": rng.randrange(-500, 2000) / 4}
        | ({"granted_at": some_moment(rng).isoformat()} if rng.random() < 0.9 else {})
        | ({"opening": True} if rng.random() < 0.2 else {})
        for i in range(grants)
    ]
    for first in range(0, grants, 100):
        answer = space.api.post(f"{space.url}/grants", json=bodies[first : first + 100]).json()
        assert answer["rejected"] == 0, answer
    for _ in range(corrections // 20):
        asks = []
        for name in rng.sample(range(grants), 20):
            verb = rng.choice(("edit", "edit", "move", "void", "void", "restore"))
            changes: dict[str, dict[str, Any]] = {
                "edit": {"amount": rng.randrange(-500, 2000) / 4},
                "move": {"granted_at": some_moment(rng).isoformat()},
            }
            asks.append({"grant_id": f"g{name}", "op": "edit" if verb == "move" else verb} | changes.get(verb, {}))
        body = space.api.post(f"{space.url}/corrections", json=asks).json()
        assert body["rejected"] == 0, body


def crowd(space: Space, rng: random.Random, around: str = "2024-06-01T11:00:00Z") -> None:
    """Many grants of one user in an hour, and corrections before and behind the moment at which it is dense."""
    begins = datetime.fromisoformat(around) - timedelta(minutes=2)
    for part in range(4):
        grants = [
            {
                "grant_id": f"c{part}-{i}",
                "user_id": "crowd",
                "amount": rng.randrange(-500, 2000) / 4,
                "granted_at": (begins + timedelta(microseconds=rng.randrange(240_000_000))).isoformat(),
            }
            for i in range(150)
        ]
        assert space.api.post(f"{space.url}/grants", json=grants).json()["applied"] == 150
        voids: list[dict[str, Any]] = [{"grant_id": f"c{part}-{i}", "op": "void"} for i in range(5)]
        voids += [
            {"grant_id": f"c{part}-{i}", "op": "edit", "granted_at": some_moment(rng).isoformat()} for i in range(5, 10)
        ]
        assert space.api.post(f"{space.url}/corrections", json=voids).json()["rejected"] == 0


def ask(api: httpx.Client, path: str, since: datetime, until: datetime, by: str) -> dict[str, Any]:
    query = {"since": since.isoformat(), "until": until.isoformat(), "by": by}
    answer = api.get(path, params=query)
    assert answer.status_code == 200, answer.text
    assert answer.json()["lag_seq"] == 0
    return dict(answer.json())


# The second is the end of a day of 24 hours and a half.
@pytest.mark.parametrize(
    ("zone", "around"), [("Asia/Kathmandu", "2024-06-01T11:15:00Z"), ("Australia/Lord_Howe", "2024-04-07T13:30:00Z")]
)
def test_a_dense_hour_is_counted_finer_and_as_exactly(
    api: httpx.Client, live_server: Any, db: psycopg.Connection[Any], zone: str, around: str
) -> None:
    rng = random.Random("dense")
    space = Space(api, timezone=zone, scale=2, accept_future=None)
    crowd(space, rng, around)
    live_server.wait_flushed()
    assert check_counts(db, space.name) > 0
    grants = live(db, number(db, "namespaces", space.name))
    sql = (
        "SELECT count(*) FILTER (WHERE is_subdivided), count(*) FILTER (WHERE level = 3) FROM "
        "user_buckets WHERE namespace_id = %s"
    )
    fine, hundredths = db.execute(sql, (number(db, "namespaces", space.name),)).fetchone() or (0, 0)
    assert fine >= 2
    assert hundredths > 200
    edges = (timedelta(), MICRO, -MICRO, timedelta(seconds=1), timedelta(milliseconds=10), timedelta(minutes=1))
    for _ in range(100):
        for by in ("granted", "recorded"):
            since, until = sorted(getattr(rng.choice(grants), by) + rng.choice(edges) for _ in range(2))
            if rng.random() < 0.3:
                until = max(since, until.replace(second=0, microsecond=0))
            expected = between(grants, since, until, by)
            for path in ("users/crowd/activity", "activity"):
                answer = ask(api, f"{space.url}/{path}", since, until, by)
                assert (answer["count"], answer["sum"]) == (expected[0], expected[1] / 100), (by, since, until)


@pytest.mark.parametrize(
    ("zone", "day_starts"),
    [
        *(("America/Havana", "00:00"), ("Australia/Lord_Howe", "00:00")),
        *(("Europe/Berlin", "02:30"), ("Australia/Lord_Howe", "04:00"), ("UTC", "04:00"), ("Asia/Kathmandu", "23:00")),
    ],
)
def test_trends_are_the_brute_force_buckets(
    api: httpx.Client, live_server: Any, db: psycopg.Connection[Any], zone: str, day_starts: str
) -> None:
    rng = random.Random(f"trends {zone}")
    space = Space(api, timezone=zone, day_starts=day_starts, scale=2, accept_future=None)
    local = LocalDays(zone, timedelta(hours=int(day_starts[:2]), minutes=int(day_starts[3:])))
    fill(space, rng, 200, 80)
    live_server.wait_flushed()
    key = number(db, "namespaces", space.name)
    grants = live(db, key)
    for name in ("hour", "day"):
        hour = name == "hour"
        expected, states = trends(grants, local, hour), boards(db, key, local, hour)
        reply, path = [], f"{space.url}/trends?bucket={name}&limit=7"
        while path:
            answer = api.get(path)
            assert answer.headers["lag-seq"] == "0"
            reply += answer.json()
            link = answer.links.get("next")
            path = f"{space.url}/trends{link['url']}" if link else ""
        assert [row["at"] for row in reply] == [f"{at:%Y-%m-%dT%H:%M:%SZ}" for at in sorted(expected)]
        for row, at in zip(reply, sorted(expected), strict=True):
            count, units, users = expected[at]
            assert (row["grants"], row["users"]) == (count, users)
            assert (row["sum"], row["mean"]) == (units / 100, pytest.approx(units / 100 / count))
            known = [state for begins, state in sorted(states.items()) if begins <= at]
            mean = known[-1][0] / 100 / known[-1][1] if known else None
            assert row["board_mean"] == (mean if mean is None else pytest.approx(mean))
    assert check_counts(db, space.name) > 0
    some = sorted(trends(grants, local, False))[2:5]
    query = {"bucket": "day", "since": some[0].isoformat(), "until": (some[2] - MICRO).isoformat()}
    assert len(api.get(f"{space.url}/trends", params=query).json()) == 2


def test_what_a_correction_moves_leaves_one_bucket_and_enters_another(
    api: httpx.Client, live_server: Any, db: psycopg.Connection[Any]
) -> None:
    space = Space(api, accept_future=None)
    space.grant("a", 5, granted_at="2030-05-01T10:59:59.999999Z")
    space.grant("b", 7, granted_at="2030-05-01T11:00:00Z")

    def hours() -> list[Any]:
        live_server.wait_flushed()
        body = api.get(f"{space.url}/trends?bucket=hour").json()
        return [(row["at"][:13], row["grants"], row["sum"], row["users"], row["mean"]) for row in body]

    assert hours() == [("2030-05-01T10", 1, 5, 1, 5), ("2030-05-01T11", 1, 7, 1, 7)]
    assert space.edit("b", granted_at="2030-05-01T10:00:00Z").status_code == 200
    assert hours() == [("2030-05-01T10", 2, 12, 1, 6)]
    assert space.void("a").status_code == 200
    assert hours() == [("2030-05-01T10", 1, 7, 1, 7)]
    assert space.void("b").status_code == 200
    assert hours() == []
    sql = "SELECT score, users FROM board_sums WHERE namespace_id = %s ORDER BY at DESC LIMIT 1"
    assert db.execute(sql, (number(db, "namespaces", space.name),)).fetchone() == (0, 0)  # nobody stands there any more
    assert space.restore("a").status_code == 200
    assert hours() == [("2030-05-01T10", 1, 5, 1, 5)]
    path = f"{space.url}/users/otter/activity"
    since, until = datetime(2030, 5, 1, 10, 59, 59, 999999, UTC), datetime(2030, 5, 1, 11, tzinfo=UTC)
    assert ask(api, path, since, until, "granted")["count"] == 1
    assert ask(api, path, since + MICRO, until, "granted")["count"] == 0
    assert ask(api, path, since - MICRO, since, "granted")["count"] == 0
    assert ask(api, path, datetime.now(UTC), LATEST - MICRO, "granted")["sum"] == 5


def test_a_grant_in_quarantine_counts_once_it_is_restored(api: httpx.Client, live_server: Any) -> None:
    space = Space(api, suspicious="quarantine", amount_max=10)
    space.grant("fine", 5)
    space.grant("odd", 50)
    live_server.wait_flushed()
    path = f"{space.url}/users/otter/activity"
    assert (api.get(path).json()["count"], api.get(path).json()["sum"]) == (1, 5)
    assert space.restore("odd").status_code == 200
    live_server.wait_flushed()
    for by in ("granted", "recorded"):
        body = api.get(f"{path}?by={by}").json()
        assert (body["count"], body["sum"]) == (2, 55)
    (day,) = api.get(f"{space.url}/trends").json()
    assert (day["grants"], day["sum"], day["users"], day["mean"], day["board_mean"]) == (2, 55, 1, 27.5, 55)


def test_who_is_hidden_or_erased_stays_in_every_sum(api: httpx.Client, live_server: Any, db: Any) -> None:
    space = Space(api)
    for user, amount in (("range-hidden", 5), ("range-erased", 7), ("range-shown", 9)):
        space.grant(user, amount, user=user)
    live_server.wait_flushed()
    before = api.get(f"{space.url}/trends?bucket=hour").json()
    assert api.post("/v1/users/range-hidden/hide").status_code in (200, 202)
    assert api.delete("/v1/users/range-erased").status_code in (202, 204)
    live_server.wait_flushed()
    assert api.get(f"{space.url}/trends?bucket=hour").json() == before
    assert api.get(f"{space.url}/activity").json()["sum"] == 21
    assert api.get(f"{space.url}/users/range-hidden/activity").json()["sum"] == 5
    space.grant("more", 1, user="range-hidden")
    live_server.wait_flushed()
    (hour,) = api.get(f"{space.url}/trends?bucket=hour&since={before[0]['at']}").json()[:1]
    assert (hour["users"], hour["sum"], hour["board_mean"]) == (3, 22, pytest.approx(22 / 3))
    assert check_counts(db, space.name) > 0


def test_many_users_at_once_and_those_without_a_grant(api: httpx.Client, live_server: Any) -> None:
    space = Space(api)
    grants = [{"grant_id": f"{i}", "user_id": f"many-{i}", "amount": i} for i in range(500)]
    assert api.post(f"{space.url}/grants", json=grants).json()["applied"] == 500
    live_server.wait_flushed()
    users = [f"many-{i}" for i in range(499, 0, -1)]
    body = api.post(f"{space.url}/activity", json={"users": [*users, "nobody"], "by": "recorded"}).json()
    assert [(user["user_id"], user["count"], user["sum"]) for user in body["users"]] == [
        (user, 1, int(user[5:])) for user in users
    ]
    assert (body["missing"], body["lag_seq"]) == (["nobody"], 0)
    past = {"users": ["many-3"], "until": "2020-01-01T00:00:00Z"}
    assert api.post(f"{space.url}/activity", json=past).json()["users"] == [
        {"user_id": "many-3", "count": 0, "sum": 0},
    ]


def test_sums_have_no_bound(api: httpx.Client, live_server: Any) -> None:
    space = Space(api, aggregation="best", scale=1)
    most = 10**14 - 1
    bodies = [{"grant_id": f"{i}", "user_id": "whale", "amount": most + 0.9} for i in range(1000)]
    for first in range(10):
        named = [body | {"grant_id": f"{first}-{body['grant_id']}"} for body in bodies]
        assert api.post(f"{space.url}/grants", json=named).json()["applied"] == 1000
    live_server.wait_flushed()
    answer = api.get(f"{space.url}/users/whale/activity")
    assert f'"sum":{(10**15 - 1) * 1000}' in answer.text
    (day,) = api.get(f"{space.url}/trends").json()
    assert (day["grants"], day["users"], day["mean"]) == (10_000, 1, 99999999999999.9)


REFUSED = [
    ("/users/otter/activity?since=yesterday", "?since"),
    ("/users/otter/activity?since=2024-01-02T00:00:00Z&until=2024-01-01T00:00:00Z", "?since"),
    ("/users/otter/activity?by=moved", "?by"),
    ("/activity?until=1800-01-01T00:00:00Z", "?until"),
    ("/activity?users=otter", "?users"),
    ("/trends?bucket=minute", "?bucket"),
    ("/trends?cursor=nonsense", "?cursor"),
    ("/trends?limit=0", "?limit"),
]


@pytest.mark.parametrize(("path", "field"), REFUSED)
def test_what_no_range_can_be_is_refused_by_name(api: httpx.Client, space: str, path: str, field: str) -> None:
    answer = api.get(f"/v1/namespaces/{space}{path}")
    assert (answer.status_code, answer.json()["code"], answer.json()["field"]) == (422, "invalid", field)


def test_a_body_is_checked_and_unknown_users_and_namespaces_are_named(api: httpx.Client, space: str) -> None:
    path = f"/v1/namespaces/{space}/activity"
    bodies: list[tuple[dict[str, Any], str]] = [
        ({}, "$.users"),
        ({"users": ["a\u0000"]}, "$.users[0]"),
        ({"users": ["a"] * 501}, "$.users"),
        ({"users": ["a"], "by": "x"}, "$.by"),
        ({"users": ["a"], "since": "2024-01-02T00:00:00Z", "until": "2024-01-01T00:00:00Z"}, "$.since"),
        ({"users": ["a"], "since": "1700-01-02T00:00:00Z"}, "$.since"),
    ]
    for body, field in bodies:
        answer = api.post(path, json=body)
        assert (answer.status_code, answer.json()["field"]) == (422, field), answer.text
    assert api.get(f"/v1/namespaces/{space}/users/nobody/activity").json()["code"] == "user_not_found"
    assert api.get("/v1/namespaces/no-such/trends").json()["code"] == "namespace_not_found"
    assert api.get(f"/v1/namespaces/{space}/trends").json() == []


def test_a_private_namespace_needs_a_key(live_server: Any, space: str) -> None:
    with live_server.client(None) as nobody:
        for path in ("users/otter/activity", "activity", "trends"):
            assert nobody.get(f"/v1/namespaces/{space}/{path}").status_code == 401
