"""A board that differs is looked at once more, on a new connection, before that is told."""

import asyncio
from collections.abc import Iterator
from typing import Any, cast

import pytest
import structlog

from app.drivers.postgres import queries
from app.metrics import DRIFTING
from app.model.namespace import Namespace, Rules
from app.persist.drift import DriftCheck

RIGHT, WRONG = (b"7", b"5 13", 3), (b"7", b"4 12", 3)
SPACE = Namespace(1, "race", 0, 1, Rules(), 0)


class Ledger:
    """Reaches seq 7, and has the totals of then. intents: the mark of what is wished for users, by question; the last
    one stays. events: those that were to be written unless the last one said so."""

    def __init__(self) -> None:
        self.intents = [0]
        self.is_alive = True
        self.events: list[str] = []

    async def execute(self, text: str, _: int, kind: str, *__: Any) -> None:
        assert text == queries()["record_drift"]
        self.events.append(kind)

    async def fetchrow(self, text: str, *_: Any) -> dict[str, Any]:
        names = ("get_intents_mark", "get_offset", "get_board_totals")
        match next(name for name in names if queries()[name] == text):
            case "get_intents_mark":
                return {"mark": self.intents.pop(0) if len(self.intents) > 1 else self.intents[0], "is_pending": False}
            case "get_offset":
                return {"seq": 7}
        totals = {"users": 3, "scores": "5", "squares": "13"}
        return totals | {"is_near": True, "later": 0, "later_scores": "0", "later_squares": "0"}

    async def fetch(self, text: str, *_: Any) -> list[tuple[()]]:
        assert text == queries()["is_namespace_alive"]
        return [()] if self.is_alive else []


class Nodes:
    """One connection after the other, each to a Redis with a version, sums, and a number of users."""

    def __init__(self, *states: tuple[bytes, bytes, int]) -> None:
        self._states = list(states)
        self._is_doubted = False

    async def run(self, calls: list[Any], _timeout_s: float | None = None) -> list[Any]:
        version, sums, users = self._states[0]
        if calls[0] == ("MULTI",):
            return [b"OK", b"QUEUED", b"QUEUED", [[version, sums], users]]
        return [version]

    def doubt(self) -> None:
        self._is_doubted = True

    async def close(self) -> None:
        assert self._is_doubted  # A map of before names the former primary again.
        del self._states[0]

    @property
    def left(self) -> int:
        return len(self._states)


@pytest.fixture(autouse=True)
def gauge() -> Iterator[None]:
    """It is this process's."""
    DRIFTING.set(0)
    yield
    DRIFTING.set(0)


@pytest.fixture
def ledger() -> Ledger:
    return Ledger()


def look(ledger: Ledger, nodes: Nodes, check: DriftCheck | None = None) -> list[str]:
    """What is told of one look."""
    check = check or DriftCheck(cast(Any, None), {0: None})
    with structlog.testing.capture_logs() as lines:
        asyncio.run(check._look(cast(Any, ledger), cast(Any, nodes), SPACE))
    return [f"{line['log_level']} {line['event']}" for line in lines]


DIFFERS = "error a board differs from the ledger: run verify"


def test_a_board_that_agrees_is_looked_at_once(ledger: Ledger) -> None:
    nodes = Nodes(RIGHT, WRONG)
    assert look(ledger, nodes) == []
    assert nodes.left == 2


def test_a_former_primary_that_answered_is_no_drift(ledger: Ledger) -> None:
    nodes = Nodes(WRONG, RIGHT)
    assert look(ledger, nodes) == []
    assert (DRIFTING._value.get(), nodes.left) == (0, 1)


def test_what_differs_on_a_new_connection_too_is_told_once(ledger: Ledger) -> None:
    check = DriftCheck(cast(Any, None), {0: None})
    assert look(ledger, Nodes(WRONG, WRONG), check) == [DIFFERS]
    assert look(ledger, Nodes(WRONG, WRONG), check) == []
    assert DRIFTING._value.get() == 1
    assert look(ledger, Nodes(RIGHT), check) == ["info a board agrees with the ledger again"]
    assert look(ledger, Nodes(RIGHT), check) == []
    assert DRIFTING._value.get() == 0
    assert ledger.events == ["drift_began", "drift_ended"]


def test_a_second_look_that_cannot_be_compared_tells_nothing(ledger: Ledger) -> None:
    """A user is hidden meanwhile: the first look may have been wrong by that."""
    ledger.intents = [0, 0, 0, 1]
    assert look(ledger, Nodes(WRONG, WRONG)) == []
    assert DRIFTING._value.get() == 0


def test_a_namespace_that_was_deleted_since_is_not_told(ledger: Ledger) -> None:
    ledger.is_alive = False
    assert look(ledger, Nodes(WRONG, WRONG)) == []
