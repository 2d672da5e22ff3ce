"""Namespaces of any rules with any history: what is sent is forgotten, only the ledger knows it."""

from itertools import product
from random import Random
from typing import Any

import httpx
import msgspec

from tests.support.board_oracle import Oracle
from tests.support.moments import ZONES, some_moment

KINDS = list(
    product(
        *(("sum", "best", "latest"), ("desc", "asc"), ("competition", "dense", "ordinal")),
        ("none", "earliest", "granted_at"),
    )
)
STEP = 7  # through the kinds, of which a few in a row are to differ in everything
PERIODS = ("year", "quarter", "month", "week", "day", "hour")
BEGINNINGS = ("00:00", "00:00", "04:00", "02:30", "00:30", "23:45")
CATEGORIES = ("red", "blue", None)
# How far from 0 an amount may be, in scaled units: many ties, few, none.
REACHES = (2, 30, 5 * 10**12)
SEASON = {"name": "s", "starts": "2024-03-31T01:00:00Z", "ends": "2024-10-27T01:00:00Z"}
BANDS = [{"name": "top", "up_to": 0.25}, {"name": "middle", "up_to": 0.6}, {"name": "rest", "up_to": 1}]

_encode = msgspec.json.Encoder(decimal_format="number").encode


def some_rules(chance: Random, kind: int) -> dict[str, Any]:
    """kind: which aggregation, order, ranking and tie-break; every one comes within so many in a row."""
    aggregation, order, ranking, tie_break = KINDS[kind * STEP % len(KINDS)]
    return {
        "aggregation": aggregation,
        "order": order,
        "ranking": ranking,
        "tie_break": tie_break,
        "scale": chance.randrange(7),
        "timezone": chance.choice(ZONES),
        "category_boards": chance.random() < 0.4,
        "periods": ["all", *chance.sample(PERIODS, chance.randrange(4))],
        "week_starts": chance.choice(("monday", "monday", "sunday", "saturday")),
        "day_starts": chance.choice(BEGINNINGS),
        "statistics": chance.random() < 0.8,
        "bounded_sums": chance.random() < 0.6,
        "seasons": [SEASON] if chance.random() < 0.3 else [],
        "bands": chance.choice([[], [], BANDS]),
        "accept_past": None,
        "accept_future": None,
    }


class World:
    """One namespace, and what happens in it."""

    def __init__(self, api: httpx.Client, name: str, rules: dict[str, Any], users: list[str], chance: Random) -> None:
        self.url = f"/v1/namespaces/{name}"
        self._api, self._rules, self._chance = api, rules, chance
        self._reach = chance.choice(REACHES)
        self._users = chance.sample(users, chance.choice((0, 1, 2, 6, len(users))))
        self._names: list[str] = []
        assert api.put(self.url, json=rules).status_code == 201

    def happen(self) -> None:
        """Grants, and corrections of some of them, and of earlier ones."""
        count = self._chance.randrange(1, 120) if self._users else 0
        fresh = [f"g{i}" for i in range(len(self._names), len(self._names) + count)]
        self._send("grants", [self._grant(name) for name in fresh])
        self._names += fresh
        for _ in range(2):
            some = self._chance.sample(self._names, min(len(self._names), 6))
            self._send("corrections", [self._correction(name) for name in some])

    def _grant(self, name: str) -> dict[str, Any]:
        body = {"grant_id": name, "user_id": self._chance.choice(self._users), "amount": self._amount()}
        body |= {"category": self._chance.choice(CATEGORIES)}
        body |= {"opening": True} if self._chance.random() < 0.1 else {}
        return body if self._chance.random() < 0.1 else body | {"granted_at": some_moment(self._chance).isoformat()}

    def _correction(self, grant_id: str) -> dict[str, Any]:
        changes: list[dict[str, Any]] = [
            *({"op": "void"}, {"op": "void"}, {"op": "restore"}),
            {"op": "edit", "amount": self._amount()},
            {"op": "edit", "granted_at": some_moment(self._chance).isoformat()},
            {"op": "edit", "category": self._chance.choice(CATEGORIES)},
        ]
        return {"grant_id": grant_id} | self._chance.choice(changes)

    def _amount(self) -> Any:
        return Oracle(self._rules, ()).number(self._chance.randint(-self._reach, self._reach))

    def _send(self, path: str, bodies: list[dict[str, Any]]) -> None:
        if bodies:
            headers = {"content-type": "application/json"}
            body = self._api.post(f"{self.url}/{path}", content=_encode(bodies), headers=headers).json()
            assert body["rejected"] == 0, body
