"""The labels of a grant, and what they name."""

import pytest

from app.model.labels import Label, is_day, labels_of, parse_label


@pytest.mark.parametrize(
    ("category", "source", "day", "labels"),
    [
        (None, None, None, ()),
        ("speed", None, None, ("c:speed",)),
        (None, "race", None, ("s:race",)),
        ("c:x", "s:y", "2026-11-27", ("c:c:x", "s:s:y", "d:2026-11-27")),
    ],
)
def test_labels_name_what_they_were_made_of(
    category: str | None, source: str | None, day: str | None, labels: tuple[str, ...]
) -> None:
    assert labels_of(category, source, day=day) == labels
    names = [parse_label(label) for label in labels]
    assert names == [
        *([Label(category=category)] if category else []),
        *([Label(source=source)] if source else []),
        *([Label(day=day)] if day else []),
    ]
    assert [label for label in labels if is_day(label)] == ([f"d:{day}"] if day else [])


@pytest.mark.parametrize("board", ["all", "2026-11-27", "2026-11-27:d:x", "season:s1:c:x", "all:s:y", ""])
def test_a_board_is_no_label(board: str) -> None:
    assert parse_label(board) is None
