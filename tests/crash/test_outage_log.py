"""A store that goes away and comes back is one line each in the log of every process that runs on through it."""

from __future__ import annotations

import json
import re
import time
from collections import Counter
from typing import Any

import pytest

from tests.support.waits import until

#: Seconds that the outage lasts once each process has met it: each tries again several times.
OUTAGE_S = 4.0
#: Seconds in which each process has met it, also on a busy machine.
MET_S_MAX = 30.0
#: Lines of a process's whole log: its start, the outage, and work that failed and went on.
LINES_MAX = 12
PROCESSES = ("serve", "persist")
ABOUT_STORES = re.compile(r"is away|is back|lost|heartbeat")


def lines_of(stack: Any, part: str) -> list[dict[str, Any]]:
    texts = (stack.folder / f"{part}.log").read_text().splitlines()
    return [json.loads(text) for text in texts if text.startswith("{")]


def says(stack: Any, part: str, event: str) -> bool:
    """Whether a process's log holds an event; its last line may be half written."""
    return f'"event": "{event}"' in (stack.folder / f"{part}.log").read_text()


def grant(client: Any, grant_id: str) -> int:
    body = {"grant_id": grant_id, "user_id": "otter", "amount": 1}
    return int(client.post("/v1/namespaces/crash/grants", json=body, timeout=30).status_code)


@pytest.mark.parametrize(("part", "store"), [("postgres", "Postgres"), ("redis", "Redis")])
def test_an_outage_is_one_line_and_its_end_another(own_stack: Any, part: str, store: str) -> None:
    with own_stack.client() as client:
        assert client.put("/v1/namespaces/crash", json={}).status_code == 201
        assert grant(client, "g0") == 201
        own_stack.wait_flushed()
        own_stack.kill(part)

        def meet() -> bool:
            """Asks for what both stores are needed for. Whether each process has said that the store is away."""
            client.get("/readyz", timeout=30)
            client.get("/v1/namespaces/crash/users/otter/grants", timeout=30)
            return all(says(own_stack, process, f"{store} is away") for process in PROCESSES)

        until(meet, f"nobody says that {store} is away", MET_S_MAX)
        over = time.monotonic() + OUTAGE_S
        while time.monotonic() < over:
            meet()
            time.sleep(0.1)
        own_stack.start(part)
        own_stack.wait_ready()
        assert grant(client, "g1") == 201
        assert client.get("/v1/namespaces/crash/users/otter/grants").status_code == 200
        own_stack.wait_flushed()
    for process in PROCESSES:
        lines = lines_of(own_stack, process)

        events = Counter(line["event"] for line in lines)
        about_stores = {event: count for event, count in events.items() if ABOUT_STORES.search(event)}
        assert about_stores == {f"{store} is away": 1, f"{store} is back": 1}, (process, lines)
        assert events.total() <= LINES_MAX, (process, lines)
