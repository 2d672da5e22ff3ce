"""A namespace that Postgres has and Redis was not told of, or is still told of, comes right by itself."""

import pytest

from app.store import keys
from tests.support.fault_isolation import Isolation
from tests.support.waits import until

pytestmark = pytest.mark.timeout(120)


def test_a_namespace_that_redis_had_no_room_for_comes_into_force(iso: Isolation) -> None:
    iso.direct.config_set("maxmemory", "1")
    try:
        answer = iso.client.put("/v1/namespaces/no-room", json={"scale": 2})
        assert (answer.status_code, answer.json()["code"]) == (503, "store_unavailable")
        assert answer.json()["detail"].startswith(
            "the namespace is recorded as asked for, and comes into force by itself"
        )
        assert iso.client.get("/v1/namespaces/no-room").status_code == 404
    finally:
        iso.direct.config_set("maxmemory", "0")
    until(lambda: iso.client.get("/v1/namespaces/no-room").status_code == 200, "it is not published")
    assert iso.grant("no-room", "g1", amount=5)["score"] == 5
    assert iso.client.get("/v1/namespaces/no-room").json()["scale"] == 2


def test_rules_that_were_changed_in_postgres_alone_come_into_force(iso: Isolation) -> None:
    iso.sql(
        "UPDATE namespaces SET rules = rules || '{\"display_name\": \"new\"}', version = nextval('rules_version') "
        "WHERE name = %s",
        iso.sick,
    )
    url = f"/v1/namespaces/{iso.sick}"
    until(lambda: iso.client.get(url).json()["display_name"] == "new", "the rules are not published")
    iso.goes_on(iso.sick)


def test_a_fence_that_was_left_standing_is_taken_away(iso: Isolation) -> None:
    """Without any grant that would meet it."""
    ((number, version),) = iso.sql("SELECT id, nextval('rules_version') FROM namespaces WHERE name = %s", iso.sick)
    rules = keys.rules(iso.p)
    iso.direct.hset(rules, number, version)

    def is_open() -> bool:
        ((value,),) = iso.sql("SELECT version FROM namespaces WHERE id = %s", number)
        return bool(int(iso.direct.hget(rules, number)) == value > version)

    until(is_open, "the fence stands")
    iso.goes_on(iso.sick)


def test_a_deletion_that_is_missing_in_redis_is_known(iso: Isolation) -> None:
    iso.goes_on(iso.sick)
    iso.sql("UPDATE namespaces SET deleted_at = now() WHERE name = %s", iso.sick)
    url = f"/v1/namespaces/{iso.sick}"
    until(lambda: iso.client.get(url).status_code == 404, "it is known to Redis")
    # One of the same name is another one, and stays.
    assert iso.client.put(url, json={}).status_code == 201
    iso.goes_on(iso.sick)
    assert iso.client.get(url).status_code == 200
