"""The leases of an import: one that is renewed tells whether its namespace is the same as before."""

import asyncio

import httpx
import pytest

from app.transfer import import_lease
from app.transfer.import_client import ImportClient, ImportStop
from app.transfer.import_lease import ImportLeases


def test_a_namespace_that_is_made_anew_meanwhile_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(import_lease, "RENEWAL_S", 0.0)
    instances: dict[str, str] = {}
    now = "d-1"
    renewed = asyncio.Event()

    def answer(request: httpx.Request) -> httpx.Response:
        renewed.set()
        return httpx.Response(200, json={"namespace_instance": now})

    async def run() -> None:
        nonlocal now
        async with ImportClient("http://s", None, connections=1, transport=httpx.MockTransport(answer)) as client:
            leases = ImportLeases(client, instances, is_dry=False)
            try:
                await leases.begin("n")
                for _ in range(2):
                    renewed.clear()
                    await renewed.wait()
                leases.check()
                now = "d-2"
                for _ in range(2):
                    renewed.clear()
                    await renewed.wait()
                leases.check()
            finally:
                await leases.end()

    with pytest.raises(ImportStop, match="'n' is not the namespace"):
        asyncio.run(run())
    assert instances == {"n": "d-1"}
    assert now == "d-2"
