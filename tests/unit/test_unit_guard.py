"""What is noted of a unit of work that fails."""

import pytest

from app.persist.faults import Faults, WorkUnit
from app.persist.leases import SessionEnded, Superseded

UNIT = WorkUnit(3, "archive")


def _guard(faults: Faults, error: Exception) -> None:
    with pytest.raises(type(error)), faults.guard(UNIT):
        raise error


def test_a_unit_that_is_another_persisters_is_not_at_fault() -> None:
    faults = Faults()
    _guard(faults, Superseded("partition 3"))
    assert faults.is_due(UNIT)


def test_a_unit_whose_session_ended_waits_so_that_others_come_first() -> None:
    faults = Faults()
    _guard(faults, SessionEnded("partition 3"))
    assert not faults.is_due(UNIT)
