"""Mutants of what keeps a former primary from being believed."""

from tests.mutants.mutant import Mutant

FORMER_PRIMARY = [
    Mutant(
        "the ledger takes nothing of a former primary",
        "app/store/sql/deployment.sql",
        "\nAND NOT ($4 <= fence_epoch AND $5 > fence_seq)",
        "",
        ("tests/integration/test_ledger_fence.py",),
    ),
    Mutant(
        "what was read before an epoch began is not recorded",
        "app/store/sql/deployment.sql",
        "\nAND ($10::int IS NULL OR newest_epoch = $10)",
        "\nAND ($10::int IS NULL OR true)",
        ("tests/integration/test_ledger_fence.py",),
    ),
    Mutant(
        "a mark without a fence gets one",
        "app/store/ledger_fence.py",
        "if reach.epoch - 1 > fences[reach.partition]]",
        "if False]",
        ("tests/integration/test_ledger_fence.py",),
    ),
    Mutant(
        "a call under way to a former primary is given up",
        "app/drivers/primary_watch.py",
        "if link.url and link.url not in primaries:",
        "if False:",
        ("tests/unit/test_primary_watch.py",),
    ),
]
