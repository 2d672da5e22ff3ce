"""What it costs that a change of the deployment's state asks both stores whether Postgres is the newer one (decision
90): the same changes through a server that asks, and through one that does not, in turns."""

import asyncio
import itertools
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from statistics import median
from typing import Any
from unittest.mock import patch

import httpx

from app.admin.api_keys import create_key
from app.admin.state_gate import CommandGate
from app.server import Server
from app.services import build_services
from app.settings import Settings
from tests.conftest import KEY, Stack

TURNS, PAIRS_A_TURN, KEYS_A_TURN = 5, 30, 20
HEAD = {"authorization": f"Bearer {KEY}"}
RACE = "/v1/namespaces/race"
Change = Callable[[httpx.AsyncClient, int], Awaitable[httpx.Response]]


class NoGate:
    """Asks nothing."""

    def __init__(self, *_: object) -> None:
        pass

    async def check(self) -> None:
        """Nothing is refused."""

    async def note(self) -> None:
        """Nothing is noted."""


@asynccontextmanager
async def server(stack: Stack) -> AsyncIterator[httpx.AsyncClient]:
    settings = Settings(redis_url=stack.redis.url, postgres_url=stack.postgres.url, api_key=KEY, quotas="off")
    one = Server(build_services(settings, 16))
    app = one.app()
    async with one.lifespan(app):  # type: ignore[arg-type]  # of no use to it
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://server", headers=HEAD) as client:
            yield client


async def put_rule(client: httpx.AsyncClient, number: int) -> httpx.Response:
    """A rule with another value each time."""
    return await client.put(RACE, json={"accept_future": f"PT{number % 50 + 1}M"})


async def hide(client: httpx.AsyncClient, number: int) -> httpx.Response:
    """A user with a score is hidden, and shown again."""
    return await client.post(f"/v1/users/otter/{'unhide' if number % 2 else 'hide'}")


async def _turn(asking: httpx.AsyncClient, silent: httpx.AsyncClient, change: Change) -> tuple[float, float]:
    """The median seconds of a change through each of the two, which take turns after every second change."""
    seconds: tuple[list[float], list[float]] = ([], [])
    numbers = itertools.count()
    for _ in range(PAIRS_A_TURN):
        for client, times in zip((asking, silent), seconds, strict=True):
            for number in itertools.islice(numbers, 2):
                began = time.perf_counter()
                (await change(client, number)).raise_for_status()
                times.append(time.perf_counter() - began)
    return median(seconds[0]), median(seconds[1])


async def _key_turn(settings: Settings) -> tuple[float, float]:
    """The same of a new API key, as the command makes it."""
    seconds: tuple[list[float], list[float]] = ([], [])
    for _ in range(KEYS_A_TURN):
        for gate, times in zip((CommandGate, NoGate), seconds, strict=True):
            with patch("app.admin.api_keys.CommandGate", gate):
                began = time.perf_counter()
                await create_key(settings, ["read:*"])
                times.append(time.perf_counter() - began)
    return median(seconds[0]), median(seconds[1])


async def _measure(stack: Stack) -> dict[str, list[tuple[float, float]]]:
    """By change, the seconds of one with and without the gate, of each turn."""
    figures: dict[str, list[tuple[float, float]]] = {"PUT of a rule": [], "hide or unhide": []}
    async with server(stack) as asking:
        with patch("app.handlers.StateGate", NoGate):
            silent_server = server(stack)
            silent = await silent_server.__aenter__()
        try:
            (await asking.put(RACE, json={})).raise_for_status()
            grant = {"grant_id": "g", "user_id": "otter", "amount": 1}
            (await asking.post(f"{RACE}/grants", json=grant)).raise_for_status()
            for _ in range(TURNS):
                for what, change in (("PUT of a rule", put_rule), ("hide or unhide", hide)):
                    figures[what].append(await _turn(asking, silent, change))
        finally:
            await silent_server.__aexit__(None, None, None)
    return figures


async def _measure_keys(stack: Stack) -> list[tuple[float, float]]:
    settings = Settings(redis_url=stack.redis.url, postgres_url=stack.postgres.url, api_key=KEY)
    return [await _key_turn(settings) for _ in range(TURNS)]


def main() -> None:
    """A line for each change: with the gate, without it, their ratio; medians of the turns."""
    with tempfile.TemporaryDirectory() as folder:
        stack = Stack(Path(folder))
        try:
            stack.up()
            figures: dict[str, Any] = asyncio.run(_measure(stack))
            figures["an API key (the command's work)"] = asyncio.run(_measure_keys(stack))
        finally:
            stack.down()
    for what, turns in figures.items():
        asking, silent = (median(turn[i] for turn in turns) * 1_000 for i in (0, 1))
        ratios = sorted(turn[0] / turn[1] for turn in turns)
        print(
            f"{what:34} {asking:7.2f} ms  without {silent:7.2f} ms  ratio {median(ratios):.2f} "
            f"({ratios[0]:.2f} to {ratios[-1]:.2f})",
            flush=True,
        )
