"""Mutants of what keeps a former primary from being believed."""

from tests.mutants.mutant import Mutant

FORMER_PRIMARY = [
    Mutant(
        "the ledger takes nothing of a former primary",
        "app/store/sql/deployment.sql",
        "\nAND NOT ($4 <= fence_epoch AND $5 > fence_seq)",
        "",
        ("tests/integration/test_ledger.py::test_the_ledger_takes_nothing_of_a_former_primary",),
    ),
    Mutant(
        "a call under way to a former primary is given up",
        "app/drivers/primary_watch.py",
        "if link.url and link.url not in primaries:",
        "if False:",
        ("tests/unit/test_primary_watch.py",),
    ),
]
