"""What several tests on real parts need."""

from collections.abc import Iterator
from typing import Any

import pytest
import redis
from websockets.sync.client import ClientConnection, connect


@pytest.fixture
def socket(live_server: Any) -> Iterator[ClientConnection]:
    with connect(live_server.url.replace("http", "ws") + "/v1/live", subprotocols=["leaderboard.v1"]) as held:  # type: ignore[list-item]
        yield held


@pytest.fixture
def direct(live_server: Any) -> Iterator[Any]:
    """The running system's Redis, past all servers."""
    with redis.Redis.from_url(live_server.valkey.url) as held:
        yield held
