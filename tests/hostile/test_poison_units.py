"""A heal, a user's state, an archive, a seal, a deletion or a count that always fails: it is named, and it is alone."""

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from app.store import keys
from tests.support.fault_isolation import EMPTY, Isolation, isolation
from tests.support.waits import until

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def iso(poisoned_stack: Any) -> Iterator[Isolation]:
    with isolation(poisoned_stack) as iso:
        yield iso


def number(iso: Isolation, space: str) -> int:
    ((value,),) = iso.sql("SELECT id FROM namespaces WHERE name = %s", space)
    return int(value)


def go_on(iso: Isolation, named: str) -> None:
    """The failing unit is reported, and the grants of both partitions still reach the ledger."""
    until(lambda: named in iso.degraded(), f"{named!r} is not told: {iso.degraded()}")
    for _ in range(2):
        iso.goes_on(iso.well)
        iso.goes_on(iso.sick)
    assert iso.ready()["status"] == "ready"


def test_a_heal_that_fails_keeps_nobody_waiting(iso: Isolation) -> None:
    for grant_id, user in (("twice", "poison"), ("again", "fine")):
        iso.grant(iso.sick, grant_id, user=user)
    iso.stack.wait_flushed()
    iso.stack.stop("persist")
    iso.direct.delete(*iso.direct.keys(f"lb:{{{iso.p}}}:dedup:*"))
    for grant_id, user in (("twice", "poison"), ("again", "fine")):
        iso.grant(iso.sick, grant_id, user=user)
    balances = keys.balances(iso.p, number(iso, iso.sick)) + "poison"
    dump = iso.direct.dump(balances)
    iso.direct.delete(balances)
    iso.direct.set(balances, "spoilt")
    iso.stack.start("persist")
    go_on(iso, f"of partition {iso.p} fails")
    healed = (
        "SELECT u.name FROM dead_letters a JOIN ledger l USING (partition, epoch, seq) JOIN users u ON u.number = "
        "l.user_number WHERE a.healed_seq IS NOT NULL AND l.namespace_id = %s"
    )
    until(lambda: iso.sql(healed, number(iso, iso.sick)) == [("fine",)], "the other heal waits")
    iso.direct.restore(balances, 0, dump, replace=True)
    until(lambda: len(iso.sql(healed, number(iso, iso.sick))) == 2, "what is mended is not healed")
    iso.mended()


def test_a_users_state_that_fails_keeps_nobody_waiting(iso: Isolation) -> None:
    """Redis holds something else where a partition keeps its hidden users."""
    iso.grant(iso.sick, "g1", user="to-hide")
    iso.grant(iso.well, "g1", user="to-hide")
    iso.stack.wait_flushed()
    p = min(EMPTY)
    iso.direct.set(keys.hidden(p), "spoilt")
    try:
        answer = iso.client.post("/v1/users/to-hide/hide")
        assert answer.status_code == 202, answer.text
        go_on(iso, f"of partition {p} fails")
        ((user,),) = iso.sql("SELECT number FROM users WHERE name = 'to-hide'")
        opened = "SELECT pending_partitions FROM visibility_intents WHERE user_number = %s"
        until(lambda: iso.sql(opened, user) == [([p],)], "the other partitions wait")
        assert iso.client.post("/v1/users/goes-on/hide").status_code in (200, 202, 204)
    finally:
        iso.direct.delete(keys.hidden(p))
    until(lambda: iso.sql(opened, user) == [([],)], "what is mended is not done")
    assert iso.client.post("/v1/users/goes-on/unhide").status_code in (200, 202, 204)
    iso.mended()


def sealed(iso: Isolation, space: str, day: str) -> bool:
    sql = 'SELECT archived_at FROM seals WHERE namespace_id = %s AND "window" = %s AND archived_at IS NOT NULL'
    return bool(iso.sql(sql, number(iso, space), day))


DAY = "2024-05-01"
OLD: dict[str, Any] = {"granted_at": f"{DAY}T10:00:00Z"}


def test_an_archive_that_fails_keeps_nobody_waiting(iso: Isolation) -> None:
    beside = iso.space(group=iso.sick)
    for space in (iso.sick, beside):
        iso.grant(space, "g1", **OLD)
    iso.stack.wait_flushed()
    poison = number(iso, iso.sick)
    with iso.raising("XX000", f"new.namespace_id = {poison}", table="archived_boards"):
        for space, group in ((iso.sick, None), (beside, iso.sick)):
            rules = {"accept_past": "P7D", "group": group}
            assert iso.client.put(f"/v1/namespaces/{space}", json=rules).status_code == 200
        go_on(iso, f"archive {poison} {DAY}")
        until(lambda: sealed(iso, beside, DAY), "another namespace's archive waits")
        assert not sealed(iso, iso.sick, DAY)
    until(lambda: sealed(iso, iso.sick, DAY), "what is mended is not archived", 60)
    iso.mended()


def test_a_seal_and_a_head_that_fail_keep_nobody_waiting(iso: Isolation) -> None:
    """The hash of a namespace, and the head of a partition without namespaces, are no hashes."""
    beside = iso.space(group=iso.sick)
    p = max(EMPTY)
    spoilt = iso.space(group=iso.sick)
    assert iso.client.put(f"/v1/namespaces/{spoilt}", json={"group": iso.sick}).status_code == 200
    iso.grant(beside, "g1", **OLD)
    iso.stack.wait_flushed()
    space = keys.namespace(iso.p, number(iso, spoilt))
    meta = iso.direct.dump(keys.meta(p))
    iso.stack.stop("persist")  # which may have read the hash already, and reads it once
    iso.direct.set(space, "spoilt")
    iso.stack.start("persist")
    try:
        rules = {"accept_past": "P7D", "group": iso.sick}
        assert iso.client.put(f"/v1/namespaces/{beside}", json=rules).status_code == 200
        go_on(iso, f"seal of namespace {number(iso, spoilt)}")
        until(lambda: sealed(iso, beside, DAY), "another namespace's window is not sealed")
        iso.direct.hset(keys.meta(p), "generations", "none")
        lost = f"partition {p}: damaged in Redis: {keys.meta(p)}: "
        until(lambda: lost in iso.degraded(), "the head is not told")
        iso.well_goes_on()
    finally:
        iso.direct.delete(space)
        iso.direct.restore(keys.meta(p), 0, meta, replace=True)
    iso.mended()


def test_a_log_that_cannot_be_read_stops_its_partition_alone(iso: Isolation) -> None:
    p = max(EMPTY)
    iso.direct.set(keys.log(p), "spoilt")
    try:
        until(lambda: f"the log of partition {p} stops" in iso.degraded(), "the log is not told")
        iso.well_goes_on()
    finally:
        iso.direct.delete(keys.log(p))
    iso.mended()


def test_a_deletion_that_fails_keeps_no_other_waiting(iso: Isolation) -> None:
    doomed, other = iso.space(), iso.space()
    for space in (doomed, other):
        iso.grant(space, "g1")
    iso.stack.wait_flushed()
    poison = number(iso, doomed)
    iso.sql(
        f"INSERT INTO seals SELECT {poison}, 'x', partition, 1, 1, now(), now() FROM namespaces WHERE id = {poison}"
    )
    gone = "SELECT 1 FROM namespaces WHERE name = %s AND dropped_at IS NOT NULL"
    with iso.raising("XX000", f"old.namespace_id = {poison}", event="DELETE", table="seals"):
        for space in (doomed, other):
            assert iso.client.delete(f"/v1/namespaces/{space}?confirm={space}").status_code == 204
        go_on(iso, f"deletion of namespace {poison}")
        until(lambda: iso.sql(gone, other), "the other deletion waits")
        assert not iso.sql(gone, doomed)
    until(lambda: iso.sql(gone, doomed), "what is mended is not deleted", 60)
    iso.mended()


def test_counts_that_fail_keep_no_other_partition_waiting(iso: Isolation) -> None:
    iso.stack.wait_flushed()
    poison = number(iso, iso.sick)
    with iso.raising("22008", f"new.namespace_id = {poison}", table="user_buckets"):
        iso.grant(iso.sick, "g1")
        go_on(iso, f"counts of partition {iso.p} fail: 22008")
        counted = "SELECT 1 FROM user_buckets WHERE namespace_id = %s"
        until(lambda: iso.sql(counted, number(iso, iso.well)), "another partition is not counted")
    iso.mended()


def test_a_table_that_is_locked_keeps_the_ledger_going(iso: Isolation) -> None:
    """A migration, or a forgotten transaction: everybody's states wait, and no grant does."""
    with psycopg.connect(iso.stack.postgres.url) as db:
        db.execute("LOCK TABLE visibility_intents IN ACCESS EXCLUSIVE MODE")
        go_on(iso, "all states of users fail: 55P03")
    iso.mended()
    until(lambda: "states of users" not in iso.degraded(), "what is mended is told on")
