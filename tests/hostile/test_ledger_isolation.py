"""One row, or one partition, that the ledger cannot take: it is named, and everybody else's grants go on."""

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import psycopg
import pytest

from app.persist.ledger_row import unpack
from app.store import keys
from tests.support.checked_deployment import verify
from tests.support.fault_isolation import Isolation
from tests.support.log_place import log_place
from tests.support.waits import until

pytestmark = pytest.mark.timeout(120)


def test_a_column_that_is_renamed_sets_nothing_aside(iso: Isolation) -> None:
    iso.grant(iso.sick, "before")
    iso.stack.wait_flushed()
    iso.sql("ALTER TABLE ledger RENAME COLUMN session_id TO renamed")
    try:
        iso.grant(iso.sick, "g1", session_id="s1")
        until(lambda: f"partition {iso.p}" in iso.degraded(), "the partition is not named")
        answer = iso.ready()
        assert answer["status"] == "ready"
        assert answer["lag_seq"] == 1
        assert "42703" in iso.degraded()
        assert "session_id" in iso.degraded()
    finally:
        iso.sql("ALTER TABLE ledger RENAME COLUMN renamed TO session_id")
    iso.mended()
    assert iso.letters() == []
    assert iso.ids(iso.sick) == ["before", "g1"]


@pytest.mark.parametrize("state", ["53100", "23514", "40001", "55P03", "57014", "58030"])
def test_a_fault_of_the_store_stops_its_partition_alone(iso: Isolation, state: str) -> None:
    with iso.raising(state, f"new.partition = {iso.p}"):
        for i in range(3):
            iso.grant(iso.sick, f"g{i}")
        iso.well_goes_on()
        until(lambda: f"partition {iso.p} stops: {state}" in iso.degraded(), "the partition is not named")
        iso.well_goes_on()
        assert (iso.letters(), iso.recorded(iso.sick)) == ([], [])
    iso.mended()
    assert iso.letters() == []
    assert iso.ids(iso.sick) == ["g0", "g1", "g2"]


def test_a_partition_that_stops_keeps_no_other_from_being_verified(
    iso: Isolation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.verify.connections.FLUSH_S_MAX", 1.0)
    beside = iso.space(group=iso.sick)
    with iso.raising("53100", f"new.partition = {iso.p}"):
        for space in (iso.sick, beside):
            iso.grant(space, "g1")
        iso.well_goes_on()
        code, lines = verify(iso.stack, *iso.spaces)
        waits = f"not verified: the ledger of partition {iso.p} does not reach seq"
        assert (code, sorted(line.split(": ")[0] for line in lines)) == (1, sorted((iso.sick, beside)))
        assert all(waits in line for line in lines)
    iso.mended()
    assert verify(iso.stack, *iso.spaces) == (0, [])


def test_a_row_that_ends_the_connection_stops_its_partition_alone(iso: Isolation) -> None:
    iso.grant(iso.well, "first")
    iso.stack.wait_flushed()
    with iso.trigger("PERFORM pg_terminate_backend(pg_backend_pid())", f"new.partition = {iso.p}"):
        iso.grant(iso.sick, "g1")
        for _ in range(3):
            iso.well_goes_on()
        until(lambda: f"partition {iso.p}" in iso.degraded(), "the partition is not named")
    iso.mended()
    assert iso.ids(iso.sick) == ["g1"]


def test_a_lock_on_a_namespace_stops_its_partition_alone(iso: Isolation) -> None:
    with psycopg.connect(iso.stack.postgres.url) as db:
        db.execute("SELECT FROM namespaces WHERE name = %s FOR UPDATE", (iso.sick,))
        iso.grant(iso.sick, "g1")
        iso.well_goes_on()
        until(lambda: f"partition {iso.p} stops: 55P03" in iso.degraded(), "the partition is not named")
    iso.mended()
    assert iso.ids(iso.sick) == ["g1"]


@pytest.mark.parametrize("state", ["22P05", "54000", "23505"])
def test_a_row_at_fault_is_set_aside_alone(iso: Isolation, state: str) -> None:
    with iso.raising(state, "new.kind = 'grant' AND new.grant_id = 'bad'"):
        for grant_id in ("g1", "g2", "bad", "g3"):
            iso.grant(iso.sick, grant_id)
        iso.stack.wait_flushed()
    rows = iso.recorded(iso.sick)
    assert [row[0] for row in rows] == ["grant", "grant", "tombstone", "grant"]
    # The tombstone names namespace and user, and what the boards counted by it is in the ledger's sums.
    assert rows[2][2:] == ("otter", 5, 15)
    assert iso.sql(
        "SELECT score, grants FROM standings s JOIN namespaces n ON n.id = s.namespace_id WHERE n.name = %s", iso.sick
    ) == [(20, 4)]
    ((p, cause),) = iso.letters()
    assert (p, cause) == (iso.p, f"{state} planted")
    assert "1 entry could not be recorded" in iso.degraded()


def test_a_key_of_meta_that_is_taken_sets_one_row_aside(iso: Isolation) -> None:
    """What once stopped the ledger of the whole deployment."""
    first = iso.grant(iso.sick, "g1", meta={"a": 1})
    iso.stack.wait_flushed()
    iso.sql(
        "INSERT INTO grant_meta (namespace_id, partition, epoch, seq, meta) "
        "SELECT id, %s, %s, %s, '{}' FROM namespaces WHERE name = %s",
        iso.p,
        first["epoch"],
        first["seq"] + 1,
        iso.sick,
    )
    iso.grant(iso.sick, "g2", meta={"a": 2})
    iso.grant(iso.sick, "g3", meta={"a": 3})
    iso.well_goes_on()
    iso.stack.wait_flushed()
    assert iso.ids(iso.sick) == ["g1", "g3"]
    assert [p for p, _ in iso.letters()] == [iso.p]
    iso.sql("DELETE FROM grant_meta WHERE meta = '{}'")


def test_more_than_ten_dead_letters_in_a_minute_stop_the_partition(iso: Isolation) -> None:
    with iso.raising("22000", f"new.partition = {iso.p} AND new.kind = 'grant'"):
        for i in range(15):
            iso.grant(iso.sick, f"g{i}")
        until(lambda: f"partition {iso.p} stops: more than 10" in iso.degraded(), "the partition does not stop")
        iso.well_goes_on()
        assert len(iso.letters()) == 10
        assert iso.ids(iso.sick) == []
        assert iso.ready()["lag_seq"] == 5
    # An operator may also start the persister anew; by then the minute is over.
    iso.stack.stop("persist")
    iso.sql("UPDATE dead_letters SET created_at = now() - interval '1 hour'")
    iso.stack.start("persist")
    iso.mended()
    assert iso.ids(iso.sick) == [f"g{i}" for i in range(10, 15)]


STRANGE: list[dict[str, Any]] = [
    *(
        {"granted_at": 2**64 - 1},
        {"live_delta": 2**40},
        {"category": "a\0b"},
        {"revision": 2**40},
        {"entry_amount": 2**63},
    ),
    *({"meta": b"\xff"}, {"day": "never"}, {"user": "a\0b"}, {"namespace_id": 2**40}, {"windows": ("all", "a\0b")}),
]


def write_by_hand(iso: Isolation, strange: Callable[[bytes], Sequence[dict[Any, Any]]]) -> int:
    """Writes into the log what a later version, or a hand, may write there, between a grant `first` and a grant `last`.

    strange: the log entries, made of the first grant's packed entry. Returns that grant's seq.
    """
    iso.grant(iso.sick, "first")
    iso.stack.wait_flushed()
    ((_, fields),) = iso.direct.xrevrange(keys.log(iso.p), count=1)
    seq = int(iso.direct.hget(keys.meta(iso.p), "seq"))
    entries = strange(fields[b"e"])
    iso.stack.stop("persist")
    try:
        for i, entry in enumerate(entries, 1):
            iso.direct.xadd(keys.log(iso.p), entry, id=log_place(iso.direct, iso.p, seq + i))
        iso.direct.hset(keys.meta(iso.p), "seq", seq + len(entries))
    finally:
        iso.stack.start("persist")
    iso.grant(iso.sick, "last")
    iso.stack.wait_flushed()
    assert len(iso.letters()) == len(entries)
    return seq


def test_values_that_postgres_cannot_hold_are_set_aside_each(iso: Isolation) -> None:
    def strange(packed: bytes) -> list[dict[Any, Any]]:
        bodies = (
            msgspec.structs.replace(unpack(packed), **{"grant_id": f"x{i}"} | change)
            for i, change in enumerate(STRANGE)
        )
        result = b"1795000000000000 5 5"
        return [{"d": b"x" * 16, "e": msgspec.msgpack.encode(body), "r": result} for body in bodies]

    seq = write_by_hand(iso, strange)
    assert iso.ids(iso.sick) == ["first", "last"]
    rows = iso.sql("SELECT count(*) FROM ledger WHERE partition = %s AND seq > %s AND kind = 'tombstone'", iso.p, seq)
    assert rows == [(len(STRANGE),)]


def test_a_log_entry_that_cannot_be_taken_apart_is_set_aside(iso: Isolation) -> None:
    def strange(packed: bytes) -> list[dict[Any, Any]]:
        later = [*msgspec.msgpack.decode(packed), *[None] * 12]
        later[7] = ["of another kind"]
        body = msgspec.msgpack.encode(later)
        return [
            *({"d": b"", "e": b"\xc1", "r": "soon"}, {"x": "y"}, {"d": b"y" * 16, "e": body}),
            {"d": b"y" * 16, "e": body, "r": b"1795000000000000 9 5"},
        ]

    write_by_hand(iso, strange)
    # What can be read of it names the user all the same.
    assert [row[2:4] for row in iso.recorded(iso.sick) if row[0] == "tombstone"] == [("otter", 0), ("otter", 4)]
