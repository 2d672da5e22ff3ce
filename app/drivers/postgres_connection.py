"""A connection that knows the arrays of Postgres' own types from the start."""

from collections.abc import Collection
from typing import Any, NamedTuple

import asyncpg

#: The elements of the arrays that our statements have: the oid of the array, the element's oid and name. Postgres never
#: changes the oids of its own types.
_ELEMENTS = {
    1000: (16, "bool"),
    1001: (17, "bytea"),
    1005: (21, "int2"),
    1007: (23, "int4"),
    1009: (25, "text"),
    1016: (20, "int8"),
    1022: (701, "float8"),
    1182: (1082, "date"),
    1185: (1184, "timestamptz"),
    1231: (1700, "numeric"),
}


class _Statement(NamedTuple):
    """In place of the statement by which asyncpg asks for types. A name says that it displaced no other statement."""

    name: str = "none"


def _record(oid: int) -> dict[str, Any]:
    """What Postgres would answer about an array."""
    element, name = _ELEMENTS[oid]
    absent = ("basetype", "range_subtype", "attrtypoids", "attrnames", "basetype_name", "range_subtype_name")
    own = {"oid": oid, "ns": "pg_catalog", "name": f"_{name}", "kind": "b", "depth": 0}
    return {**own, "elemtype": element, "elemdelim": ",", "elemtype_name": name, **dict.fromkeys(absent)}


class PostgresConnection(asyncpg.Connection):
    """asyncpg asks Postgres on each new connection what an array is: two questions, and 7 ms of Postgres' processor,
    more than all else of most connections. `tests/integration/test_connections.py` asks for what this relies on."""

    async def _introspect_types(self, typeoids: Collection[int], timeout: float | None) -> tuple[Any, Any]:
        if all(oid in _ELEMENTS for oid in typeoids):
            return [_record(oid) for oid in typeoids], _Statement()
        return await super()._introspect_types(typeoids, timeout)  # type: ignore[no-any-return, misc]
