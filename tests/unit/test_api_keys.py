"""Patterns of scopes: one that no namespace's name can match is refused when the key is made."""

from __future__ import annotations

from fnmatch import fnmatchcase

import pytest

from app.access.keys import can_match


@pytest.mark.parametrize(
    ("pattern", "name"),
    [
        ("*", "f1"),
        ("f1-*", "f1-2026"),
        ("f1-20?6", "f1-2026"),
        ("[a-c]*", "b"),
        ("[!a-c]*", "d"),
        ("x" * 64 + "*", "x" * 64),
    ],
)
def test_a_pattern_that_some_name_matches_is_taken(pattern: str, name: str) -> None:
    assert can_match(pattern)
    assert fnmatchcase(name, pattern)


@pytest.mark.parametrize("pattern", ["f1/*", "f1 *", "é*", "[f1*", "[]", "f1]", "f1:*", "x" * 65, "?" * 65, "f1-*\n"])
def test_a_pattern_that_no_name_can_match_is_refused(pattern: str) -> None:
    assert not can_match(pattern)
