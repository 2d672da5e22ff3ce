"""A clock that is wrong: of a persister, of a server's machine, or of Postgres. None of them decides what the clock of
Redis does."""

import asyncio
import json
from datetime import UTC, datetime
from typing import Any

import asyncpg
import httpx
import msgspec
import pytest

from app.access.keys import Principal
from app.admin.namespace_handlers import NamespaceHandlers
from app.drivers.postgres import Postgres, queries
from app.drivers.redis import RedisConnection
from app.model.micros import from_micros, now_micros
from app.model.namespace import SentRules, read_rules
from app.persist.archivist import Archivist
from app.persist.bucket_schedule import BucketSchedule
from app.persist.chores import ChoreRound, ChoreServices, short_chores
from app.persist.clocks import ClockSkewed
from app.persist.faults import Faults
from app.persist.ledger_session import LedgerSession
from app.persist.ledger_writer import report_faults
from app.persist.open_windows import OpenWindows
from app.persist.state_guard import StateGuard
from app.persist.window_closer import WindowCloser
from app.persist.worker import Worker
from app.settings import read_settings
from app.store.apply import APPLY
from app.store.archived_windows import EVICT_ARCHIVED_WINDOW
from app.store.capacity import Capacity, StoreBounds

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
        session = await LedgerSession.connect(live_server.postgres.url)
        link = RedisConnection(live_server.valkey.url, [APPLY, EVICT_ARCHIVED_WINDOW])
        try:
            sealer = WindowCloser(OpenWindows())
            offsets = {p: await session.offset(p) for p in range(16)}
            for _ in range(3):  # it goes round the namespaces
                await sealer.seal(session, link, link, offsets, now_micros() + AHEAD, Faults())
        finally:
            session.terminate()
            await link.close()

    asyncio.run(seal())
    assert grant(api, space, "g2").json().get("score") == 10
    live_server.wait_flushed()
    assert api.get(f"/v1/namespaces/{space}/events?type=window_sealed").json()["events"] == []


@pytest.mark.parametrize("ahead", [AHEAD, -AHEAD])
def test_a_persister_with_a_wrong_clock_ends_and_readyz_tells(live_server: Any, api: httpx.Client, ahead: int) -> None:
    settings = read_settings(live_server.environment)

    async def work() -> list[str]:
        worker = Worker(
            settings, lambda scripts: RedisConnection(settings.redis_url, scripts), 16, lambda: now_micros() + ahead
        )
        with pytest.raises(ClockSkewed, match="this machine's clock differs"):
            async with asyncio.timeout(30):
                await worker.run()
        ready = await asyncio.to_thread(api.get, "/readyz")
        # What the next persister does that starts.
        session = await LedgerSession.connect(live_server.postgres.url)
        await session.forget_absent_faults(None)
        session.terminate()
        return [line for line in ready.json()["degraded"] if line.startswith("clock of persister ")]

    (line,) = asyncio.run(work())
    assert f"differs from Redis's by {ahead // 1_000_000:+d} s" in line
    assert line.endswith("it has stopped; set its clock right (NTP), then start it again")


@pytest.mark.parametrize(("ahead_s", "is_reported"), [(10, True), (-10, True), (1, False)])
def test_readyz_tells_of_a_persister_whose_clock_is_wrong(
    live_server: Any, api: httpx.Client, ahead_s: int, is_reported: bool
) -> None:
    settings = read_settings(live_server.environment)

    async def work() -> None:
        session = await LedgerSession.connect(live_server.postgres.url)
        link = RedisConnection(live_server.valkey.url, [APPLY, EVICT_ARCHIVED_WINDOW])
        faults, name = Faults(), f"clock of persister {session.leases.number} "

        async def clocked(ahead_s: int) -> list[str]:
            def clock() -> int:
                return now_micros() + ahead_s * 1_000_000

            services = ChoreServices(
                settings=settings,
                partitions=16,
                capacity=Capacity(StoreBounds.of(settings), 16),
                link=link,
                apply_link=link,
                archive_link=link,
                guard=StateGuard(link, 16),
                leases={},
                buckets=BucketSchedule(),
                windows=OpenWindows(),
                archivist=Archivist(),
                pending_archives=set(),
                faults=faults,
                clock=clock,
            )
            await ChoreRound(short_chores(services)).step(session)
            await report_faults(faults, session)
            ready = await asyncio.to_thread(api.get, "/readyz")
            return [line for line in ready.json()["degraded"] if line.startswith(name)]

        try:
            reply = await clocked(ahead_s)
            assert len(reply) == is_reported
            assert all(f"differs from Redis's by {ahead_s:+d} s" in line for line in reply)
            assert await clocked(0) == []
        finally:
            session.terminate()
            await link.close()

    asyncio.run(work())


SEASONS_OPENED = """
SELECT o.season FROM opened_seasons o JOIN namespaces n ON n.id = o.namespace_id
WHERE n.name = $1 AND n.deleted_at IS NULL
"""


def seasons(now: int) -> list[dict[str, str]]:
    """Two seasons in the 60 days behind a moment; 40 days on, one of them is over and the other still to come."""

    def day(days: int) -> str:
        return datetime.fromtimestamp(now // 1_000_000 + days * 86_400, UTC).isoformat().replace("+00:00", "Z")

    return [
        {"name": "over", "starts": day(5), "ends": day(10)},
        {"name": "coming", "starts": day(50), "ends": day(60)},
    ]


def test_a_new_season_is_over_by_the_clock_of_redis(live_server: Any, names: Any) -> None:
    """A server's clock is that of Redis; here it is 40 days ahead of Postgres's."""
    name, now = names.fresh(), now_micros()

    async def put() -> list[str]:
        postgres = Postgres(live_server.postgres.url)
        admin: Any = NamespaceHandlers(
            *(postgres, None, None, None, None, 16, lambda: now + AHEAD),  # type: ignore[arg-type]
            key_namespaces_max=None,
            gate=None,  # type: ignore[arg-type]
        )
        rules = read_rules(msgspec.json.decode(msgspec.json.encode({"seasons": seasons(now)}), type=SentRules))
        assert await admin._put(name, rules, Principal("key", ("admin:*",))) is not None
        await postgres.close()
        db = await asyncpg.connect(live_server.postgres.url)
        try:
            seasons_opened = [row["season"] for row in await db.fetch(SEASONS_OPENED, name)]
            await db.execute("UPDATE namespaces SET deleted_at = now(), dropped_at = now() WHERE name = $1", name)
        finally:
            await db.close()
        return seasons_opened

    assert asyncio.run(put()) == ["over"]


def test_a_changed_season_is_over_and_to_come_by_the_moment_that_is_given(live_server: Any, names: Any) -> None:
    name, now = names.fresh(), now_micros()
    body, own = json.dumps({"seasons": seasons(now)}), json.dumps({"seasons": []})

    async def change() -> list[list[str]]:
        seasons_opened: list[list[str]] = []
        db = await asyncpg.connect(live_server.postgres.url)
        change = db.transaction()
        await change.start()
        try:
            made = await db.fetchrow(queries()["create_namespace"], name, 0, own, "key", "{}", from_micros(now))
            assert made is not None
            version = made["version"]
            for rules, days in ((body, 40), (own, 40), (body, 55), (body, 70), (own, 70), (body, 70), (body, 0)):
                moment = from_micros(now + days * 86_400_000_000)
                args = (made["id"], version, rules, 0, "key", None, 0, moment)
                version = await db.fetchval(queries()["update_namespace"], *args)
                seasons_opened.append(sorted(row["season"] for row in await db.fetch(SEASONS_OPENED, name)))
        finally:
            await change.rollback()
            await db.close()
        return seasons_opened

    # One that was there before is not over because of the change; one that is to come is forgotten.
    over, both = ["over"], ["coming", "over"]
    assert asyncio.run(change()) == [over, over, over, over, over, both, []]
