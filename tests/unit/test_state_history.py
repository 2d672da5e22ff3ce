"""Which notes of Redis say that a Postgres is an older one."""

import asyncio
from typing import Any

import pytest

from app.store.state_history import StateNote, compare_state

#: The journal of a Postgres at version 5, which reaches back to version 3.
JOURNAL = {3: "3-a", 4: "4-a", 5: "5-a"}


async def fetch(query: str, versions: list[int]) -> Any:
    assert query == "get_state_history"
    rows = [{"version": version, "token": JOURNAL[version]} for version in versions if version in JOURNAL]
    return [{"state_version": 5, "state_token": "5-a", **row} for row in rows or [{"version": None, "token": None}]]


@pytest.mark.parametrize(
    ("notes", "reason"),
    [
        ([], None),
        (["5 5-a"], None),
        (["3 3-a", "5 5-a"], None),
        (["0", "5 5-a"], None),
        (["1 1-b"], None),  # the journal does not reach so far
        (["6 6-a"], "version 5 of the state, Redis was told of 6"),
        (["5 5-b"], "its version 5 of the state is not the one"),
        (["4 4-b"], "its version 4 of the state is not the one"),
        (["3 3-a", "4 4-b", "5 5-a"], "its version 4"),
        (["5"], "its version 5"),
    ],
)
def test_a_note_is_known_by_version_and_token(notes: list[str], reason: str | None) -> None:
    history = asyncio.run(compare_state(fetch, [StateNote.parse(note) for note in notes]))
    assert history.latest == StateNote(5, "5-a")
    assert (history.behind is None) if reason is None else (reason in (history.behind or ""))


def test_a_new_postgres_is_older_than_any_note_but_the_first() -> None:
    async def empty(query: str, versions: list[int]) -> Any:
        return [{"state_version": 0, "state_token": "", "version": None, "token": None}]

    assert asyncio.run(compare_state(empty, [StateNote(0)])).behind is None
    assert asyncio.run(compare_state(empty, [StateNote(1, "1-a")])).behind is not None


def test_a_token_begins_with_its_moment() -> None:
    assert StateNote.parse("7 1764318000123456-9f3a").micros == 1764318000123456
    assert StateNote.parse("7").micros == 0
