"""Counts with their nouns."""

import pytest

from app.model.text import count_text


@pytest.mark.parametrize(
    ("count", "words", "text"),
    [
        (0, ("user",), "0 users"),
        (1, ("user",), "1 user"),
        (2_000, ("user",), "2,000 users"),
        (1, ("entry", "entries"), "1 entry"),
        (3, ("entry", "entries"), "3 entries"),
    ],
)
def test_a_noun_follows_its_count(count: int, words: tuple[str, ...], text: str) -> None:
    assert count_text(count, *words) == text
