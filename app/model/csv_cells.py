"""Cells of CSV that a spreadsheet does not take for formulas.

A text that begins with `=`, `+`, `-`, `@`, a tab or a carriage return gets a `'` before it, and so does one that has
such a beginning behind a `'` already: `plain_text` undoes exactly what `safe_text` did. Numbers are not touched.
"""

import re

_FORMULA = re.compile(r"'*[=+\-@\t\r]")
_SAFE = re.compile(r"'+[=+\-@\t\r]")


def safe_text(text: str) -> str:
    """A text as the cell of a table."""
    return f"'{text}" if _FORMULA.match(text) else text


def plain_text(cell: str) -> str:
    """The text of a cell."""
    return cell[1:] if _SAFE.match(cell) else cell
