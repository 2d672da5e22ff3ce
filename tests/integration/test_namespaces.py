"""Namespaces over HTTP: their rules, and their end."""

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import psycopg
import pytest

from tests.support.grant_posts import GOOD, post, total


def test_unknown_namespace_and_path(api: httpx.Client) -> None:
    answer = post(api, "nowhere", GOOD)
    assert (answer.status_code, answer.json()["code"]) == (404, "namespace_not_found")
    assert api.get("/v1/nothing").status_code == 404
    assert api.delete("/v1/grants").status_code == 405


def test_rules_that_are_not_known_are_refused(api: httpx.Client, space: str) -> None:
    for body, field in (
        ({"ranking": "best"}, "$.ranking"),
        ({"aggregation": "most"}, "$.aggregation"),
        ({"nonsense": 1}, "$.nonsense"),
        ({"scale": 7}, "$.scale"),
        ({"timezone": "Mars/Olympus"}, "$.timezone"),
        ({"timezone": "../../etc/passwd"}, "$.timezone"),
        ({"accept_past": "soon"}, "$.accept_past"),
        ({"amount_min": 2, "amount_max": 1}, "$.amount_min"),
        ({"group": "a b"}, "$.group"),
    ):
        answer = api.put("/v1/namespaces/refused", json=body)
        assert (answer.status_code, answer.json()["code"], answer.json()["field"]) == (422, "invalid", field)
    assert api.put("/v1/namespaces/bad%20name").status_code == 422
    post(api, space, GOOD)
    locked = api.put(f"/v1/namespaces/{space}", json={"scale": 2})
    assert (locked.json()["code"], locked.json()["field"]) == ("rule_locked", "$.scale")
    assert api.put(f"/v1/namespaces/{space}", json={"display_name": "Race"}).status_code == 200
    assert api.get(f"/v1/namespaces/{space}").json()["display_name"] == "Race"
    shown = api.get(f"/v1/namespaces/{space}").json()
    assert (shown["accept_past"], shown["accept_future"], shown["streaks"]) == ("P35D", "PT5M", False)


def test_a_deleted_namespace_starts_clean_when_made_again(api: httpx.Client, space: str) -> None:
    post(api, space, GOOD)
    assert api.delete(f"/v1/namespaces/{space}").status_code == 422
    assert api.delete(f"/v1/namespaces/{space}?confirm={space}").status_code == 204
    assert post(api, space, GOOD).status_code == 404
    assert api.put(f"/v1/namespaces/{space}").status_code == 201
    assert total(api, space) == 0
    assert post(api, space, GOOD).status_code == 201


def test_a_season_stays_where_a_grant_of_earlier_rules_may_lie(api: httpx.Client, space: str) -> None:
    """The bound is shortened first, and the season moved next: what the longer one let in lies there still."""
    url, start = f"/v1/namespaces/{space}", datetime.now(UTC) + timedelta(days=100)
    cup = {"name": "cup", "starts": start.isoformat(), "ends": (start + timedelta(days=9)).isoformat()}
    moved = cup | {"ends": (start + timedelta(days=1)).isoformat()}
    late = cup | {"name": "late", "starts": (start + timedelta(days=300)).isoformat(), "ends": "2250-01-01T00:00:00Z"}
    assert api.put(url, json={"accept_future": "P365D", "seasons": [cup]}).status_code == 200
    ahead = GOOD | {"granted_at": (start + timedelta(days=5)).isoformat()}
    assert post(api, space, ahead).status_code == 201
    for future in ("PT1M", "PT0S"):
        assert api.put(url, json={"accept_future": future, "seasons": [cup]}).status_code == 200
    for seasons in ([moved], [], [cup, moved | {"name": "new"}]):
        refused = api.put(url, json={"accept_future": "PT0S", "seasons": seasons})
        assert (refused.status_code, refused.json()["field"]) == (422, "$.seasons"), seasons
    assert api.put(url, json={"accept_future": "PT0S", "seasons": [cup, late]}).status_code == 200


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        *(("PT3661.123456S", "PT3661.123456S"), ("PT0.000001S", "PT0.000001S"), ("P1DT90S", "P1DT90S")),
        *(("PT7200S", "PT2H"), ("P35D", "P35D"), ("PT0S", "PT0S"), ("PT90M", "PT90M")),
    ],
)
def test_spans_come_back_as_they_were_meant(api: httpx.Client, space: str, given: str, expected: str) -> None:
    answer = api.put(f"/v1/namespaces/{space}", json={"accept_past": given})
    assert answer.json()["accept_past"] == expected


@pytest.mark.parametrize("zone", ["localtime", "Factory", "Mars/Olympus"])
def test_zones_that_mean_nothing_everywhere_are_refused(api: httpx.Client, space: str, zone: str) -> None:
    answer = api.put(f"/v1/namespaces/{space}", json={"timezone": zone})
    assert (answer.status_code, answer.json()["field"]) == (422, "$.timezone")


def test_a_deletion_that_is_missing_in_redis_is_finished_by_the_next(own_stack: Any) -> None:
    own_stack.kill("persist")  # It would finish it by itself.
    with own_stack.client() as api:
        assert api.put("/v1/namespaces/left", json={}).status_code == 201
        own_stack.sql("UPDATE namespaces SET deleted_at = now() WHERE name = 'left'")
        assert api.get("/v1/namespaces/left").status_code == 200
        assert api.delete("/v1/namespaces/left?confirm=left").status_code == 204
        assert api.get("/v1/namespaces/left").status_code == 404
        assert api.delete("/v1/namespaces/left?confirm=left").status_code == 404


def test_a_deleted_namespace_leaves_redis(live_server: Any, api: httpx.Client, space: str) -> None:
    assert post(api, space, GOOD).status_code == 201
    with live_server.store() as direct, psycopg.connect(live_server.postgres.url) as db:
        (number,) = db.execute("SELECT id FROM namespaces WHERE name = %s", (space,)).fetchone() or (None,)

        def keys_left() -> list[bytes]:
            return [*direct.keys(f"lb:*:ns:{number}"), *direct.keys(f"lb:*:[bu]:{number}:*")]

        assert len(keys_left()) == 6  # four boards, the balances of one user, the counters
        assert api.delete(f"/v1/namespaces/{space}?confirm={space}").status_code == 204
        deadline = time.monotonic() + 20
        while keys_left():
            assert time.monotonic() < deadline, "its keys stay"
            time.sleep(0.1)
