"""The days of streaks: in a key of their own, a bit each, exact after every correction, on every store alike."""

from datetime import UTC, date, datetime, time, timedelta
from random import Random
from typing import Any

import pytest

from app.model.cell_ops import Cell, correction_entry
from app.model.correction import CorrectionRequest, Edit, GrantState, state_from_entry
from app.model.entry import PlannedEntry
from app.model.micros import to_micros
from app.model.namespace import Namespace, Rules
from app.model.streak import days_of
from app.store import keys

P = 3
KEY = keys.days(P, 7) + "otter"
OTHERS = Cell(1, 1, 1, 0, 1)


@pytest.fixture
def daily(partition: Any) -> Any:
    partition.space = space()
    return partition


def space(**rules: Any) -> Namespace:
    return Namespace(7, "race", P, 1, Rules(streaks=True, periods=("all",), accept_past=None, **rules))


def noon(day: date) -> int:
    return to_micros(datetime.combine(day, time(12), UTC))


def flat(daily: Any, key: str = KEY) -> list[bytes]:
    return [part for pair in daily.store.hgetall(key).items() for part in pair]


def days(daily: Any) -> list[date]:
    return list(days_of(flat(daily)).dates())


def grant(daily: Any, grant_id: str, day: date, **fields: Any) -> PlannedEntry:
    entry: PlannedEntry = daily.entry(grant_id, at=noon(day), **fields)
    return entry


def correct(state: GrantState, after: GrantState, others: list[GrantState], daily: Any) -> PlannedEntry:
    """A correction as it is planned upon all that the user has besides."""
    cells = {name: OTHERS for other in others for name in ("all", *other.labels)}
    verb = "void" if after.voided else "restore" if state.voided else "edit"
    return correction_entry(daily.space, CorrectionRequest(state.grant_id, verb, Edit(), "test"), state, after, cells)  # type: ignore[arg-type]


def test_days_are_few_fields_of_a_key_of_their_own(daily: Any) -> None:
    first = date(2013, 3, 1)
    expected = [first + timedelta(days=n) for n in range(1_500) if n % 7]
    entries = [grant(daily, f"g{day}", day, category="red") for day in expected]
    for start in range(0, len(entries), 300):
        assert set(daily.codes(*entries[start : start + 300])) == {"applied"}
    assert days(daily) == expected
    assert daily.store.hlen(KEY) <= 4
    assert max(map(len, daily.store.hvals(KEY))) <= 64  # longer ones would take a hash of many fields
    assert set(daily.store.hkeys(keys.balances(P, 7) + "otter")) == {
        b"total",
        b"count",
        b"last",
        b"seq",
        b"at",
        b"c:red",
    }


def test_a_namespace_without_streaks_keeps_none(partition: Any) -> None:
    assert partition.codes(partition.entry("g1")) == ["applied"]
    assert not partition.store.exists(KEY)


@pytest.mark.parametrize(
    "day",
    [
        *(date(1900, 1, 1), date(1900, 2, 28), date(1900, 3, 1), date(2000, 2, 29), date(2024, 2, 29)),
        *(date(2023, 12, 31), date(2024, 1, 1), date(2254, 12, 31)),
        *(date.fromordinal(512 * 1443 + n) for n in (-1, 0, 1, 7, 8)),
    ],
    ids=str,
)
def test_every_day_has_its_own_bit(daily: Any, day: date) -> None:
    daily.space = space(accept_future=None)
    assert daily.codes(grant(daily, "g1", day), grant(daily, "g2", day)) == ["applied"] * 2
    assert days(daily) == [day]


@pytest.mark.parametrize("aggregation", ["sum", "best", "latest"])
def test_days_follow_every_correction(daily: Any, aggregation: str) -> None:
    """Of few days with several grants each, so that a day goes with the last of them and comes back with the first."""
    daily.space = space(aggregation=aggregation)
    random = Random(aggregation)
    some = [date(2021, 1, 1) + timedelta(days=random.randrange(700)) for _ in range(12)]
    states: dict[str, GrantState] = {}
    for step in range(200):
        bundle = []
        for i in range(random.choice((1, 1, 4))):
            if len(states) < 20 or random.random() < 0.2:
                entry = grant(daily, f"g{step}-{i}", random.choice(some), category=random.choice(("red", None)))
                states[entry.body.grant_id] = state_from_entry(entry.body, 1)
                bundle.append(entry)
                continue
            before = random.choice(list(states.values()))
            day = random.choice(some)
            if random.random() < 0.5 and not before.voided:
                windows = daily.space.calendar.names_at(noon(day))
                changes: dict[str, Any] = {"granted_at": noon(day), "day": day.isoformat(), "windows": windows}
            else:
                changes = {"voided": not before.voided}
            after = replaced(before, **changes)
            others = [grant for grant in states.values() if not grant.voided and grant.grant_id != before.grant_id]
            bundle.append(correct(before, after, others, daily))
            states[before.grant_id] = replaced(after, revision=before.revision + 1)
        assert set(daily.codes(*bundle)) == {"applied"}
        expected = sorted({str(grant.day) for grant in states.values() if not grant.voided})
        assert [day.isoformat() for day in days(daily)] == expected


def replaced(state: GrantState, **changes: Any) -> GrantState:
    names = GrantState.__struct_fields__
    return GrantState(**{name: changes.get(name, getattr(state, name)) for name in names})


def test_the_last_day_leaves_no_key(daily: Any) -> None:
    entry = grant(daily, "g1", date(2023, 5, 5))
    daily.call(entry)
    state = state_from_entry(entry.body, 1)
    assert daily.codes(correct(state, replaced(state, voided=True), [], daily)) == ["applied"]
    assert not daily.store.exists(KEY)


def test_what_is_planted_there_is_met_before_the_first_write(daily: Any) -> None:
    day = date(2023, 5, 5)
    daily.store.hset(KEY, str(day.toordinal() // 512), b"x" * 65)
    before = daily.dump()
    assert daily.codes(grant(daily, "g1", day)) == ["corrupt"]
    daily.store.delete(KEY)
    daily.store.set(KEY, "not what it should be")
    codes = daily.codes(grant(daily, "g1", day), grant(daily, "g2", day, user="hare"))
    assert codes == ["corrupt", "applied"]
    assert before.keys() - daily.dump().keys() == set()
    assert daily.store.get(KEY) == b"not what it should be"
