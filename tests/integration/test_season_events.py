"""Seasons that begin make one event each, in order, also if no process ran at that time."""

import json
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import psycopg

from tests.support.event_space import Space


def test_a_season_that_begins_makes_one_event(live_server: Any, api: httpx.Client) -> None:
    now = datetime.now(UTC)
    spans = {"over": (-9, -1), "runs": (-1, 9), "comes": (1, 9)}
    seasons = [
        {
            "name": name,
            "starts": (now + timedelta(days=first)).isoformat(),
            "ends": (now + timedelta(days=last)).isoformat(),
        }
        for name, (first, last) in spans.items()
    ]
    space = Space(live_server, api, seasons=seasons)
    deadline = time.monotonic() + 20
    while not (events := space.ask(type="season_opened")["events"]):
        assert time.monotonic() < deadline, "nobody tells"
    space.put(seasons=seasons, display_name="again")
    looked = space.ask()["events"]
    assert [event["season"] for event in events] == ["runs"]
    assert datetime.fromisoformat(events[0]["starts"]) == now - timedelta(days=1)
    assert sum(event["type"] == "season_opened" for event in looked) == 1


def test_seasons_that_began_unseen_make_events_in_order(own_stack: Any) -> None:
    """Two come and go while no persister runs; they are written of before, and time is moved by hand."""
    now = datetime.now(UTC)

    def seasons(days: int) -> list[dict[str, str]]:
        spans = {"second": (20 + days, 25 + days), "first": (10 + days, 15 + days)}
        times = {name: [f"{now + timedelta(day):%Y-%m-%dT%H:%M:%SZ}" for day in span] for name, span in spans.items()}
        return [{"name": name, "starts": starts, "ends": ends} for name, (starts, ends) in times.items()]

    with own_stack.client() as api:
        own_stack.kill("persist")
        space = Space(own_stack, api, seasons=seasons(0))
        with psycopg.connect(own_stack.postgres.url) as db:
            moved = "UPDATE namespaces SET rules = jsonb_set(rules, '{seasons}', %s::jsonb)"
            db.execute(moved, (json.dumps(seasons(-90)),))
        # What is changed beside them leaves them to be told.
        assert space.put(seasons=seasons(-90), display_name="again").status_code == 200
        own_stack.start("persist")
        deadline = time.monotonic() + 20
        while len(events := space.ask(type="season_opened")["events"]) < 2:
            assert time.monotonic() < deadline, "nobody tells"
        assert [event["season"] for event in events] == ["first", "second"]
