"""The short form of `make crash`: each fault that takes little, once; and the table of faults."""

from pathlib import Path

import pytest

from tests.crash.field import field
from tests.crash.page import PAGE, rows_of
from tests.crash.run import Run
from tests.crash.table import FAULTS
from tests.support.template import template

SEED = 20261128


@pytest.mark.long
@pytest.mark.timeout(240)
def test_what_was_acknowledged_outlives_each_fault(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    faults = [fault for fault in FAULTS if fault.is_short]
    run = Run(SEED, faults)
    with field(tmp_path / "stack", SEED, template(tmp_path_factory)) as place:
        run.once(place)
    assert [figures.count for figures in run.figures.values()] == [1] * len(faults)
    assert run.grants > 500


def test_the_page_lists_each_fault() -> None:
    assert rows_of(PAGE.read_text()) == [(fault.name, fault.promise, fault.__name__) for fault in FAULTS]


def test_a_fault_is_named_once() -> None:
    assert len({fault.name for fault in FAULTS}) == len(FAULTS)
