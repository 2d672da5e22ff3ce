"""Servers whose own clocks are wrong, over one Redis: what they decide by time, they decide by Redis' clock."""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from app.model.micros import from_micros, now_micros
from app.server import Server
from app.services import build_services
from app.settings import Settings
from app.store.clock import StoreClock
from tests.conftest import KEY

HEAD = {"authorization": f"Bearer {KEY}"}


#: Seconds in which a server's clock comes up to another's: they differ by what a round trip to Redis takes. It is less
#: than the servers' own clocks differ by in these tests.
ROUND_TRIP_S_MAX = 5.0


@asynccontextmanager
async def server_with_clock(stack: Any, ahead_s: float) -> AsyncIterator[tuple[httpx.AsyncClient, StoreClock]]:
    """A client of a server in this process whose own clock is ahead by so many seconds, and the clock that it goes
    by."""
    settings = Settings(redis_url=stack.redis.url, postgres_url=stack.postgres.url, api_key=KEY)
    services = build_services(settings, 16, clock=lambda: now_micros() + round(ahead_s * 1_000_000))
    server = Server(services)
    app = server.app()
    async with server.lifespan(app):  # type: ignore[arg-type]  # of no use to it
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://server", headers=HEAD) as client:
            yield client, services.clock


@asynccontextmanager
async def server(stack: Any, ahead_s: float) -> AsyncIterator[httpx.AsyncClient]:
    async with server_with_clock(stack, ahead_s) as (client, _):
        yield client


def with_servers(stack: Any, ahead_s: list[float], work: Callable[..., Awaitable[None]]) -> None:
    async def run() -> None:
        if len(ahead_s) == 1:
            async with server(stack, ahead_s[0]) as one:
                await work(one)
            return
        async with server(stack, ahead_s[0]) as one, server(stack, ahead_s[1]) as other:
            await work(one, other)

    asyncio.run(run())


async def post(client: httpx.AsyncClient, name: str, grant_id: str, **fields: Any) -> httpx.Response:
    body = {"grant_id": grant_id, "user_id": "otter", "amount": 5} | fields
    return await client.post(f"/v1/namespaces/{name}/grants", json=body)


def stamp(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


async def wait_until_behind(clock: StoreClock, other: StoreClock) -> None:
    """Waits until a server's clock tells a later moment than another's has told so far."""
    moment, deadline = other(), time.monotonic() + ROUND_TRIP_S_MAX
    while clock() <= moment:
        assert time.monotonic() < deadline, "the servers do not go by one clock"
        await asyncio.sleep(0.001)


@pytest.mark.parametrize("ahead_s", [(20.0, 0.0), (0.0, -20.0)])
def test_the_latest_of_two_grants_is_the_later_one_whatever_the_servers_clocks_say(
    live_server: Any, ahead_s: tuple[float, float]
) -> None:
    """Where they are further apart than a round trip to Redis takes: each server knows its clock as exactly as that."""

    async def run() -> None:
        fast_server, slow_server = (server_with_clock(live_server, seconds) for seconds in ahead_s)
        async with fast_server as (fast, fast_clock), slow_server as (slow, slow_clock):
            url = "/v1/namespaces/clock-latest"
            assert (await fast.put(url, json={"aggregation": "latest"})).status_code == 201
            for i in (1, 3, 5):
                assert (await post(fast, "clock-latest", f"g{i}", amount=i)).json()["score"] == i
                await wait_until_behind(slow_clock, fast_clock)
                assert (await post(slow, "clock-latest", f"g{i + 1}", amount=i + 1)).json()["score"] == i + 1
                await wait_until_behind(fast_clock, slow_clock)

    asyncio.run(run())
    with live_server.client() as client:
        assert client.delete("/v1/namespaces/clock-latest?confirm=clock-latest").status_code < 300


def test_a_true_moment_is_taken_by_a_server_that_is_late_and_refused_by_none(live_server: Any) -> None:
    async def work(client: httpx.AsyncClient) -> None:
        url = "/v1/namespaces/clock-bounds"
        assert (await client.put(url, json={"accept_past": "PT10S", "accept_future": "PT10S"})).status_code == 201
        now = from_micros(now_micros())
        assert (await post(client, "clock-bounds", "now", granted_at=stamp(now))).status_code == 201
        for name, by in (("past", -25), ("future", 25)):
            moment = stamp(now + timedelta(seconds=by))
            assert (await post(client, "clock-bounds", name, granted_at=moment)).json()["code"] == "granted_at_range"

    for ahead in (-20, 20):
        with_servers(live_server, [ahead], work)
        with live_server.client() as client:
            assert client.delete("/v1/namespaces/clock-bounds?confirm=clock-bounds").status_code < 300


def test_a_difference_is_reported_and_beyond_a_bound_writes_are_refused(live_server: Any) -> None:
    async def reply(client: httpx.AsyncClient) -> None:
        ready = await client.get("/readyz")
        assert ready.status_code == 200
        assert ready.json()["degraded"] == ["the clock of this server is 3.0 s ahead of that of Redis"]
        metrics = (await client.get("/metrics")).text
        assert "leaderboard_clock_offset_seconds" in metrics

    with_servers(live_server, [3], reply)

    async def refused(client: httpx.AsyncClient) -> None:
        day = datetime.now(UTC).date().isoformat()
        assert (await client.put("/v1/namespaces/clock-off", json={})).status_code == 201
        ready = await client.get("/readyz")
        assert ready.status_code == 503
        answer = await post(client, "clock-off", "g1")
        problem = answer.json()
        assert (answer.status_code, problem["code"], answer.headers["retry-after"]) == (503, "store_unavailable", "1")
        # Its answer to a question for the time takes longer on a busy machine.
        offset = re.search(r"([\d.]+) s", problem["detail"])
        assert offset is not None
        assert float(offset[1]) == pytest.approx(40 * 86_400, abs=5)
        correction = await client.delete("/v1/namespaces/clock-off/grants/g1")
        assert correction.status_code in (404, 503)
        # What is read goes by Redis' clock: today is today.
        body = (await client.get("/v1/namespaces/clock-off/boards/day")).json()
        assert body["window"] == day or body["window"] == datetime.now(UTC).date().isoformat()

    for days in (40, -40):
        with_servers(live_server, [days * 86_400], refused)
        with live_server.client() as client:
            assert client.delete("/v1/namespaces/clock-off?confirm=clock-off").status_code < 300
