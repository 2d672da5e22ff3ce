"""What `apply.lua` writes to the log and to the dedup hashes is what app/store/log_format.py reads."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import msgspec

from app.model.entry import LogEntry
from app.model.namespace import Namespace, Rules, Velocity
from app.store import keys
from app.store.log_format import LogFields, LogOutcome, dedup_place, parse_place, read_fields, read_outcome
from tests.lua.conftest import P


@dataclass
class Recorded:
    position: tuple[int, int]
    fields: LogFields
    outcome: LogOutcome


def recorded(partition: Any) -> list[Recorded]:
    """The entries of the log as Redis lists their fields."""
    entries = partition.store.xrange(keys.log(P))
    flat = [(stream_id, [part for pair in fields.items() for part in pair]) for stream_id, fields in entries]
    read = [(parse_place(stream_id), read_fields(fields)) for stream_id, fields in flat]
    return [Recorded(position, fields, read_outcome(fields.outcome)) for position, fields in read]


def test_entries_are_read_as_they_were_sent(partition: Any) -> None:
    entries = [partition.entry("g1", amount=5), partition.entry("g2", amount=3)]
    assert partition.codes(*entries) == ["applied", "applied"]
    log = recorded(partition)
    assert [one.position for one in log] == [(1, 1), (1, 2)]
    assert [one.fields.digest for one in log] == [entry.content for entry in entries]
    assert [msgspec.msgpack.decode(one.fields.packed, type=LogEntry) for one in log] == [e.body for e in entries]
    assert [(one.outcome.score, one.outcome.previous) for one in log] == [(5, None), (8, 5)]
    assert all(one.outcome.recorded_at > 0 and not one.outcome.is_quarantined for one in log)


def test_a_grant_in_quarantine_has_the_mark_and_no_score(partition: Any) -> None:
    rules = Rules(velocity=(Velocity(timedelta(hours=1), 1),), suspicious="quarantine")
    partition.space = Namespace(7, "race", P, 1, rules)
    assert partition.codes(partition.entry("g1"), partition.entry("g2", user="owl")) == ["applied", "applied"]
    assert partition.codes(partition.entry("g3")) == ["quarantined"]
    assert [(one.outcome.score, one.outcome.is_quarantined) for one in recorded(partition)][-1] == (5, True)


def test_a_dedup_value_names_the_place_in_the_log(partition: Any) -> None:
    entries = [partition.entry("g1"), partition.entry("g2")]
    partition.call(*entries)
    values = [partition.store.hget(keys.dedup(P, "1"), entry.id) for entry in entries]
    assert [dedup_place(value) for value in values] == [(1, 1), (1, 2)]
