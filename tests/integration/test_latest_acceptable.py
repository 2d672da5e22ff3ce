"""How far ahead a namespace ever let grants in, where nobody recorded it when they came."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import psycopg

from app.drivers.postgres import queries


def reach(stack: Any) -> int:
    with psycopg.connect(stack.postgres.url) as db:
        ((value,),) = db.execute("SELECT latest_acceptable_at FROM namespaces").fetchall()
    return int(value)


def test_a_grant_that_was_in_the_log_at_the_upgrade_keeps_its_season_from_changing(own_stack: Any) -> None:
    now = datetime.now(UTC)
    season = {"name": "cup", "starts": (now + timedelta(hours=10)).isoformat()}
    season["ends"] = (now + timedelta(hours=30)).isoformat()
    with own_stack.client() as api:
        url = "/v1/namespaces/n"
        assert api.put(url, json={"accept_future": "P1D"}).status_code == 201
        own_stack.stop("persist")
        far = now + timedelta(hours=20)
        body = {"grant_id": "far", "user_id": "ann", "amount": 5, "granted_at": far.isoformat()}
        assert api.post(f"{url}/grants", json=body).status_code == 201
        assert api.put(url, json={}).status_code == 200
        with psycopg.connect(own_stack.postgres.url) as db:
            # What the migration finds in a ledger that does not hold the grant yet.
            db.execute("UPDATE namespaces SET latest_acceptable_at = 0")
        own_stack.start("persist")
        own_stack.wait_flushed()
        assert reach(own_stack) == round(far.timestamp() * 1_000_000)
        answer = api.put(url, json={"seasons": [season]})
        assert (answer.status_code, answer.json()["code"], answer.json()["field"]) == (422, "rule_locked", "$.seasons")
        assert api.get(url).json()["seasons"] == []


def test_what_the_rules_let_in_raises_nothing(own_stack: Any) -> None:
    """The rules themselves tell how far that is, so a namespace's row is left alone by its grants."""
    with own_stack.client() as api:
        url = "/v1/namespaces/n"
        assert api.put(url, json={"accept_future": "P1D"}).status_code == 201
        for hours in (1, 20, 23):
            at = datetime.now(UTC) + timedelta(hours=hours)
            body = {"grant_id": f"g{hours}", "user_id": "ann", "amount": 5, "granted_at": at.isoformat()}
            assert api.post(f"{url}/grants", json=body).status_code == 201
            own_stack.wait_flushed()
        assert reach(own_stack) == 0


def test_a_change_that_was_judged_by_a_shorter_reach_is_judged_anew(own_stack: Any) -> None:
    """As when the persister raises it between the look at the old rules and the change."""

    async def change(version: int, reach: int) -> Any:
        connection = await asyncpg.connect(own_stack.postgres.url)
        try:
            args = (1, version, '{"seasons": []}', 0, "me", None, reach, datetime.now(UTC))
            return await connection.fetchval(queries()["update_namespace"], *args)
        finally:
            await connection.close()

    with own_stack.client() as api:
        assert api.put("/v1/namespaces/n", json={}).status_code == 201
    with psycopg.connect(own_stack.postgres.url, autocommit=True) as db:
        db.execute("UPDATE namespaces SET latest_acceptable_at = 1000")
        ((version,),) = db.execute("SELECT version FROM namespaces").fetchall()
    assert asyncio.run(change(version, 999)) is None
    assert asyncio.run(change(version, 1000)) > version
