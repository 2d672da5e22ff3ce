"""The balances that a user's grants are counted in beside the total, by name: `c:<category>`, `s:<source>`, `d:<day>`.

The Lua of apply.lua reads these names, too; Redis has a user's balances under them.
"""


def labels_of(category: str | None, source: str | None, *, day: str | None = None) -> tuple[str, ...]:
    """The balances that a category and a source are counted in, and the day that has a live grant."""
    labels: tuple[str, ...] = () if category is None else (f"c:{category}",)
    if source is not None:
        labels = (*labels, f"s:{source}")
    return labels if day is None else (*labels, f"d:{day}")


def is_day(label: str) -> bool:
    """Whether a label is a day, which is no number: it has a live grant or not."""
    return label.startswith("d:")
