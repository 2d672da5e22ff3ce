"""Parts of which schemas are made. They are JSON Schema in the forms that generators of clients read best: a type that
may be null is a list of two types, an object lists what is always there, and nothing is put together by `allOf`."""

import json
import re
from typing import Any

Schema = dict[str, Any]

REF = "#/components/schemas/"


def ref(kind: type | str) -> Schema:
    """A reference to a type's schema, or to one in `components` by its name."""
    return {"$ref": REF + (kind if isinstance(kind, str) else kind.__name__)}


def list_of(schema: Schema) -> Schema:
    """A list of any length."""
    return {"type": "array", "items": schema}


def batch_of(kind: type) -> Schema:
    """A list as long as one request may bring."""
    return {**list_of(ref(kind)), "maxItems": 1000}


def one_of(*kinds: type | str) -> Schema:
    """One of several objects, each of which has fields that the others lack."""
    return {"oneOf": [ref(kind) for kind in kinds]}


def object_of(about: str, properties: dict[str, Schema], *, optional: dict[str, Schema] | None = None) -> Schema:
    """An object. properties: what is always there; optional: what may be absent."""
    return {
        "type": "object",
        "description": about,
        "required": [*properties],
        "properties": {**properties, **(optional or {})},
    }


def maybe(schema: Schema) -> Schema:
    """The same, or null."""
    if "$ref" in schema or "enum" in schema:
        return {"oneOf": [schema, {"type": "null"}]}
    return {**schema, "type": [schema["type"], "null"]}


def map_of(schema: Schema, about: str) -> Schema:
    """An object whose names are not known beforehand."""
    return {"type": "object", "description": about, "additionalProperties": schema}


def said(schema: Schema, about: str) -> Schema:
    """A schema with a description of its own."""
    return {**schema, "description": about}


TEXT: Schema = {"type": "string"}
#: 64 bits: generators make the smaller type where no format says so, and a seq outgrows 32.
INTEGER: Schema = {"type": "integer", "format": "int64"}
BOOLEAN: Schema = {"type": "boolean"}
NUMBER: Schema = {"type": "number", "format": "double"}
MOMENT: Schema = {"type": "string", "format": "date-time"}
AMOUNT = said(NUMBER, "An exact decimal with at most the namespace's scale of places.")


_FORMATS = {"integer": "int64", "number": "double"}


def plain(schema: Any) -> Any:
    """A schema that was made of a type, in the form of this module."""
    if isinstance(schema, list):
        return [plain(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    parts = {name: plain(value) for name, value in schema.items()}
    if isinstance(parts.get("description"), str):
        parts["description"] = re.sub(r"\s+", " ", parts["description"])
    if "default" in parts:
        parts = _said_default(parts)
    if "enum" in parts and "type" not in parts:
        parts = {"type": "string", **parts}
    kind = parts.get("type")
    if isinstance(kind, str) and kind in _FORMATS:
        parts["format"] = _FORMATS[kind]
    return _without_any_of(parts) if "anyOf" in parts else parts


def _said_default(schema: Schema) -> Schema:
    """A default in words: with one in the schema, generated clients send it, or ask for a value."""
    rest = {name: value for name, value in schema.items() if name != "default"}
    default = schema["default"]
    if default is None or ("type" in rest and rest["type"] == "object"):
        return rest
    text = f"Absent: `{json.dumps(default)}`."
    return {**rest, "description": f"{rest['description']} {text}" if "description" in rest else text}


def _without_any_of(schema: Schema) -> Schema:
    """`anyOf` of an integer, a number and null is a number or null; of one schema and null, that schema or null."""
    kinds = schema.pop("anyOf")
    is_null = {"type": "null"} in kinds
    others = [kind for kind in kinds if kind["type"] not in ("null", "integer")] if NUMBER in kinds else kinds
    others = [kind for kind in others if kind != {"type": "null"}]
    if len(others) != 1:
        raise NotImplementedError(kinds)
    return {**(maybe(others[0]) if is_null else others[0]), **schema}
