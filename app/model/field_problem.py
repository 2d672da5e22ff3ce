"""Says in plain words what a field must be, by its type, instead of msgspec's own message."""

import re
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from functools import cache
from typing import Any

from msgspec import inspect

_PATH = re.compile(r" - at `(\$[^`]*)`$")
_STEP = re.compile(r"\.([^.\[]+)|(\[)")
_UNKNOWN = re.compile(r"unknown field `([^`]*)`")
_MISSING = re.compile(r"missing required field `([^`]*)`")
#: An example of each kind of text with a fixed form.
_TIME, _SPAN = "2026-11-27T09:00:00Z", "P35D or PT5M"


def explain(message: str, kind: Any) -> tuple[str, str]:
    """The field that a ValidationError of a decoder of `kind` is about, and what is wrong with it.

    `$.scale`, `must be an integer from 0 to 6`. The message stays as it is if the type does not say.
    """
    match = _PATH.search(message)
    field = match[1] if match else "$"
    text = _PATH.sub("", message)
    if unknown := _UNKNOWN.search(text):
        return f"{field}.{unknown[1]}", _no_such_field(unknown[1], _types_at(kind, field))
    if missing := _MISSING.search(text):
        field = f"{field}.{missing[1]}"
        choices = _choices(_types_at(kind, field))
        return field, f"is required: {either(choices)}" if choices else "is required"
    types = _types_at(kind, field)
    if not types:
        return field, text
    out_of_range = "out of range" in text
    return field, f"must be {_describe(types)}{'; this one is too large' if out_of_range else ''}"


def either(values: Sequence[str]) -> str:
    """`a`, `a or b`, `a, b or c`."""
    *first, last = values
    return f"{', '.join(first)} or {last}" if first else last


@cache
def _type_of(kind: Any) -> inspect.Type:
    return inspect.type_info(kind)


def _types_at(kind: Any, path: str) -> list[inspect.Type]:
    """The types that a path may have, one for each member of a union; none if they are unknown."""
    types = _alternatives([_type_of(kind)])
    for name, _ in _STEP.findall(path.removeprefix("$")):
        types = _alternatives(inner for outer in types for inner in _within(outer, name))
    return types


def _alternatives(types: Iterable[inspect.Type]) -> list[inspect.Type]:
    return [one for outer in types for one in (outer.types if isinstance(outer, inspect.UnionType) else (outer,))]


def _within(outer: inspect.Type, name: str) -> Iterable[inspect.Type]:
    """The type of an object's field, or of a list's members for the empty name."""
    match outer:
        case inspect.StructType() if name:
            yield from (field.type for field in outer.fields if field.encode_name == name)
            if name == outer.tag_field:
                yield inspect.LiteralType((outer.tag,))
        case inspect.DictType():
            yield outer.value_type
        case inspect.ListType() | inspect.VarTupleType() if not name:
            yield outer.item_type
        case _:
            pass


def _no_such_field(name: str, types: list[inspect.Type]) -> str:
    """Suggests the field that was probably meant, or names all fields."""
    objects = [one for one in types if isinstance(one, inspect.StructType)]
    names = [field.encode_name for field in objects[0].fields] if len(objects) == 1 else []
    if not names:
        return "there is no such field"
    close = get_close_matches(name, names, 1)
    if close:
        return f"there is no such field; did you mean {close[0]}?"
    return f"there is no such field; there are {', '.join(names)}"


def _choices(types: list[inspect.Type]) -> list[str]:
    """The values of a field that takes only certain values; empty for any other field."""
    literals = [one for one in types if isinstance(one, inspect.LiteralType)]
    return [str(value) for one in literals for value in one.values] if len(literals) == len(types) else []


def _describe(types: list[inspect.Type]) -> str:
    words: list[str] = []
    for one in types:
        match one:
            case inspect.LiteralType():
                words += map(str, one.values)
            case inspect.FloatType() if any(isinstance(other, inspect.IntType) for other in types):
                pass
            case inspect.IntType() if any(isinstance(other, inspect.FloatType) for other in types):
                words.append("a number")
            case _:
                words.append(_describe_one(one))
    return either(list(dict.fromkeys(words)))


def _describe_one(one: inspect.Type) -> str:
    match one:
        case inspect.Metadata():
            examples = (one.extra_json_schema or {}).get("examples")
            return f"of the form {either(examples)}" if examples else _describe([one.type])
        case inspect.IntType():
            return f"an integer{_range(one)}"
        case inspect.FloatType():
            return f"a number{_range(one)}"
        case inspect.StrType():
            longest = "" if one.max_length is None else f" of at most {one.max_length} characters"
            return f"a string{longest}"
        case inspect.BoolType():
            return "true or false"
        case inspect.NoneType():
            return "null"
        case inspect.DateTimeType():
            return f"an RFC 3339 time with its zone, such as {_TIME}"
        case inspect.TimeDeltaType():
            return f"an ISO 8601 duration such as {_SPAN}"
        case inspect.ListType() | inspect.VarTupleType():
            return f"a list{_length(one)} (each member: {_describe(_alternatives([one.item_type]))})"
        case inspect.StructType() if one.array_like:
            return f"a list of at most {len(one.fields)} members"
        case inspect.StructType() | inspect.DictType():
            return "an object"
    return "another value"


def _range(one: inspect.IntType | inspect.FloatType) -> str:
    low = f"{one.ge:g}" if one.ge is not None else None
    high = f"{one.le:g}" if one.le is not None else None
    if isinstance(one, inspect.IntType):
        low, high = (None if bound is None else str(bound) for bound in (one.ge, one.le))
    if low is not None and high is not None:
        return f" from {low} to {high}"
    if one.gt is not None:
        return f" above {one.gt:g}" + (f", at most {high}" if high is not None else "")
    if low is not None:
        return f" of at least {low}"
    return f" of at most {high}" if high is not None else ""


def _length(one: inspect.ListType | inspect.VarTupleType) -> str:
    if one.max_length is None:
        return ""
    return f" of {one.min_length} to {one.max_length} members" if one.min_length else f" of at most {one.max_length}"
