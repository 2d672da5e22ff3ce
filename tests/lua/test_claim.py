"""What a correction with an Idempotency-Key claims in the script."""

from typing import Any

import msgspec
import pytest

from app.model.entry import PlannedEntry, key_claim
from app.model.entry_kinds import CORRECTION
from app.model.entry_names import entry_id
from app.model.ops import AddToCell, CellOps
from app.store import fields, keys
from tests.lua.conftest import P

EDIT, OTHER = b"e" * 16, b"o" * 16


def correction(entry: PlannedEntry, key: str, request_digest: bytes, revision: int = 2, by: int = 1) -> PlannedEntry:
    body = msgspec.structs.replace(entry.body, kind=CORRECTION.name, revision=revision, entry_amount=0, live_delta=0)
    return PlannedEntry(
        kind=CORRECTION,
        namespace=entry.namespace,
        body=body,
        id=entry_id(CORRECTION, 7, body.grant_id, revision),
        content=request_digest[::-1],
        ops=CellOps(tuple(AddToCell(i, by) for i in range(1, 5))),
        claim=key_claim(7, key, request_digest),
    )


@pytest.fixture
def grants(partition: Any) -> list[PlannedEntry]:
    results = [partition.entry(f"g{i}") for i in range(4)]
    assert partition.codes(*results) == ["applied"] * 4
    return results


def test_a_key_is_claimed_once(partition: Any, grants: list[PlannedEntry]) -> None:
    assert partition.codes(correction(grants[0], "k", EDIT)) == ["applied"]
    before = partition.dump()
    codes = partition.codes(
        *(correction(grants[1], "k", EDIT), correction(grants[1], "k", OTHER), correction(grants[0], "k", OTHER, 3))
    )
    assert codes == ["key_used", "key_conflict", "key_conflict"]
    # The very entry again is what it was, and its revision is not free for another.
    assert partition.codes(correction(grants[0], "k", EDIT)) == ["duplicate"]
    assert partition.codes(correction(grants[0], "free", OTHER)) == ["grant_conflict"]
    assert partition.dump() == before


def test_a_key_is_claimed_once_within_a_call(partition: Any, grants: list[PlannedEntry]) -> None:
    codes = partition.codes(
        *(correction(grants[0], "k", EDIT), correction(grants[1], "k", OTHER), correction(grants[2], "k", EDIT)),
        correction(grants[3], "l", EDIT),
    )
    assert codes == ["applied", "key_conflict", "key_used", "applied"]
    assert partition.store.zscore(keys.board(P, 7, "all"), "otter") == 22


def test_what_is_refused_claims_no_key(partition: Any, grants: list[PlannedEntry]) -> None:
    refused = correction(grants[0], "k", EDIT, by=10**15)
    assert partition.codes(refused, correction(grants[1], "k", OTHER)) == ["score_overflow", "applied"]
    assert partition.codes(refused) == ["key_conflict"]


def test_a_claim_is_known_while_its_generation_is_kept(partition: Any, grants: list[PlannedEntry]) -> None:
    partition.codes(correction(grants[0], "k", EDIT))
    partition.head.generations = "2,1"
    partition.store.hset(keys.meta(P), mapping={"generations": "2,1", fields.COMPLETE_SINCE + "2": 1})
    assert partition.codes(correction(grants[1], "k", OTHER)) == ["key_conflict"]
    assert partition.codes(correction(grants[1], "free", OTHER)) == ["applied"]


def test_a_key_belongs_to_its_namespace(partition: Any, grants: list[PlannedEntry]) -> None:
    partition.codes(correction(grants[0], "k", EDIT))
    other = correction(grants[1], "k", OTHER)
    other.claim = key_claim(8, "k", OTHER)
    assert partition.codes(other) == ["applied"]


def test_a_resent_correction_with_a_key_is_answered_as_applied(partition: Any, grants: list[PlannedEntry]) -> None:
    entry = correction(grants[0], "k", EDIT)
    (first,) = partition.call(entry)
    (again,) = partition.call(entry, resend_after=4)
    assert (first.code, again) == ("applied", first)
