"""What a key may change of namespaces in a while, where quotas are on and where they are off."""

import asyncio
from collections import Counter

import httpx
import pytest

from app.access.rate_limit import RateLimit
from app.admin.namespace_handlers import CHANGES_BURST_MAX
from app.admin.user_handlers import USER_CHANGES_BURST_MAX
from app.server import Server
from app.services import build_services, storage_limits
from app.settings import Settings
from app.store.apply import StorageLimits

KEY = "lb_test_0123456789abcdef"


def stop_clocks(*rate_limits: RateLimit | None) -> None:
    """Nothing is given back while the test runs, however slow the machine is. None: quotas are off."""
    for rate_limit in rate_limits:
        if rate_limit is not None:
            rate_limit._clock = lambda: 0.0


def changes(settings: Settings, count: int) -> Counter[int]:
    """Statuses of changes, all at one moment, that take what a change takes, and are then refused by their
    confirmation."""

    async def ask() -> Counter[int]:
        headers = {"authorization": f"Bearer {KEY}"}
        server = Server(build_services(settings, 1))
        stop_clocks(server.handlers.namespaces._rate_limit)
        transport = httpx.ASGITransport(server.app())
        async with httpx.AsyncClient(transport=transport, base_url="http://test", headers=headers) as client:
            return Counter([(await client.delete("/v1/namespaces/x?confirm=no")).status_code for _ in range(count)])

    return asyncio.run(ask())


def test_changes_of_namespaces_have_a_pace_unless_quotas_are_off() -> None:
    count = 2 * CHANGES_BURST_MAX
    assert changes(Settings(api_key=KEY, quotas="off"), count) == {422: count}
    assert changes(Settings(api_key=KEY), count) == {422: CHANGES_BURST_MAX, 429: count - CHANGES_BURST_MAX}


USERS = (
    ("PUT", "/v1/users/%00"),
    ("PUT", "/v1/namespaces/x/users/%00"),
    ("POST", "/v1/users/%00/hide"),
    ("POST", "/v1/users/%00/unhide"),
    ("POST", "/v1/namespaces/x/users/%00/hide"),
    ("POST", "/v1/namespaces/x/users/%00/unhide"),
    ("DELETE", "/v1/users/%00"),
)


def user_changes(settings: Settings, count: int) -> dict[tuple[str, str], Counter[int]]:
    """Statuses of changes of users, each kind in turn, all at one moment, that take what a change takes, and are then
    refused by the name."""

    async def ask() -> dict[tuple[str, str], Counter[int]]:
        headers = {"authorization": f"Bearer {KEY}"}
        server = Server(build_services(settings, 1))
        stop_clocks(server.handlers.users._rate_limit, server.handlers.profiles._rate_limit)
        transport = httpx.ASGITransport(server.app())
        statuses: dict[tuple[str, str], Counter[int]] = {kind: Counter() for kind in USERS}
        async with httpx.AsyncClient(transport=transport, base_url="http://test", headers=headers) as client:
            for i in range(count):
                kind = USERS[i % len(USERS)]
                statuses[kind][(await client.request(*kind)).status_code] += 1
        return statuses

    return asyncio.run(ask())


def test_changes_of_users_have_one_pace_unless_quotas_are_off() -> None:
    count = USER_CHANGES_BURST_MAX + 10 * len(USERS)
    for counts in user_changes(Settings(api_key=KEY, quotas="off"), count).values():
        assert counts.keys() == {422}
    paced = user_changes(Settings(api_key=KEY), count)
    for counts in paced.values():
        assert counts.keys() == {422, 429}
    assert sum(counts[422] for counts in paced.values()) == USER_CHANGES_BURST_MAX


@pytest.mark.parametrize(
    ("settings", "bounds"),
    [
        (Settings(), StorageLimits(100, 100_000_000, 1_000_000, 50)),
        (Settings(quotas="off"), StorageLimits(100)),
        (Settings(namespace_log_share_max=1), StorageLimits(100, 100_000_000, 1_000_000, 0)),
        (Settings(namespace_log_share_max=0.01), StorageLimits(100, 100_000_000, 1_000_000, 2)),
    ],
)
def test_bounds_by_the_settings(settings: Settings, bounds: StorageLimits) -> None:
    assert storage_limits(settings, 100) == bounds
