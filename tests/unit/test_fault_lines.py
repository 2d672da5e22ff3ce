"""What a persister says of work that fails: in its log, and by when it is over."""

import pytest
from structlog.testing import capture_logs

from app.persist.faults import LOG, PUBLISHING, STATE, Faults, WorkUnit
from app.store.partitions import LEDGER_BEHIND


@pytest.mark.parametrize(
    ("unit", "words"),
    [
        (WorkUnit(3, LOG), {"what": "log", "partition": 3}),
        (WorkUnit(3, "archive", "7 2026"), {"what": "archive", "partition": 3, "name": "7 2026"}),
        (PUBLISHING, {"what": "all namespaces", "partition": "all"}),
    ],
)
def test_a_line_of_the_log_tells_what_there_is(unit: WorkUnit, words: dict[str, object]) -> None:
    faults = Faults()
    with capture_logs() as lines:
        faults.note(unit, ValueError("planted"))
        faults.clear(unit)
    begun, over = ({name: line[name] for name in line if name not in ("event", "log_level")} for line in lines)
    assert (begun.pop("cause"), begun, over) == ("ValueError ValueError", words, words)


def test_what_an_older_postgres_caused_is_over_with_it() -> None:
    """It waits for no further try; another cause of the same work does."""
    for cause, is_over in ((f"{LEDGER_BEHIND}: this Postgres is an older one", True), ("Redis is full", False)):
        faults = Faults()
        faults.note(STATE, RuntimeError(cause))
        faults.take()
        faults.clear_for(STATE, LEDGER_BEHIND)
        assert (faults.has(STATE), faults.take()) == (not is_over, [(STATE, None)] if is_over else [])
