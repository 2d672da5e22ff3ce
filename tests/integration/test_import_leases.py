"""While something is imported into a namespace, none of its windows is closed."""

import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.import_run import import_here
from tests.support.sealed_namespace import DAY, MONTH, OLD, Space
from tests.support.waits import until


def test_no_window_is_closed_while_a_lease_holds(live_server: Any, api: httpx.Client, names: Any) -> None:
    space, other = (Space(live_server, api, names.fresh()) for _ in range(2))
    lease = f"{space.url}/imports/i1"
    assert api.put(lease).status_code == api.put(lease).status_code == 200
    for one in (space, other):
        one.grant("ann", 5)
        one.put(accept_past="P7D")
    until(lambda: {DAY, MONTH} <= other.archived(), "the other namespace is not closed")
    assert space.archived() == set()
    assert api.delete(lease).status_code == 204
    until(lambda: {DAY, MONTH} <= space.archived(), "the namespace is not closed behind the lease")


@pytest.mark.parametrize("until_when", ["-1 s", "1 year"], ids=["it is over", "a clock was set back"])
def test_a_lease_of_a_dead_importer_is_over_by_itself(
    live_server: Any, api: httpx.Client, names: Any, until_when: str
) -> None:
    space = Space(live_server, api, names.fresh())
    api.put(f"{space.url}/imports/i1")
    space.sql("UPDATE import_leases SET until = now() + %s::interval WHERE namespace_id = %s", until_when, space.id)
    space.grant("ann", 5)
    space.seal(DAY)
    api.put(f"{space.url}/imports/i2")
    assert space.sql("SELECT name FROM import_leases WHERE namespace_id = %s", space.id) == [("i2",)]


@pytest.mark.parametrize("scope", ["read", "write"])
def test_a_lease_is_an_admins(live_server: Any, api: httpx.Client, space: str, scope: str) -> None:
    headers = {"authorization": f"Bearer {live_server.new_key(f'{scope}:*')}"}
    assert api.put(f"/v1/namespaces/{space}/imports/i1", headers=headers).json()["code"] == "forbidden"


def test_history_comes_in_before_the_windows_are_closed(
    live_server: Any, api: httpx.Client, names: Any, tmp_path: Path
) -> None:
    """Also in no order of time, and into windows that were closed long ago."""
    space = Space(live_server, api, names.fresh(), aggregation="best", streaks=True)
    space.grant("ann", 5)
    space.seal(DAY, MONTH)
    path = tmp_path / "rows.csv"
    days = [f"{OLD:%Y-%m-}{day:02}T10:00:00Z" for day in (9, 3, 7, 1)]
    rows = [f"r{i},u{i % 3},{i},{at}" for i, at in enumerate([*days, OLD.isoformat()] * 20)]
    path.write_text("\n".join(["grant_id,user_id,amount,granted_at", *rows]))
    began = time.monotonic()
    assert import_here(live_server, path, "--namespace", space.name).counts["new"] == 100
    assert time.monotonic() - began < 30
    assert space.sql("SELECT name FROM import_leases WHERE namespace_id = %s", space.id) == []
    space.wait_for(DAY, {"ann": 5, "u0": 99, "u1": 94, "u2": 89})
    until(lambda: {f"{OLD:%Y-%m-}{day:02}" for day in (9, 3, 7, 1)} <= space.archived(), "the days are not closed")
    space.wait_for(f"{OLD:%Y-%m-}09", {"u0": 90, "u1": 85, "u2": 95})
