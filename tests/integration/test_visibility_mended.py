"""Visibility intents that are interrupted: the next process carries them out."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from app.admin import visibility_intents
from app.admin.state_gate import CommandGate
from app.admin.visibility_intents import VisibilityIntents
from app.drivers.postgres import Postgres
from app.drivers.redis import Call, RedisConnection, ask
from app.model.entry import PlannedEntry
from app.persist.ledger_session import LedgerSession
from app.persist.visibility import VisibilityWorker
from app.persist.worker import SCRIPTS
from app.store import keys
from app.store.apply import APPLY, Outcome
from app.store.partitions import last_place_call
from tests.conftest import Stack
from tests.support.visibility_race import Race, path


def test_what_broke_off_is_mended(own_stack: Stack) -> None:
    with own_stack.client() as api:
        race = Race(api, "race")
        race.grants(ann=9, bob=7)
        own_stack.wait_flushed()
        own_stack.kill("persist")
        race.grant("ann", 1, "unflushed")
        answer = api.post(f"{path(race.user('ann'))}/hide")
        assert (answer.status_code, answer.json()["pending"] > 0) == (202, True)
        assert answer.json()["hidden"] is True
        own_stack.kill("serve")
        own_stack.start("persist")
        own_stack.start("serve")
        _wait_settled(own_stack)
        assert race.board() == [("bob", 1, 7)]
        own_stack.kill("persist")
        race.grant("ann", 1, "unflushed too")
        own_stack.start("persist")
        with psycopg.connect(own_stack.postgres.url) as db:  # a server that died right behind its commit
            db.execute("DELETE FROM hidden_users")
            db.execute(
                """UPDATE visibility_intents SET desired_state = 'unhide', version = nextval('visibility_version'),
                   pending_partitions = (SELECT array_agg(partition) FROM partitions)"""
            )
        _wait_settled(own_stack)
        assert race.board() == [("ann", 1, 11), ("bob", 2, 7)]


def test_a_board_is_only_looked_for_once_the_ledger_can_tell(own_stack: Stack) -> None:
    """A first grant that the ledger lacks is on boards that nobody would find there yet."""
    with own_stack.client() as api:
        race = Race(api, "race")
        own_stack.kill("persist")
        race.grant("ann", 9)
        answer = api.post(f"{path(race.user('ann'))}/hide")
        assert (answer.status_code, answer.json()["pending"]) == (202, 16)
        assert len(_looked(own_stack)) == 1, "all but the one where there are entries to come"
        own_stack.start("persist")
        _wait_settled(own_stack)
        assert race.board() == []


def _looked(stack: Stack) -> list[int]:
    """The partitions that are open after some looks of a persister whose ledger stands still."""

    async def look() -> list[int]:
        session = await LedgerSession.connect(stack.postgres.url)
        link, apply_link = RedisConnection(stack.redis.url, SCRIPTS), RedisConnection(stack.redis.url, [APPLY])
        users = VisibilityWorker(link, apply_link)
        for _ in range(3):
            await users.apply_intents(session, {p: await session.offset(p) for p in range(16)})
        rows = await session.fetch("get_open_intents", list(range(16)), 0, 10)
        session.terminate()
        await link.close()
        await apply_link.close()
        return [p for row in rows for p in row["pending_partitions"]]

    return asyncio.run(look())


@pytest.mark.parametrize(("behind", "left_open"), [(0, 1), (5, 16)])
def test_moves_that_redis_lost_again_are_not_taken_for_done(
    own_stack: Stack, behind: int, left_open: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Redis applied them and lost them with its log's end. The ledger has others at their places, or is not there
    (behind: by how much). left_open: partitions where it is for a persister to do."""
    monkeypatch.setattr(visibility_intents, "APPLY_S_MAX", 0.2)
    with own_stack.client() as api:
        race = Race(api, "race")
        race.grants(ann=9, bob=7)
        own_stack.wait_flushed()
        own_stack.kill("persist")
        assert _left_open(own_stack, race.user("ann"), behind) == left_open
        own_stack.start("persist")
        _wait_settled(own_stack)
        assert race.board() == [("bob", 1, 7)]


def _left_open(stack: Stack, user: str, behind: int) -> int:
    """In how many partitions a server's hide is not done whose moves are lost as soon as they were applied."""

    async def hide() -> int:
        postgres, link = Postgres(stack.postgres.url), RedisConnection(stack.redis.url, SCRIPTS)

        turn = asyncio.Lock()

        async def call(one: Call) -> Any:
            async with turn:
                return await ask(link, one, what="a call")

        async def submit(p: int, entries: list[PlannedEntry]) -> list[Outcome]:
            epoch, seq = map(int, await call(last_place_call(p)))
            return [Outcome("applied", epoch, seq + behind, 0, 0, None) for _ in entries]

        try:
            intents = VisibilityIntents(postgres, call, submit, 16, CommandGate(postgres, link))
            return await intents.carry_out(await intents.change(user, "admin", by_admin=True))
        finally:
            await link.close()
            await postgres.close()

    return asyncio.run(hide())


def test_a_state_that_redis_lost_is_there_again_after_migrate(own_stack: Stack) -> None:
    with own_stack.client() as api, own_stack.store() as direct:
        race = Race(api, "race")
        race.grants(ann=9, bob=7)
        race.veil("hide", "ann")
        for p in range(16):
            direct.delete(keys.hidden(p))
        assert own_stack.run("migrate").returncode == 0
        assert race.grant("ann", 1, "more")["score"] == 10
        assert race.board() == [("bob", 1, 7)]


def test_a_state_goes_an_hour_after_they_came_back(own_stack: Stack) -> None:
    with own_stack.client() as api, own_stack.store() as direct:
        race = Race(api, "race")
        race.grants(ann=9)
        race.veil("hide", "ann")
        race.veil("unhide", "ann")
        assert all(direct.hget(keys.hidden(p), race.user("ann")).endswith(b" returning") for p in range(16))
        with psycopg.connect(own_stack.postgres.url) as db:
            db.execute("UPDATE visibility_intents SET requested_at = now() - interval '2 hours'")
        own_stack.kill("persist")
        own_stack.start("persist")  # it looks at once, then every minute
        _wait_settled(own_stack)
        assert not any(direct.exists(keys.hidden(p)) for p in range(16))
        race.veil("hide", "ann")
        assert race.board() == []


def _wait_settled(stack: Stack) -> None:
    """Until nothing is open, and what may go is gone."""
    sql = (
        "SELECT count(*) FROM visibility_intents WHERE pending_partitions <> '{}' OR desired_state "
        "= 'release' OR requested_at < now() - interval '1 hour'"
    )
    deadline = datetime.now(UTC) + timedelta(seconds=20)
    with psycopg.connect(stack.postgres.url, autocommit=True) as db:
        while db.execute(sql).fetchone() != (0,):
            assert datetime.now(UTC) < deadline, db.execute("SELECT * FROM visibility_intents").fetchall()
