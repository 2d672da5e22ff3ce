"""The labels in which a user's grants count beside the total: `c:<category>`, `s:<source>`, `d:<day>`.

apply.lua reads these names, too, and Redis has a user's balances under them.
"""

from typing import NamedTuple

#: How the label of a category, of a source and of a day begins.
CATEGORY, SOURCE, DAY = "c:", "s:", "d:"


class Label(NamedTuple):
    """What a label names: a category, a source, or a day as `YYYY-MM-DD`. The other two are None."""

    category: str | None = None
    source: str | None = None
    day: str | None = None


def labels_of(category: str | None, source: str | None, *, day: str | None = None) -> tuple[str, ...]:
    """The labels of a grant with a category and a source, and of the day on which it lies."""
    labels: tuple[str, ...] = () if category is None else (CATEGORY + category,)
    if source is not None:
        labels = (*labels, SOURCE + source)
    return labels if day is None else (*labels, DAY + day)


def parse_label(cell: str) -> Label | None:
    """What a cell's label names; None for a cell that is a board."""
    kind, name = cell[:2], cell[2:]
    if kind == CATEGORY:
        return Label(category=name)
    if kind == SOURCE:
        return Label(source=name)
    return Label(day=name) if kind == DAY else None


def is_day(label: str) -> bool:
    """Whether a label is that of a day, which is no number: the day has a live grant or not."""
    return label.startswith(DAY)
