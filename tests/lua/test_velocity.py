"""Velocities against a plain log of what was accepted: never looser, and exact where they promise it."""

import random
from datetime import timedelta
from typing import Any

import pytest

from app.model.namespace import Namespace, Rules, Velocity
from app.store import fields, keys
from tests.lua.conftest import P

PER = timedelta(seconds=10)
PER_MICROS = 10_000_000
START = 4_000_000_000_000_000  # beyond the store's own clock: the script's time never falls
USERS = [f"u{i}" for i in range(6)]


def under(partition: Any, *limits: Velocity, version: int = 1, **rules: Any) -> None:
    """The namespace goes by these limits from here on."""
    partition.space = Namespace(7, "race", P, version, Rules(velocity=limits, **rules))
    partition.store.hset(keys.rules(P), "7", str(version))


def at(partition: Any, moment: int, *grant_ids: str, **options: Any) -> list[str]:
    """What becomes of some grants at an instant: the log's last entry says from when on the script's time is."""
    partition.store.hset(keys.meta(P), fields.CLOCK, moment)
    return list(partition.codes(*(partition.entry(grant_id, **options) for grant_id in grant_ids)))


def seconds(count: float) -> int:
    return START + round(count * 1_000_000)


def fields_of(partition: Any, user: str = "otter") -> dict[bytes, bytes]:
    balances = partition.store.hgetall(keys.balances(P, 7) + user)
    return {name: value for name, value in balances.items() if name.startswith(b"r:")}


def test_a_grant_is_taken_once_the_stretch_since_the_one_before_is_over(partition: Any) -> None:
    under(partition, Velocity(PER, 1))
    assert at(partition, seconds(0), "a") == ["applied"]
    assert at(partition, seconds(9.999999), "b") == ["velocity"]
    assert at(partition, seconds(10), "b") == ["applied"]
    assert [at(partition, seconds(20 + i * 10.1), f"c{i}") for i in range(5)] == [["applied"]] * 5


def test_four_in_ten_seconds_are_four(partition: Any) -> None:
    under(partition, Velocity(PER, 4))
    moments = [9.0, 9.2, 9.4, 9.6, 11.0, 12.5, 13.9, 14.8, 18.999999, 19.0, 19.1, 19.2]
    codes = [at(partition, seconds(moment), f"g{moment}")[0] for moment in moments]
    assert codes == ["applied"] * 4 + ["velocity"] * 5 + ["applied", "velocity", "applied"]


def test_neither_duplicates_nor_refusals_count_and_a_void_gives_nothing_back(partition: Any) -> None:
    under(partition, Velocity(PER, 2), amount_max=9)
    assert at(partition, seconds(0), "a", "a", "a") == ["applied", "duplicate", "duplicate"]
    assert at(partition, seconds(1), "big", amount=10) == ["amount_range"]
    assert at(partition, seconds(1), "b", "c", "b") == ["applied", "velocity", "duplicate"]
    assert at(partition, seconds(9), "c") == ["velocity"]
    assert at(partition, seconds(10), "c", "d") == ["applied", "velocity"]


def test_a_change_of_rules_keeps_what_still_holds(partition: Any) -> None:
    minute = timedelta(minutes=1)
    under(partition, Velocity(minute, 3), Velocity(PER, 2))
    assert at(partition, seconds(0), "a", "b", "c") == ["applied", "applied", "velocity"]
    # The other way round, one of them gone, and more of the one that stays: each knows what was taken.
    under(partition, Velocity(PER, 2), Velocity(minute, 3), version=2)
    assert at(partition, seconds(1), "c") == ["velocity"]
    assert at(partition, seconds(10), "c", "d") == ["applied", "velocity"]
    under(partition, Velocity(minute, 5), version=3)
    assert at(partition, seconds(11), "d", "e", "f") == ["applied", "applied", "velocity"]
    # From times to parts and back: parts are stricter by one of them at most, never looser.
    under(partition, Velocity(minute, 66), version=4)
    assert at(partition, seconds(12), *(f"g{i}" for i in range(62))) == ["applied"] * 61 + ["velocity"]
    under(partition, Velocity(minute, 5), version=5)
    assert at(partition, seconds(71.9), "h") == ["velocity"]
    assert at(partition, seconds(73), *(f"i{i}" for i in range(6))) == ["applied"] * 5 + ["velocity"]
    assert set(fields_of(partition)) == {b"r:60000000:t", b"r:10000000:t"}


def test_two_limits_of_one_stretch_are_the_stricter_of_each(partition: Any) -> None:
    under(partition, Velocity(PER, 5, 100), Velocity(PER, 3), Velocity(PER, None, 50))
    assert at(partition, seconds(0), "a", "b", "c", amount=20) == ["applied", "applied", "velocity"]
    assert at(partition, seconds(1), "d", "e", amount=5) == ["applied", "velocity"]


def test_what_a_limit_keeps_stays_small(partition: Any) -> None:
    under(partition, Velocity(PER, 64), Velocity(PER * 2, 10**9), Velocity(PER * 3, None, 10**15 - 1))
    for i in range(200):
        assert at(partition, seconds(i / 5), f"g{i}", amount=10**12) == ["applied"]
    sizes = {name: len(value) for name, value in fields_of(partition).items()}
    assert sizes[b"r:10000000:t"] == 64 * 7 - 14 * 7  # 50 in ten seconds: no older one is worth a byte
    assert max(sizes.values()) == 67 * 7


@pytest.mark.parametrize("limit", [(1, None), (5, None), (64, None), (70, None), (None, 200), (5, 30)], ids=str)
def test_random_times_against_a_plain_log(partition: Any, limit: tuple[int | None, int | None]) -> None:
    """1,700 random grants a limit, 10,000 in all: bursts, lulls, some at one instant, some sent twice."""
    dice, (grants, amount) = random.Random(str(limit)), limit
    under(partition, Velocity(PER, grants, amount))
    accepted: dict[str, list[tuple[int, int]]] = {user: [] for user in USERS}
    moment, sent, refused = START, 0, 0
    pace = 10 / (grants or 40)  # seconds between two grants of one user that just fit
    while sent < 1_700:
        moment += round(1_000_000 * dice.choice([0, 0.2, 1, 3]) * pace * dice.random()) + dice.choice([0, 1])
        if dice.random() < 0.01:
            moment += dice.randrange(5, 15) * 1_000_000
        members = [
            (dice.choice(USERS), f"g{max(0, sent + i - 9 * (dice.random() < 0.1))}", dice.choice([-3, 0, 1, 5, 9]))
            for i in range(8)
        ]
        sent += len(members)
        partition.store.hset(keys.meta(P), fields.CLOCK, moment)
        entries = [partition.entry(f"{user}-{grant_id}", user, points) for user, grant_id, points in members]
        for (user, _, points), code in zip(members, partition.codes(*entries), strict=True):
            if code in ("duplicate", "grant_conflict"):
                continue
            gained = max(0, points)
            exact, wider = (fits(accepted[user], moment, span, gained, limit) for span in (0, PER_MICROS // 64))
            if code == "applied":
                assert exact, (user, moment)
                accepted[user].append((moment, gained))
            else:
                assert code == "velocity"
                assert not wider, (user, moment)
                assert not exact or (grants or 65) > 64 or amount is not None
                refused += 1
    assert refused > 50
    assert sum(map(len, accepted.values())) > 50


def fits(
    log: list[tuple[int, int]], moment: int, wider: int, gained: int, limit: tuple[int | None, int | None]
) -> bool:
    """Whether one more grant is within the limit, by all that was accepted in the stretch behind an instant."""
    within = [points for taken, points in log if taken > moment - PER_MICROS - wider]
    grants, amount = limit
    return (grants is None or len(within) < grants) and (amount is None or sum(within) + gained <= amount)
