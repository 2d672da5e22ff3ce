"""What several tests on real parts need."""

from collections.abc import Iterator
from typing import Any

import pytest
from websockets.sync.client import ClientConnection, connect


@pytest.fixture
def socket(live_server: Any) -> Iterator[ClientConnection]:
    with connect(live_server.url.replace("http", "ws") + "/v1/live", subprotocols=["leaderboard.v1"]) as connection:  # type: ignore[list-item]
        yield connection
