"""Log and ledger say whether a namespace has grants: one in quarantine locks its rules too."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

ODD = {"suspicious": "quarantine", "amount_max": 10, "accept_past": None}
CHANGES: list[tuple[str, Any]] = [
    *(("group", "another"), ("scale", 2), ("aggregation", "best"), ("timezone", "Asia/Tokyo"), ("order", "asc")),
    *(("tie_break", "earliest"), ("category_boards", True), ("streaks", True), ("ranking", "dense")),
]


@pytest.fixture
def client(own_stack: Any) -> Iterator[httpx.Client]:
    with own_stack.client() as client:
        yield client


def grant(client: httpx.Client, name: str, grant_id: str, amount: int, **fields: Any) -> httpx.Response:
    body = {"grant_id": grant_id, "user_id": "otter", "amount": amount, "meta": {"round": 1}} | fields
    return client.post(f"/v1/namespaces/{name}/grants", json=body)


def refused(answer: httpx.Response) -> tuple[int, str, str]:
    body = answer.json()
    return answer.status_code, body.get("code", ""), body.get("field", "")


@pytest.mark.timeout(120)
def test_a_grant_in_quarantine_locks_the_rules(own_stack: Any, client: httpx.Client) -> None:
    """First while it stands in the log alone, then in the ledger alone."""
    own_stack.stop("persist")
    client.put("/v1/namespaces/odd", json=ODD)
    assert grant(client, "odd", "g1", 500).json()["status"] == "quarantined"
    for field, value in CHANGES:
        changed = client.put("/v1/namespaces/odd", json=ODD | {field: value})
        assert refused(changed) == (422, "rule_locked", f"$.{field}")
    own_stack.start("persist")
    own_stack.wait_flushed()
    for field, value in CHANGES:
        changed = client.put("/v1/namespaces/odd", json=ODD | {field: value})
        assert refused(changed) == (422, "rule_locked", f"$.{field}")
    # What was asked for in vain left nothing: the same id with other content is a conflict, and 500 is what counts.
    assert refused(grant(client, "odd", "g1", 400)) == (409, "grant_conflict", "$.grant_id")
    assert client.post("/v1/namespaces/odd/grants/g1/restore").json()["score"] == 500


@pytest.mark.timeout(120)
def test_a_namespace_without_a_row_may_change(own_stack: Any, client: httpx.Client) -> None:
    """Others of its partition have rows in the log and in the ledger."""
    for name in ("full", "free"):
        client.put(f"/v1/namespaces/{name}", json=ODD | {"group": "one"})
    assert grant(client, "full", "g1", 5).status_code == 201
    own_stack.wait_flushed()
    own_stack.stop("persist")
    assert grant(client, "full", "g2", 5).status_code == 201
    assert client.put("/v1/namespaces/free", json=ODD | {"group": "one", "scale": 2}).status_code == 200
    assert client.put("/v1/namespaces/free", json=ODD | {"group": "two"}).status_code == 200


@pytest.mark.timeout(120)
def test_the_ledger_goes_on_after_grants_with_meta_and_another_group(own_stack: Any, client: httpx.Client) -> None:
    """Two partitions of one namespace would meet at one key of the grants' meta, and the whole ledger would wait."""
    client.put("/v1/namespaces/other", json={})
    client.put("/v1/namespaces/odd", json=ODD)
    for i in range(3):
        assert grant(client, "odd", f"g{i}", 500).json()["status"] == "quarantined"
    own_stack.wait_flushed()
    for group in ("a", "b", "c", "d"):
        client.put("/v1/namespaces/odd", json=ODD | {"group": group})
        assert grant(client, "odd", f"of-{group}", 5).status_code == 201
    assert grant(client, "other", "g1", 5).status_code == 201
    own_stack.wait_flushed()
    assert client.get("/v1/namespaces/other/grants/g1").json()["meta"] == {"round": 1}
