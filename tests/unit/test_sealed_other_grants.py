"""What a user's other grants add up to on a board that is sealed and still in Redis."""

import asyncio
from typing import Any, cast

import pytest

from app.model.namespace import Namespace, Rules
from app.persist.ledger_session import LedgerSession
from app.persist.other_grants import OtherGrants, other_grants_of

DAY = "2026-01-02"


class Ledger:
    """One with a seal and no other grant of the user, which lost one of 7 on the sealed board."""

    async def fetch(self, query: str, *_: Any) -> list[dict[str, Any]]:
        answers: dict[str, list[dict[str, Any]]] = {
            "get_unarchived_seals": [{"window": DAY, "seq": 50}],
            "get_open_corrections": [{"grant_id": None, "has_many": False, "has_lost_cells": False}],
            "get_cells_of_other_grants": [],
            "get_lost_cells_of_user": [{"cells": f'{{"b:all": 9, "b:{DAY}": 7, "o:{DAY}": 12}}'}],
        }
        return answers[query]


@pytest.mark.parametrize("how", ["sum", "best"])
def test_what_the_ledger_lost_counts_on_a_sealed_board(how: Any) -> None:
    """A heal takes a duplicate back from there, and leaves the lost score."""

    async def ask() -> OtherGrants:
        return await other_grants_of(
            cast(LedgerSession, Ledger()),
            Namespace(1, "n", 0, 1, Rules(aggregation=how)),
            "ann",
            40,
            grant_ids=[],
            boards=[DAY],
            labels=[],
            without=[40],
        )

    cell = asyncio.run(ask()).cells[DAY]
    assert (cell.highest, cell.lowest, cell.latest) == (7, 7, 7)
