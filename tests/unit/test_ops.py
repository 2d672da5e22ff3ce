"""Ops and the one text in which they travel."""

import re
from pathlib import Path

import pytest

from app.model.entry_kinds import BACKFILL, CORRECTION, ERASE, GRANT, HEAL, HIDE, KINDS, RETRY, SEAL, UNHIDE, EntryKind
from app.model.event import OF_LEDGER
from app.model.ops import (
    AFTER_PREVIOUS,
    AddToCell,
    CellOps,
    DeleteCell,
    LastGrantedAt,
    Ops,
    SealOps,
    SetCell,
    VisibilityOps,
    render_ops,
    unchanged_since,
    uncorrected_since,
)
from app.model.tie_break import tie_digits, tie_place
from tests.support.ops_text import cell_ops

PLACE = tie_place(1_700_000_000_000_000, 3)
DIGITS = tie_digits(PLACE)


@pytest.mark.parametrize(
    ("kind", "ops", "text"),
    [
        (GRANT, None, ""),
        (BACKFILL, None, "b"),
        (SEAL, SealOps(17), "s17"),
        *((kind, VisibilityOps(4), "h4") for kind in (HIDE, UNHIDE, ERASE)),
        (RETRY, CellOps(hold=unchanged_since(0)), "ru=0"),
        (CORRECTION, CellOps(), "c"),
        (CORRECTION, CellOps((AddToCell(1, 5), AddToCell(2, -5)), (AddToCell(1, 5),)), "cw1+5w2+-5l1+5"),
        (HEAL, CellOps((SetCell(1, -3), DeleteCell(2)), (DeleteCell(1),), LastGrantedAt(None)), "tw1=-3w2xl1xax"),
        (CORRECTION, CellOps((SetCell(1, 2, time=-5),), (SetCell(3, 4, time=6),)), "cw1=2@-5l3=4@6"),
        (CORRECTION, CellOps((SetCell(1, 2, tie_place=PLACE),)), f"cw1=2~{DIGITS}"),
        (CORRECTION, CellOps((AddToCell(1, 2, tie_place=PLACE),)), f"cw1+2~{DIGITS}"),
        (CORRECTION, CellOps((SetCell(1, 2, 7, PLACE),)), f"cw1=2@7~{DIGITS}"),
        (CORRECTION, CellOps(last=LastGrantedAt(-9)), "ca=-9"),
        (CORRECTION, CellOps(last=LastGrantedAt(9, is_least=True)), "ca+9"),
        (CORRECTION, CellOps(last=LastGrantedAt(9, before=11)), "ca=9@11"),
        (CORRECTION, CellOps(last=LastGrantedAt(9), hold=unchanged_since(3)), "ca=9u=3"),
        (CORRECTION, CellOps(hold=uncorrected_since(3)), "cg=3"),
        (CORRECTION, CellOps(hold=AFTER_PREVIOUS), "cf="),
    ],
)
def test_ops_travel_as_text(kind: EntryKind, ops: Ops, text: str) -> None:
    assert render_ops(kind, ops) == text
    if isinstance(ops, CellOps):
        assert cell_ops(text.removeprefix(kind.letter)) == ops, "the tests of the script write it, too"


@pytest.mark.parametrize(
    ("ops", "deletes", "lowers"),
    [
        (CellOps((AddToCell(1, 5),), (SetCell(1, 1),), LastGrantedAt(9, is_least=True)), False, False),
        (CellOps((DeleteCell(1),)), True, False),
        (CellOps(labels=(DeleteCell(2),)), True, False),
        (CellOps(last=LastGrantedAt(None)), True, False),
        (CellOps(last=LastGrantedAt(9, before=11)), False, True),
    ],
)
def test_what_keeps_a_plan_from_being_loose(ops: CellOps, deletes: bool, lowers: bool) -> None:
    assert (ops.deletes, ops.lowers_last) == (deletes, lowers)


def test_every_kind_that_the_log_has_is_an_event() -> None:
    silent = {"moved"}
    named = {name for kind in KINDS.values() for name in (kind.name, *kind.verbs)} - silent
    # A loss is appended by a script of its own, and moves nothing.
    assert named - {"correction"} == OF_LEDGER.keys() - {"duplicate", "loss"}


def test_a_kind_is_known_to_the_script_by_its_letter() -> None:
    every = (*KINDS.values(), BACKFILL, RETRY)
    plain = [kind.letter for kind in every if not kind.hides]
    assert len({*plain, HIDE.letter}) == len(plain) + 1
    table = (Path(__file__).parents[2] / "lua/include/entry_kinds.lua").read_text()
    rows = dict(re.findall(r"^  (\w) = \{ (.*) \},$", table, re.MULTILINE))
    assert {"", *rows} == {kind.letter for kind in every}
    for kind in every:
        row = rows.get(kind.letter, "")
        assert ("is_seal" in row, "is_visibility" in row) == (kind.closes_window, kind.hides)
        assert ("releases" in row) is kind.settles
