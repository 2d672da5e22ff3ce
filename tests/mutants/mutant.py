"""One broken rule."""

from typing import NamedTuple


class Mutant(NamedTuple):
    """rule: what holds, and is broken. path: the file in which `old`, which stands there once, becomes `new`. tests:
    files or tests, one of which fails then."""

    rule: str
    path: str
    old: str
    new: str
    tests: tuple[str, ...]
