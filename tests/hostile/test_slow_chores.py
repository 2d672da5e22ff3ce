"""A chore that takes long, or waits, holds up no new row: the ledger's connection is for the ledger."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import psycopg
import pytest

from tests.support.sealed_namespace import DAY, Space


@contextmanager
def busy(url: str, table: str) -> Iterator[None]:
    """Whoever asks for a table has to wait."""
    with psycopg.connect(url) as db:
        db.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
        yield


@pytest.mark.parametrize("table", ["archive_rows", "user_buckets", "visibility_intents", "opened_seasons"])
def test_new_rows_reach_the_ledger_while_chores_wait(
    live_server: Any, api: httpx.Client, names: Any, space: str, table: str
) -> None:
    sealed = Space(live_server, api, names.fresh())
    for user in ("ann", "bob"):
        sealed.grant(user, 5)
    sealed.seal(DAY)
    live_server.wait_flushed()
    season = {"name": "s1", "starts": "2020-01-01T00:00:00Z", "ends": "2120-01-01T00:00:00Z"}
    assert api.put(f"/v1/namespaces/{names.fresh()}", json={"seasons": [season]}).status_code == 201
    with busy(live_server.postgres.url, table):
        assert api.patch(f"{sealed.url}/grants/g1", json={"amount": 7}).status_code == 200
        for i in range(3):
            body = {"grant_id": f"g{i}", "user_id": "otter", "amount": 1}
            assert api.post(f"/v1/namespaces/{space}/grants", json=body).status_code == 201
            live_server.wait_flushed(counted=False)
    sealed.wait_for(DAY, {"ann": 7, "bob": 5})
    live_server.wait_flushed()
