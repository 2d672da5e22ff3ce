"""The whole move, as a team does it whose totals have drifted: shadow, import, compare, cut over, back, again."""

import csv
import json
import random
import shlex
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

from app.model.csv_cells import safe_text
from tests.support.command_here import command_here
from tests.support.import_run import import_here
from tests.support.sealed_namespace import Space

USERS, EVENTS = 200, 2_000


class OldSystem:
    """What the team has: events, and a table of totals that has drifted from them."""

    def __init__(self, seed: int) -> None:
        self.dumped_at = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=10)
        chance = random.Random(seed)
        self.events: dict[str, dict[str, Any]] = {}
        self.totals: Counter[str] = Counter()
        for i in range(EVENTS):
            at = self.dumped_at - timedelta(minutes=chance.randrange(5 * 525_600))
            self.write(f"e{i}", f"u{chance.randrange(USERS)}", chance.randrange(-5, 50), at)
        self.drift = {f"u{i}": chance.choice((-3, 4, 40)) for i in range(0, USERS, 20)}
        self.totals.update(self.drift)

    def write(self, event: str, user: str, points: int, at: datetime) -> dict[str, Any]:
        """An event, and the total that it raises; the same as a grant."""
        self.events[event] = {"id": event, "player": user, "points": points, "at": at.isoformat()}
        self.totals[user] += points
        return {"grant_id": event, "user_id": user, "amount": points, "granted_at": at.isoformat()}

    def take_back(self, rows: list[dict[str, Any]]) -> None:
        """Entries of the new system: each by its id and revision, so that none counts twice."""
        for row in rows:
            before = 0 if row["grant_id"] not in self.events else self.events[row["grant_id"]]["points"]
            after = 0 if row["voided"] else row["amount"]
            self.events[row["grant_id"]] = {"points": after}
            self.totals[row["user_id"]] += after - before

    def dump(self, folder: Path) -> tuple[Path, Path]:
        """The events and the totals as CSV."""
        events, totals = folder / "events.csv", folder / "totals.csv"
        with events.open("w", newline="") as file:
            rows = csv.DictWriter(file, ["id", "player", "points", "at"])
            rows.writeheader()
            rows.writerows(event for event in self.events.values() if "id" in event)
        with totals.open("w", newline="") as file:
            csv.writer(file).writerows([("player", "total"), *((safe_text(u), n) for u, n in self.totals.items())])
        return events, totals


def test_a_drifted_system_moves_forth_and_back(live_server: Any, api: httpx.Client, names: Any, tmp_path: Path) -> None:
    space, old = Space(live_server, api, names.fresh(), mode="shadow"), OldSystem(11)
    named = ("--namespace", space.name)

    def run(*words: str) -> Any:
        live_server.wait_flushed(counted=False)
        return command_here(live_server.environment, *words, *named)

    def compare(totals: Path, as_of: datetime, *words: str) -> dict[str, Any]:
        columns = ("--user-column", "player", "--score-column", "total", "--format", "json")
        done = run("compare", str(totals), *columns, "--as-of", as_of.isoformat(), *words)
        result: dict[str, Any] = json.loads(done.stdout)
        assert done.exit_code == (0 if result["is_equal"] else 1)
        return result

    # Shadow: writes go to both systems, some before the dump is taken and some after.
    write = f"{space.url}/grants"
    for i in range(20):
        assert (
            api.post(write, json=old.write(f"early{i}", f"u{i}", 3, old.dumped_at - timedelta(hours=1))).status_code
            == 201
        )
    events, totals = old.dump(tmp_path)
    for i in range(20):
        assert (
            api.post(write, json=old.write(f"late{i}", f"u{i}", 5, old.dumped_at + timedelta(minutes=5))).status_code
            == 201
        )
    # Import: the history, of which the early writes are here already.
    maps = ("--map", "grant_id=id", "--map", "user_id=player", "--map", "amount=points", "--map", "granted_at=at")
    done = import_here(live_server, events, *named, *maps)
    assert (done.code, done.lines[0]) == (0, f"{EVENTS + 20:,} rows: {EVENTS:,} new, 20 there already, 0 refused")
    # Compare: nothing but the drift differs.
    result = compare(totals, old.dumped_at)
    assert result["figures"]["differing"] == len(old.drift)
    assert {row["user_id"]: row["there"] - row["here"] for row in result["differences"]} == old.drift
    assert result["figures"]["missing_here"] == result["figures"]["missing_there"] == 0
    refusal = run("cutover")
    assert (refusal.exit_code, "a score differs by 40, more than 0" in str(refusal.exception)) == (1, True)
    # Cut over: the events are right, and the table is not.
    assert run("cutover", "--max-diff", "40").exit_code == 0
    assert api.post(write, json={"grant_id": "new1", "user_id": "u7", "amount": 9}).status_code == 201
    assert api.patch(f"{write}/e5", json={"amount": 1}).status_code == 200
    assert api.delete(f"{write}/late3").status_code == 200
    # Back: what came since goes to the old system, and nothing is lost.
    _, *words = shlex.split(run("cutover", "--back").stdout)
    since = tmp_path / words.pop()
    assert command_here(live_server.environment, *words, str(since)).exit_code == 0
    old.take_back([json.loads(line) for line in since.read_text().splitlines()])
    for user, drift in old.drift.items():
        old.totals[user] -= drift
    _, totals = old.dump(tmp_path)
    result = compare(totals, datetime.now(UTC))
    assert (result["is_equal"], result["figures"]["tau"]) == (True, 1), result["differences"]
    assert run("cutover").exit_code == 0
    assert run("verify", "--quiet").exit_code == 0
    types = [event["type"] for event in api.get(f"{space.url}/events?type=cut_over&type=cut_back").json()["events"]]
    assert types == ["cut_over", "cut_back", "cut_over"]
