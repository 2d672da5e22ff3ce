"""A namespace whose windows a test seals, and what to ask of it."""

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import psycopg

from tests.support.waits import until

TODAY = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0)
OLD = TODAY - timedelta(days=70)
DAY, MONTH = f"{OLD:%Y-%m-%d}", f"{OLD:%Y-%m}"
VIEWS = ["limit=2", "limit=2&offset=1", "around=bob&radius=1", "user=ann&user=dora&user=nobody"]
VIEWS += [f"limit=9&ranking={ranking}" for ranking in ("competition", "dense", "ordinal")]
RULES: list[dict[str, Any]] = [
    {},
    {"order": "asc", "tie_break": "earliest", "bounded_sums": True},
    {"tie_break": "earliest", "ranking": "dense", "category_boards": True, "scale": 1},
    {"aggregation": "best", "ranking": "dense", "bounded_sums": True, "statistics": False},
    {"aggregation": "best", "order": "asc", "category_boards": True, "bounded_sums": True, "tie_break": "granted_at"},
    {"tie_break": "granted_at", "ranking": "ordinal", "category_boards": True},
    {"aggregation": "latest", "ranking": "ordinal", "tie_break": "earliest"},
]


class Space:
    """A namespace whose windows are sealed when the test says so."""

    def __init__(self, stack: Any, api: httpx.Client, name: str, **rules: Any) -> None:
        self.stack, self.api, self.name, self.rules = stack, api, name, rules
        self.url = f"/v1/namespaces/{name}"
        self.put(accept_past=None)
        self.count = 0

    def put(self, **rules: Any) -> None:
        answer = self.api.put(self.url, json=self.rules | rules)
        assert answer.status_code in (200, 201), answer.text

    def grant(self, user: str, amount: int, at: datetime = OLD, query: str = "", **fields: Any) -> httpx.Response:
        self.count += 1
        body = {"grant_id": f"g{self.count}", "user_id": user, "amount": amount, "granted_at": at.isoformat()}
        return self.api.post(f"{self.url}/grants{query}", json=body | fields)

    def board(self, window: str = DAY, query: str = "limit=1000") -> dict[str, Any]:
        answer = self.api.get(f"{self.url}/boards/{window}?{query}")
        return {"status": answer.status_code, **answer.json()}

    def scores(self, window: str = DAY, query: str = "limit=1000") -> dict[str, int]:
        return {entry["user_id"]: entry["score"] for entry in self.board(window, query)["entries"]}

    def seal(self, *windows: str) -> None:
        """Bounds how old a grant may be, and waits until these windows stand in their archives."""
        self.put(accept_past="P7D")
        until(lambda: set(windows) <= self.archived(), f"{windows} are not sealed: {self.archived()}")

    def archived(self) -> set[str]:
        with psycopg.connect(self.stack.postgres.url) as db:
            sql = """SELECT "window" FROM seals s JOIN namespaces n ON n.id = s.namespace_id
                     WHERE n.name = %s AND archived_at IS NOT NULL"""
            return {window for (window,) in db.execute(sql, (self.name,)).fetchall()}

    def sql(self, text: str, *args: Any) -> list[Any]:
        with psycopg.connect(self.stack.postgres.url) as db:
            rows = db.execute(text, args)
            return rows.fetchall() if rows.description else []

    @property
    def id(self) -> int:
        ((value,),) = self.sql("SELECT id FROM namespaces WHERE name = %s", self.name)
        return int(value)

    def keys_of(self, direct: Any, window: str) -> list[bytes]:
        return [key for kind in ("b", "bp", "bs", "bg") for key in direct.keys(f"lb:*:{kind}:{self.id}:{window}*")]

    def wait_for(self, window: str, expected: dict[str, int], query: str = "limit=1000") -> None:
        until(lambda: self.scores(window, query) == expected, f"{self.scores(window, query)} is not {expected}")
