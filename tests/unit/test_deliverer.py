"""Which webhooks the deliverer serves."""

import asyncio
import base64
from typing import Any, cast

import pytest

from app.settings import Settings
from app.webhooks import deliverer
from app.webhooks.deliverer import Deliverer
from app.webhooks.delivery_reads import DeliveryReads
from app.webhooks.webhook_task import StoppedError

KEY = base64.b64encode(b"k" * 32).decode()
WEBHOOK: dict[str, Any] = {
    "number": 1,
    "version": 1,
    "id": "w",
    "api_key_id": "k",
    "api_key_hash": None,
    "settings": '{"url": "https://example.com", "namespaces": "race", "types": ["granted"]}',
    "stop_reason": None,
    "is_gone": False,
    "scopes": ["admin:*"],
    "top": None,
    "has_resend": False,
}


class Session:
    """Postgres. webhooks: their rows; stops: what was noted of them; running: tasks that were begun and not ended."""

    def __init__(self) -> None:
        self.webhooks = [dict(WEBHOOK)]
        self.stops: list[tuple[Any, ...]] = []

    async def fetch(self, query: str, *args: Any) -> list[dict[str, Any]]:
        match query:
            case "get_webhooks_to_deliver":
                return [dict(row) for row in self.webhooks]
            case "get_webhook_records":
                return [dict(row) for row in self.webhooks if row["number"] in args[0]]
            case "stop_webhook":
                self.stops.append(args)
                self.webhooks[0] |= {"stop_reason": args[1], "is_gone": args[2]}
        return []


class Task:
    """The task of a webhook: it waits, or ends as `ends` says."""

    running = 0
    begun = 0
    ends: Exception | None = None

    def __init__(self, *_: Any, **__: Any) -> None: ...

    async def run(self) -> None:
        Task.running += 1
        Task.begun += 1
        try:
            if Task.ends is not None:
                raise Task.ends
            await asyncio.Event().wait()
        finally:
            Task.running -= 1


@pytest.fixture(autouse=True)
def tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    Task.running, Task.begun, Task.ends = 0, 0, None
    monkeypatch.setattr(deliverer, "WebhookTask", Task)


class Bench:
    """A deliverer, and what it sees at each look."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.session = Session()
        self.is_behind = False
        self.is_crowded = False
        self.deliverer = Deliverer(Settings(webhook_key=KEY), 1, lambda: self.is_crowded)
        self.reads = DeliveryReads("postgresql://")
        monkeypatch.setattr(self.reads, "fetch", self.session.fetch)
        self.services = self.deliverer._services(cast(Any, self.session), self.reads, cast(Any, None))
        monkeypatch.setattr(self.deliverer, "_is_behind", self._is_behind)

    async def _is_behind(self, _: Any) -> bool:
        return self.is_behind

    async def look(self) -> int:
        """One look; how many tasks run then."""
        await self.deliverer._refresh(self.services)
        for _ in range(5):
            await asyncio.sleep(0)
        return Task.running

    async def end(self) -> None:
        await self.deliverer._end_session(None, self.reads, None)


def test_nothing_is_delivered_while_postgres_is_older_than_redis(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would give keys back that were revoked since, and show users who were hidden."""

    async def run() -> list[int]:
        bench, counts = Bench(monkeypatch), []
        for bench.is_behind in (False, True, True, False):
            counts.append(await bench.look())
        await bench.end()
        assert bench.session.stops == []
        return counts

    assert asyncio.run(run()) == [1, 0, 0, 1]


def test_rights_that_go_and_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> None:
        bench = Bench(monkeypatch)
        assert await bench.look() == 1
        bench.session.webhooks[0]["scopes"] = None
        assert await bench.look() == 0
        bench.session.webhooks[0]["scopes"] = ["admin:ra*"]
        assert await bench.look() == 1
        bench.session.webhooks[0]["scopes"] = ["admin:other", "write:*"]
        assert await bench.look() == 0
        await bench.end()
        assert [(number, reason is None) for number, reason, _ in bench.session.stops] == [
            (1, False),
            (1, True),
            (1, False),
        ]

    asyncio.run(run())


def test_a_changed_webhook_begins_anew_and_a_deleted_one_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> None:
        bench = Bench(monkeypatch)
        await bench.look()
        bench.session.webhooks[0]["version"] = 2
        assert (await bench.look(), Task.begun) == (1, 2)
        bench.session.webhooks.clear()
        assert await bench.look() == 0
        await bench.end()

    asyncio.run(run())


def test_fewer_begin_while_the_process_writes_a_backlog(monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> list[int]:
        bench, counts = Bench(monkeypatch), []
        bench.session.webhooks = [WEBHOOK | {"number": i, "id": f"w{i}"} for i in range(120)]
        for bench.is_crowded in (True, True, False, True, False):
            counts.append(await bench.look())
        await bench.end()
        return counts

    assert asyncio.run(run()) == [5, 10, 60, 65, 115]


def test_a_task_that_breaks_off_harms_no_other_and_rests(monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> None:
        bench = Bench(monkeypatch)
        Task.ends = ZeroDivisionError()
        await bench.look()
        Task.ends = None
        for _ in range(3):
            assert await bench.look() == 0
        assert Task.begun == 1
        monkeypatch.setattr(deliverer, "monotonic", lambda: 10**9)
        assert await bench.look() == 1
        await bench.end()

    asyncio.run(run())


def test_a_webhook_whose_receiver_wants_no_more_is_not_begun_again(monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> None:
        bench = Bench(monkeypatch)
        Task.ends = StoppedError("it answered 410", is_gone=True)
        for _ in range(3):
            assert await bench.look() == 0
        assert Task.begun == 1
        assert bench.session.stops == [(1, "it answered 410", True)]
        await bench.end()

    asyncio.run(run())


def test_what_postgres_does_to_a_task_rests_that_webhook_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each pause is longer than the one before, up to a bound."""

    async def run() -> list[float]:
        bench = Bench(monkeypatch)
        now_s = 0.0
        monkeypatch.setattr(deliverer, "monotonic", lambda: now_s)
        monkeypatch.setattr("random.uniform", lambda low, high: high)
        Task.ends = TimeoutError()
        pauses = []
        for count in range(1, 9):
            began_s = now_s
            await bench.look()
            while count < 9 and Task.begun == count:
                await bench.look()
                now_s += 0.5
                assert now_s < began_s + 100
            pauses.append(now_s - began_s)
        await bench.end()
        assert bench.session.stops == []
        return pauses

    pauses = asyncio.run(run())
    assert pauses == sorted(pauses)
    assert (pauses[0] < 3, 50 < pauses[-1] < 65) == (True, True)


def test_a_session_that_is_lost_is_not_a_webhooks_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> None:
        bench = Bench(monkeypatch)
        await bench.look()

        async def fetch(*_: Any) -> list[Any]:
            raise ConnectionResetError

        monkeypatch.setattr(bench.session, "fetch", fetch)
        with pytest.raises(ConnectionResetError):
            await bench.look()
        await bench.end()

    asyncio.run(run())
