"""How long the command waits for decisions, and what ends the pause of a partition with too many dead letters."""

import asyncio
from typing import Any

import pytest

from app.admin.dead_letters import DECIDED_S_MAX, DeadLetter, DeadLetters, LetterPlace
from app.commands import dead_letters as commands
from app.persist.failure import DEAD_LETTERS_PAUSE_S, TooManyDeadLetters
from app.persist.faults import FIRST_PAUSE_S, LEDGER, Faults, WorkUnit
from app.persist.letter_decisions import carry_out
from app.store.ledger_offset import LedgerOffset
from tests.support.virtual_time import VirtualTime

PLACES = [LetterPlace(3, 1, seq) for seq in (5, 6, 7)]
UNKNOWN = "does a persister run, and what does /readyz say?"
CAUSE = "more than 10 entries in a minute cannot be recorded"


class Postgres:
    """The letters of PLACES; nobody carries a decision out, but the one about seq 6 from the beginning."""

    def __init__(self, faults: list[dict[str, Any]]) -> None:
        self._faults = faults

    async def fetch(self, query: str, *args: Any) -> list[Any]:
        assert query == "get_faults"
        return self._faults

    async def fetch_one(self, query: str, *args: Any) -> Any:
        if query == "decide_dead_letter":
            return {"decision": args[3]}
        return {"decision": "retry", "cause": None, "healed_seq": 9 if args[2] == 6 else None}


def letter(place: LetterPlace) -> DeadLetter:
    return DeadLetter(place, "race", "ann", "grant", "g1", "22P05", None, None, 0, True)


@pytest.mark.parametrize(
    ("faults", "why"),
    [
        ([], UNKNOWN),
        (
            [{"partition": 2, "kind": "ledger", "name": "", "cause": "x"}],
            UNKNOWN,
        ),
        ([{"partition": 3, "kind": "ledger", "name": "", "cause": CAUSE}], f"the ledger of partition 3 waits: {CAUSE}"),
    ],
)
def test_all_decisions_share_one_wait(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], faults: list[dict[str, Any]], why: str
) -> None:
    time = VirtualTime(monkeypatch)
    letters = DeadLetters(Postgres(faults))  # type: ignore[arg-type]
    left = time.run(commands._carry_out(letters, "retry", PLACES, {place: letter(place) for place in PLACES}))
    assert left == 2
    assert time.passed_s == pytest.approx(DECIDED_S_MAX, abs=1)
    printed = capsys.readouterr()
    assert printed.out == "3:1-6: recorded by seq 9\n"
    waits = [f"leaderboard: 3:1-{seq} is to be recorded and is not after 60 s: {why}" for seq in (5, 7)]
    assert printed.err.splitlines() == waits


class Session:
    """A ledger with one decision about a letter that cannot be read, or with none."""

    def __init__(self, has_decision: bool) -> None:
        self._has_decision = has_decision

    async def fetch(self, query: str, *args: Any) -> list[Any]:
        row = {
            "epoch": 1,
            "seq": 5,
            "entry": b"",
            "decision": "retry",
            "attempts": 0,
            "recorded_at": 0,
            "live_delta": 0,
        }
        return [row] if self._has_decision else []


@pytest.mark.parametrize("error", [TooManyDeadLetters("x"), ValueError("x")])
@pytest.mark.parametrize("has_decision", [True, False])
def test_a_decision_ends_only_the_long_pause_of_its_partition(error: Exception, has_decision: bool) -> None:
    faults, unit, other = Faults(lambda: 0.0), WorkUnit(3, LEDGER), WorkUnit(4, LEDGER)
    for one in (unit, other):
        faults.note(one, error)
    pause_s = DEAD_LETTERS_PAUSE_S if isinstance(error, TooManyDeadLetters) else FIRST_PAUSE_S
    assert [faults._faults[one].due for one in (unit, other)] == [pause_s] * 2
    asyncio.run(carry_out(Session(has_decision), None, 3, LedgerOffset(1, 5, b""), faults))  # type: ignore[arg-type]
    assert faults.is_due(unit) == (has_decision and isinstance(error, TooManyDeadLetters))
    assert not faults.is_due(other)
