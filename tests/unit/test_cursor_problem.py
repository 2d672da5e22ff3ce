"""A bad cursor is named, as far as one line shows it, with the member that gives a good one."""

from collections.abc import Callable
from typing import Any

import pytest

from app.model.cursor_problem import SHOWN_CHARACTERS_MAX
from app.model.errors import Invalid
from app.read import activity, board_bodies, events, grant_history, grant_lists, historical_boards, search

LISTS: dict[str, tuple[Callable[[str], Any], str, str]] = {
    "activity": (activity._parse_cursor, "this list", "next_cursor"),
    "grant_history": (grant_history._parse_cursor, "this list", "next_cursor"),
    "grant_lists": (grant_lists._parse_cursor, "this list", "next_cursor"),
    "search": (search._parse_cursor, "this list", "next_cursor"),
    "board": (board_bodies.parse_cursor, "a board", "next_cursor"),
    "past": (historical_boards.parse_history_cursor, "a board as_of a moment", "next_cursor"),
    "events": (events.Cursor.parse, "this list", "next_after"),
}


@pytest.mark.parametrize("name", LISTS)
@pytest.mark.parametrize("text", ["nonsense!", "", "x" * (SHOWN_CHARACTERS_MAX + 1)])
def test_a_bad_cursor_is_named(name: str, text: str) -> None:
    parse, of, source = LISTS[name]
    with pytest.raises(Invalid) as refused:
        parse(text)
    shown = repr(text[:SHOWN_CHARACTERS_MAX]) + ("…" if len(text) > SHOWN_CHARACTERS_MAX else "")
    assert refused.value.detail == (
        f"{shown} is not a cursor of {of}; send the {source} of the page before, or leave it out for the first page"
    )
    assert refused.value.field == ("?after" if name == "events" else "?cursor")
