"""Refused rows are counted by kind of reason."""

from app.transfer.import_state import KINDS_MAX, ImportState
from app.transfer.source_file import SourceIdentity


def state() -> ImportState:
    return ImportState(SourceIdentity("rows.csv", 1, 1, ""), "", reasons={})


def test_reasons_that_differ_by_a_value_are_of_one_kind() -> None:
    counts = state()
    for line, reason in enumerate(("has 6 cells", "has 7 cells", "'a' is no time", "'b' is no time", "is empty"), 2):
        counts.count_refusal("invalid", line, reason)
    counts.count_refusal("other", 9, "is empty")
    assert [(one.count, one.line, one.reason) for one in counts.reasons.values()] == [
        (2, 2, "has 6 cells"),
        (2, 4, "'a' is no time"),
        (1, 6, "is empty"),
        (1, 9, "is empty"),
    ]


def test_kinds_are_bounded() -> None:
    counts = state()
    for i in range(1_000):
        counts.count_refusal("invalid", i, "x" * i)
        counts.count_refusal("other", i, "y" * i)
    assert len(counts.reasons) <= KINDS_MAX + 2
    assert sum(one.count for one in counts.reasons.values()) == 2_000
