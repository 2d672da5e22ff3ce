"""Scores in a path or a query, and the bounds that they make."""

import re
from collections.abc import Mapping

from ..model.errors import Invalid
from ..model.namespace import Namespace
from ..model.score import UNITS_MAX, to_units

BOUNDS = ("min_score", "max_score", "exclusive")
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?", re.ASCII)


def units_of(namespace: Namespace, text: str, field: str) -> int:
    """A score in scaled units. Invalid, AmountScale, AmountRange."""
    if not _NUMBER.fullmatch(text):
        raise Invalid("expected a number", field=field)
    return to_units(text, namespace.rules.scale, field)


def bounds_of(query: Mapping[str, str], namespace: Namespace) -> tuple[int, int]:
    """The lowest and the highest key that a board may show, both of them shown; none where they cross. Scores are whole
    numbers of scaled units, so an exclusive bound is the inclusive one beside it. Invalid, AmountScale, AmountRange."""
    exclusive = _exclusive(query)
    low, high = -UNITS_MAX, UNITS_MAX
    if "min_score" in query:
        low = units_of(namespace, query["min_score"], "?min_score") + ("min" in exclusive)
    if "max_score" in query:
        high = units_of(namespace, query["max_score"], "?max_score") - ("max" in exclusive)
    return (low, high) if namespace.sign > 0 else (-high, -low)


def _exclusive(query: Mapping[str, str]) -> list[str]:
    if "exclusive" not in query:
        return []
    named = query["exclusive"].split(",")
    for name in named:
        if name not in ("min", "max"):
            raise Invalid("knows min and max, separated by a comma", field="?exclusive")
        if f"{name}_score" not in query:
            raise Invalid(f"needs {name}_score", field="?exclusive")
    return named
