"""Where the latest grant counts: grants in any order, by the script alone, and what `verify` says of the times kept."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import httpx
import pytest

from app.store import keys
from app.verify.report import repair_cure
from tests.support.checked_deployment import verify
from tests.support.correction_driver import Space, scores

SINCE = datetime(2024, 5, 1, tzinfo=UTC)


def bodies(random: Random, count: int, users: int) -> list[dict[str, Any]]:
    """Grants in no order of their moments, of which some are the same."""
    return [
        {
            "grant_id": f"g{i}",
            "user_id": f"u{random.randrange(users)}",
            "amount": i,
            "granted_at": (SINCE + timedelta(minutes=random.randrange(60_000))).isoformat(),
            "category": random.choice(("red", "blue", None)),
        }
        for i in range(count)
    ]


def counted(grants: list[dict[str, Any]], user: str, **fields: Any) -> int | None:
    items = [g for g in grants if g["user_id"] == user and all(g[name] == value for name, value in fields.items())]
    return max(items, key=lambda g: (g["granted_at"], g["amount"]))["amount"] if items else None


@pytest.mark.parametrize("users", [1, 20])
def test_a_batch_in_no_order_is_refused_nowhere(api: httpx.Client, users: int) -> None:
    space = Space(api, aggregation="latest", category_boards=True)
    grants = bodies(Random(users), 500, users)
    body = api.post(f"{space.url}/grants", json=grants).json()
    assert (body["applied"], body["rejected"]) == (500, 0)
    known = [f"u{i}" for i in range(users)]
    assert {user: space.user(user)["score"] for user in known} == {user: counted(grants, user) for user in known}
    for user in known:
        names = {g["category"] for g in grants if g["user_id"] == user and g["category"]}
        assert space.user(user)["categories"] == {name: counted(grants, user, category=name) for name in names}
    for day in ("2024-05-03", "2024-05-17", "2024-06-01"):
        of_day = [g for g in grants if g["granted_at"].startswith(day)]
        expected = {user: counted(of_day, user) for user in known if counted(of_day, user) is not None}
        assert space.board(f"{day}?limit=100") == expected


def test_a_grant_that_comes_late_waits_for_no_ledger(own_stack: Any) -> None:
    with own_stack.client() as api:
        space = Space(api, aggregation="latest")
        space.grant("new", 4, granted_at="2024-05-03T00:00:00Z")
        own_stack.kill("postgres")
        late = space.grant("old", 9, granted_at="2024-04-01T00:00:00Z")
        assert (late["status"], late["score"], late["previous_score"]) == ("applied", 4, 4)
        assert (space.board(), space.board("2024-04"), space.board("2024-05")) == (
            *({"otter": 4}, {"otter": 9}, {"otter": 4}),
        )


def test_late_grants_and_corrections_of_one_user_take_turns(api: httpx.Client) -> None:
    space = Space(api, aggregation="latest")
    for i in range(4):
        space.grant(f"g{i}", i, granted_at=f"2024-05-0{i + 1}T00:00:00Z")
    assert scores(space.void("g3")) == (200, "applied", 3, 2, 2)
    assert space.grant("between", 7, granted_at="2024-05-03T12:00:00Z")["score"] == 7
    assert scores(space.edit("g2", amount=8)) == (200, "applied", 7, 7, 2)
    assert scores(space.edit("g0", granted_at="2024-05-03T18:00:00Z")) == (200, "applied", 7, 0, 2)
    assert space.grant("same", 6, granted_at="2024-05-03T18:00:00Z")["score"] == 6
    assert space.grant("older", 5, granted_at="2024-05-03T17:59:59.999999Z")["score"] == 6
    assert scores(space.void("same")) == (200, "applied", 6, 0, 2)
    assert scores(space.restore("g3")) == (200, "applied", 0, 3, 3)
    assert space.grant("last", 5, granted_at="2024-05-03T23:00:00Z")["score"] == 3


class Planted:
    """A deployment of its own with one namespace of the latest, whose times are changed behind everybody's back."""

    def __init__(self, stack: Any, api: httpx.Client, direct: Any) -> None:
        self.stack, self.direct = stack, direct
        space = Space(api, aggregation="latest", category_boards=True)
        space.grant("g1", 5, granted_at="2024-05-03T00:00:00Z", category="red", source="race")
        space.grant("g2", 3, "hare", granted_at="2024-05-02T00:00:00Z")
        space.grant("g3", 4, "mole", granted_at="2024-05-02T00:00:00Z")
        stack.wait_flushed()
        self.name = space.name
        (key,) = direct.keys("lb:*:b:1:all")
        self.p = int(key.split(b"}")[0].split(b"{")[1])

    def verify(self) -> list[str]:
        return [line.removesuffix(f": {repair_cure(self.name)}") for line in verify(self.stack)[1]]


@pytest.fixture
def planted(own_stack: Any) -> Iterator[Planted]:
    with own_stack.client() as api, own_stack.store() as direct:
        yield Planted(own_stack, api, direct)


@pytest.mark.timeout(120)
def test_verify_names_each_time_that_is_not_the_ledgers(planted: Planted) -> None:
    assert planted.verify() == []
    direct, p, name = planted.direct, planted.p, planted.name
    times, otter, at = keys.grant_times(p, 1, "all"), keys.balances(p, 1) + "otter", 1_714_694_400_000_000

    def changed(key: str, field: str, value: str | None) -> list[str]:
        before = direct.hget(key, field)
        direct.hset(key, field, value) if value is not None else direct.hdel(key, field)
        findings = planted.verify()
        direct.hset(key, field, before) if before is not None else direct.hdel(key, field)
        return findings

    assert changed(times, "otter", str(at - 1)) == [
        f"{name}: 'otter', time on board all: {at - 1} in Redis, {at} by the ledger"
    ]
    finding = f"{name}: 'otter', time on board all: "
    assert changed(times, "otter", None)[0] == f"{finding}nothing in Redis, {at} by the ledger"
    assert changed(times, "otter", "abc") == [f"{finding}'abc' in Redis, {at} by the ledger"]
    assert changed(otter, "gc:red", str(at + 1)) == [
        f"{name}: 'otter', time of category red: {at + 1} in Redis, {at} by the ledger"
    ]
    assert changed(otter, "gs:race", None) == [
        f"{name}: 'otter', time of source race: nothing in Redis, {at} by the ledger"
    ]
    assert f"{name}: board all, times: 4 in Redis, 3 by the ledger" in changed(times, "nobody", str(at))
    direct.rename(times, f"{times}:aside")
    direct.set(times, "x")
    assert planted.verify() == [f"{name}: board all, {times}: it is of the type string, not hash"]
    direct.rename(f"{times}:aside", times)
    assert planted.verify() == []
