"""While the ledger lags, a request that waits for it looks a few times: all who wait would look."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from app.admin import visibility_intents
from app.admin.visibility_intents import VisibilityIntents
from app.model.errors import StoreUnavailable
from app.read import grant_history
from app.read.grant_history import GrantHistory
from app.store import grant_lag
from app.write.ledger_wait import Deadline, LedgerWait

WAIT_S = 0.4
#: 20 looks and more with a fixed pause of 20 ms.
LOOKS_MAX = 7
SPACE: Any = SimpleNamespace(id=1, name="race", partition=0)


class Behind:
    """A Postgres whose ledger does not get on. Counts what it is asked."""

    def __init__(self) -> None:
        self.looks = 0

    async def fetch(self, query: str, *args: Any) -> list[Any]:
        if query == "get_dead_letters_at":
            return []
        self.looks += 1
        return [{"partition": 0, "seq": 0}] if query == "get_offsets" else []

    async def fetch_one(self, query: str, *args: Any) -> Any:
        self.looks += 1
        return {"seq": 0}

    async def seq(self, p: int) -> int:
        self.looks += 1
        return 0

    async def letters(self, p: int, places: Any) -> dict[Any, bool]:
        return {}

    async def get_grants(self, namespace: Any, grant_ids: Any) -> dict[str, Any]:
        self.looks += 1
        return {}


class Counted:
    """A Redis that has counted more than the ledger holds."""

    async def call(self, call: Any) -> Any:
        return b"9" if call[0] == "HGET" else [b"9"] * (len(call) - 2)


def _history(store: Any) -> GrantHistory:
    parts: dict[str, Any] = {"postgres": store, "batcher": Counted(), "authorizer": None}
    return GrantHistory(clock=lambda: 0, **parts)


async def _all_counted(batcher: Any, p: int, names: list[bytes]) -> list[tuple[int, int]]:
    return [(1, 9)] * len(names)


def test_a_fresh_grant_is_looked_for_a_few_times(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grant_history, "WAIT_S_MAX", WAIT_S)
    monkeypatch.setattr(grant_lag, "entry_places", _all_counted)
    store: Any = Behind()
    with pytest.raises(StoreUnavailable):
        asyncio.run(_history(store).read_grant(SPACE, "g"))
    assert 2 <= store.looks <= LOOKS_MAX


def test_an_explanation_looks_a_few_times(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grant_history, "COUNTED_S_MAX", WAIT_S)
    store: Any = Behind()
    asyncio.run(_history(store)._wait_until_counted(SPACE, "ann"))
    assert 2 <= store.looks <= LOOKS_MAX


def test_a_correction_looks_a_few_times_for_its_grant(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grant_lag, "entry_places", _all_counted)
    store: Any = Behind()
    ledger = LedgerWait(Counted(), store)  # type: ignore[arg-type]
    grants, problems = asyncio.run(ledger.wait_for_grants(SPACE, ["g"], Deadline(WAIT_S)))
    assert (grants, [type(problem) for problem in problems.values()]) == ({}, [StoreUnavailable])
    assert 2 <= store.looks <= LOOKS_MAX


def test_a_correction_looks_a_few_times_for_its_user() -> None:
    for what in ("wait_until_flushed", "wait_until_unchanged", "wait_until_corrected"):
        store: Any = Behind()
        ledger = LedgerWait(Counted(), store)  # type: ignore[arg-type]
        waiting = Deadline(WAIT_S)
        look: Any = getattr(ledger, what)(SPACE, "a", waiting)
        with pytest.raises(StoreUnavailable):
            asyncio.run(look)
        assert 2 <= store.looks <= LOOKS_MAX


def test_a_hide_looks_a_few_times(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(visibility_intents, "APPLY_S_MAX", WAIT_S)
    store: Any = Behind()
    with pytest.raises(StoreUnavailable):
        asyncio.run(VisibilityIntents(store, Counted().call, None, 1, None)._caught_up([0]))  # type: ignore[arg-type]
    assert 2 <= store.looks <= LOOKS_MAX
