"""Who waits for others waits for so long and no longer."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from app.model.correction import CorrectionRequest
from app.model.errors import Overloaded, Problem, StoreUnavailable
from app.store import rules_lock, stats_reader
from app.store.rules_lock import RulesLock
from app.store.stats_reader import StatsReader
from app.write import corrections
from app.write.corrections import Corrector
from app.write.ledger_wait import GrantLookup


async def _for_ever(*args: Any) -> Any:
    await asyncio.Event().wait()


def test_a_sum_of_an_archive_waits_for_those_before_it_and_no_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stats_reader, "_TURN_S_MAX", 0.01)

    async def ask() -> None:
        reader: Any = StatsReader(None, None)  # type: ignore[arg-type]
        reader._archived = _for_ever
        under_way = [asyncio.create_task(reader._gated(*[None] * 6)) for _ in range(stats_reader._ARCHIVES_AT_ONCE)]
        await asyncio.sleep(0)
        with pytest.raises(Overloaded):
            await reader._gated(*[None] * 6)
        for task in under_way:
            task.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)

        async def fetch(*args: Any) -> str:
            return "found"

        reader._archived = fetch
        assert await reader._gated(*[None] * 6) == "found", "who left gave the turn back"

    asyncio.run(ask())


def test_a_lift_ends_where_a_store_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rules_lock, "LIFT_S_MAX", 0.01)
    postgres: Any = SimpleNamespace(fetch_one=_for_ever)
    publisher: Any = None
    asyncio.run(RulesLock(postgres, publisher).release_stale("race"))


def test_corrections_whose_turn_does_not_come_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(corrections, "TURN_S_MAX", 0.2)
    monkeypatch.setattr(corrections, "_AT_ONCE", 1)

    async def get_grants(namespace: Any, grant_ids: list[str]) -> dict[str, Any]:
        return {grant_id: SimpleNamespace(user=grant_id) for grant_id in grant_ids}

    async def wait_for_grants(*args: Any) -> GrantLookup:
        return GrantLookup({}, {})

    async def chain(namespace: Any, user: str, asks: list[CorrectionRequest]) -> list[Any]:
        await asyncio.sleep(0.4)
        return [f"{user} is done" for _ in asks]

    corrector: Any = Corrector.__new__(Corrector)
    corrector._ledger = SimpleNamespace(get_grants=get_grants)
    corrector._ledger_wait = SimpleNamespace(wait_for_grants=wait_for_grants)
    corrector._chain = chain
    asks: Any = [SimpleNamespace(grant_id=name) for name in ("ann", "bob", "ann")]
    first, second, third = asyncio.run(corrector.correct_all(SimpleNamespace(name="race"), asks))
    assert first == third
    assert [isinstance(text, StoreUnavailable) for text in (first, second)].count(True) == 1
    refused: Problem = first if isinstance(first, Problem) else second
    assert refused.retryable
