"""A persister whose clock is 40 days ahead closes no window that grants can still reach."""

import asyncio
from typing import Any

import httpx
import pytest

from app.model.windows import now_micros
from app.persist.archive import ARCHIVE
from app.persist.clocks import ClockSkewed
from app.persist.faults import Faults
from app.persist.seal import Sealer
from app.persist.sink import Sink
from app.persist.windows import OpenWindows
from app.persist.worker import Worker
from app.settings import read_settings
from app.store.apply import APPLY
from app.store.redis import Link

AHEAD = 40 * 86_400_000_000


def grant(api: httpx.Client, space: str, grant_id: str) -> httpx.Response:
    body = {"grant_id": grant_id, "user_id": "otter", "amount": 5}
    return api.post(f"/v1/namespaces/{space}/grants", json=body)


def test_no_running_window_is_sealed_by_a_clock_that_is_ahead(live_server: Any, api: httpx.Client, names: Any) -> None:
    space = names.fresh()
    assert api.put(f"/v1/namespaces/{space}", json={"accept_past": "P1D"}).status_code == 201
    assert grant(api, space, "g1").status_code == 201
    live_server.wait_flushed()

    async def seal() -> None:
        sink = await Sink.connect(live_server.postgres.url)
        link = Link(live_server.valkey.url, [APPLY, ARCHIVE])
        try:
            sealer = Sealer(OpenWindows())
            offsets = {p: await sink.offset(p) for p in range(16)}
            for _ in range(3):  # it goes round the namespaces
                await sealer.seal(sink, link, link, offsets, now_micros() + AHEAD, Faults())
        finally:
            sink.terminate()
            await link.close()

    asyncio.run(seal())
    assert grant(api, space, "g2").json().get("score") == 10
    live_server.wait_flushed()
    assert api.get(f"/v1/namespaces/{space}/events?type=window_sealed").json()["events"] == []


@pytest.mark.parametrize("ahead", [AHEAD, -AHEAD])
def test_a_persister_with_a_wrong_clock_ends_by_name(live_server: Any, ahead: int) -> None:
    settings = read_settings(live_server.environment)

    async def work() -> None:
        worker = Worker(settings, lambda scripts: Link(settings.redis_url, scripts), 16, lambda: now_micros() + ahead)
        with pytest.raises(ClockSkewed, match="this machine's clock differs"):
            async with asyncio.timeout(30):
                await worker.run()

    asyncio.run(work())
