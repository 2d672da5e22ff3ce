"""Scores in a path or a parameters, and bounds of scores."""

import re
from collections.abc import Mapping

from ..model.errors import AmountRange, AmountScale, Invalid
from ..model.namespace import Namespace
from ..model.score import UNITS_MAX, to_units
from ..model.views import KeyBounds, ScoreBounds

BOUNDS = ("min_score", "max_score", "exclusive")
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?", re.ASCII)


def units_of(namespace: Namespace, text: str, field: str) -> int:
    """A score in scaled units. Invalid."""
    if not _NUMBER.fullmatch(text):
        raise Invalid("must be a number", field=field)
    try:
        return to_units(text, namespace.rules.scale, field)
    except (AmountScale, AmountRange) as problem:
        raise Invalid(problem.detail, field=field) from None


def score_bounds(parameters: Mapping[str, str], namespace: Namespace) -> ScoreBounds:
    """The bounds of scores in the parameters. Scores are whole numbers of scaled units: an exclusive bound is the
    inclusive one beside it. Bounds that cross have no score between them. Invalid."""
    exclusive = _exclusive(parameters)
    low, high = -UNITS_MAX, UNITS_MAX
    if "min_score" in parameters:
        low = units_of(namespace, parameters["min_score"], "?min_score")
    if "max_score" in parameters:
        high = units_of(namespace, parameters["max_score"], "?max_score")
    if low > high:
        raise Invalid("must not lie above max_score", field="?min_score")
    return ScoreBounds(low + ("min" in exclusive), high - ("max" in exclusive))


def key_bounds(parameters: Mapping[str, str], namespace: Namespace) -> KeyBounds:
    """The same bounds for the keys of a board. Invalid."""
    return score_bounds(parameters, namespace).keys(namespace.sign)


def _exclusive(parameters: Mapping[str, str]) -> list[str]:
    if "exclusive" not in parameters:
        return []
    names = parameters["exclusive"].split(",")
    for name in names:
        if name not in ("min", "max"):
            raise Invalid("must be min, max or min,max", field="?exclusive")
        if f"{name}_score" not in parameters:
            raise Invalid(f"needs {name}_score", field="?exclusive")
    return names
