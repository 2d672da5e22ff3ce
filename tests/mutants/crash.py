"""Mutants that the short form of `make crash` finds by itself: each lets a fault take what was acknowledged, or give
back what was taken away."""

from tests.mutants.mutant import Mutant

FAULTS = ("tests/crash/test_crash.py::test_what_was_acknowledged_outlives_each_fault",)
CRASH = [
    Mutant(
        "faults: an id counts once",
        "lua/include/process_entry.lua",
        "local value = bundle.seen[entry.number] or bundle.pending[entry.id]",
        "local value = bundle.pending[entry.id]",
        FAULTS,
    ),
    Mutant(
        "faults: nothing leaves the log before the ledger has it",
        "lua/advance_flushed.lua",
        "if memory.is_short() or partition_head.is_after(keep_epoch, keep_seq, has_epoch, has_seq) then\n"
        "  keep_epoch, keep_seq = has_epoch, has_seq\nend\n",
        "keep_epoch, keep_seq = head.epoch, head.seq\n",
        FAULTS,
    ),
    Mutant(
        "faults: a server finds the last entry that it knows in the log",
        "lua/apply.lua",
        "refusal = log_check.find_loss(log_key, head, known, known_digest)",
        "refusal = nil",
        FAULTS,
    ),
    Mutant(
        "faults: a Redis that starts anew has all that the ledger has",
        "app/store/ledger_reach.py",
        'loss = recording_loss(progress, p) or _loss(offset, place, flushed or "0-0", entries, begin)',
        "loss = None",
        FAULTS,
    ),
    Mutant(
        "faults: an older Redis is told what has changed since",
        "app/store/marks.py",
        "    await StatePublication(fetch, node, announcer, partitions).publish_changes(since, state.version)\n",
        "",
        FAULTS,
    ),
]
