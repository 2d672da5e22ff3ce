"""`make bench ARGS=live=boards`: 10,000 watched boards in one process, few watchers each, some of which change."""

import os
import time
from typing import Any

import httpx

from tests.benchmarks import live
from tests.conftest import Stack
from tests.support.raw_clients import resident_bytes

SPACES, CATEGORIES = 100, 100
#: Subscriptions of a socket: as many as it may have.
A_SOCKET = 50
#: Boards that change in a second.
RATES = (0, 10, 100, 1_000)
SECONDS = float(os.environ.get("LIVE_SECONDS", "60")) / 3
#: Seconds between two batches of grants.
BATCH_S = 0.1


def boards() -> list[tuple[str, str]]:
    """Namespace and category of each."""
    return [(f"room-{space}", f"c{category}") for space in range(SPACES) for category in range(CATEGORIES)]


def prepare(stack: Stack) -> None:
    """A grant on each board."""
    with stack.client() as client:
        for space in range(SPACES):
            rules = {"category_boards": True, "accept_past": None, "periods": ["all"]}
            client.put(f"/v1/namespaces/room-{space}", json=rules).raise_for_status()
            grants = [
                {
                    "grant_id": f"c{category}-{user}",
                    "user_id": f"u{user}",
                    "amount": user + 1,
                    "category": f"c{category}",
                }
                for category in range(CATEGORIES)
                for user in range(5)
            ]
            client.post(f"/v1/namespaces/room-{space}/grants", json=grants).raise_for_status()


def subscriptions(number: int, watchers: int) -> list[dict[str, Any]]:
    """Those of one socket. watchers: of each board on average; a third has one more, and a third one fewer."""
    every = boards()
    first = number * A_SOCKET
    places = [place for copy in range(watchers + 1) for place in range(len(every)) if place % 3 + watchers - 1 > copy]
    return [
        {
            "type": "subscribe",
            "id": count,
            "namespace": every[place][0],
            "category": every[place][1],
            "view": {"kind": "top", "limit": 10},
        }
        for count, place in enumerate(places[first : first + A_SOCKET])
    ]


def change(client: httpx.Client, rate: int, seconds: float) -> int:
    """So many boards a second, by batches; grants in all."""
    every, sent, began = boards(), 0, time.monotonic()
    while (now := time.monotonic()) - began < seconds:
        due = int((now - began + BATCH_S) * rate) - sent
        batch = [
            {
                "grant_id": f"{began}-{sent + i}",
                "namespace": every[(sent + i) * 7919 % len(every)][0],
                "category": every[(sent + i) * 7919 % len(every)][1],
                "user_id": "u1",
                "amount": 1,
            }
            for i in range(min(due, 1_000))
        ]
        if batch:
            assert client.post("/v1/grants", json=batch).json()["rejected"] == 0
        sent += len(batch)
        time.sleep(max(0.0, now + BATCH_S - time.monotonic()))
    return sent


def measure(stack: Stack, rate: int, crowds: list[Any]) -> tuple[float, float, int]:
    """Cores of the server and of Redis, and frames, while so many boards change in a second."""
    pids = stack.pid("serve"), stack.valkey.pid
    with stack.client() as client:
        change(client, rate, 1.0)
        before, frames = [live.cpu(pid) for pid in pids], sum(crowd.ask("count")["frames"] for crowd in crowds)
        began = time.monotonic()
        change(client, rate, SECONDS)
        took = time.monotonic() - began
        used = [(live.cpu(pid) - then) / took for pid, then in zip(pids, before, strict=True)]
        return used[0], used[1], sum(crowd.ask("count")["frames"] for crowd in crowds) - frames


def main(stack: Stack, watchers: int = 2) -> None:
    """A table: without watchers, and with them."""
    prepare(stack)
    stack.wait_flushed(60)
    plain = {rate: measure(stack, rate, []) for rate in RATES}
    keys = [stack.new_key("read:*") for _ in range(3)]  # one key watches half of all views
    sockets = -(-sum(place % 3 + watchers - 1 for place in range(len(boards()))) // A_SOCKET)
    before = resident_bytes(stack.pid("serve"))
    with (
        live.clients(stack.port, keys[0]) as first,
        live.clients(stack.port, keys[1]) as second,
        live.clients(stack.port, keys[2]) as third,
    ):
        crowds = [first, second, third]
        for number in range(sockets):
            crowds[number * 3 // sockets].ask("connect", count=1, messages=subscriptions(number, watchers))
        time.sleep(5)
        grown = resident_bytes(stack.pid("serve")) - before
        print(
            f"{len(boards()):,} boards, {watchers} watchers each on average, {sockets} sockets: "
            f"{grown / len(boards()) / 1024:.1f} KB of memory a board",
            flush=True,
        )
        for rate in RATES:
            server, store, frames = measure(stack, rate, crowds)
            print(
                f"{rate:5,} boards change a second: server {server:.2f} cores ({plain[rate][0]:.2f} unwatched), "
                f"Redis {store:.2f} ({plain[rate][1]:.2f}); {frames / SECONDS:,.0f} frames/s",
                flush=True,
            )
