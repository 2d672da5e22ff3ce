"""Mutants of the ledger chain."""

from tests.mutants.mutant import Mutant

LEDGER_CHAIN = "tests/integration/test_ledger_chain.py"
CHAIN = [
    Mutant(
        "the hash of a row covers the row before it",
        "app/model/ledger_chain.py",
        "row.update(before + _pack(values) + digests)",
        "row.update(_pack(values) + digests)",
        (LEDGER_CHAIN,),
    ),
    Mutant(
        "the hash of a row covers its texts",
        "app/model/ledger_chain.py",
        "_pack(values) + digests)",
        "_pack(values))",
        (LEDGER_CHAIN,),
    ),
    Mutant(
        "the proof of a chain's end covers its hash",
        "app/model/ledger_chain.py",
        "return blake2b(_pack(place) + last,",
        "return blake2b(_pack(place),",
        (LEDGER_CHAIN,),
    ),
    Mutant(
        "an erasure keeps the digests of the texts that it clears",
        "app/store/sql/erasures.sql",
        "text = convert_to(l.actor, 'UTF8')",
        "text = convert_to(l.reason, 'UTF8')",
        ("tests/integration/test_erase.py",),
    ),
]
