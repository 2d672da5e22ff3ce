"""What a new connection to Postgres costs before it does what it is for."""

import asyncio
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from app.drivers import postgres_connection
from app.drivers.postgres import connect

ARRAYS = {
    "bool": [True, False, None],
    "bytea": [b"", b"\x00\xff"],
    "int2": [-(2**15), 2**15 - 1],
    "int4": [-(2**31), 0],
    "text": ["", 'a,b"{}', "ß🦦"],
    "int8": [-(2**63), 2**63 - 1],
    "float8": [0.5, -1e300],
    "date": [date(2024, 2, 29)],
    "timestamptz": [datetime(2024, 2, 29, 12, tzinfo=UTC)],
    "numeric": [Decimal("-0.000001"), Decimal(10**30)],
}


def test_arrays_are_known_without_asking(live_server: Any) -> None:
    """Each there and back, nested ones too; Postgres remembers the last statement of a connection."""

    async def act() -> None:
        for name, value in ARRAYS.items():
            connection = await connect(live_server.postgres.url, 5)
            try:
                said: list[str] = []
                connection.add_query_logger(lambda record, said=said: said.append(record.query))
                for array in (value, [value, value]):
                    assert await connection.fetchval(f"SELECT $1::{name}[]", array) == array
                (oid,) = {await connection.fetchval(f"SELECT '{name}[]'::regtype::oid::int8")}
                assert postgres_connection._ELEMENTS[oid][1] == name
                assert not [query for query in said if "typeinfo" in query]
            finally:
                await connection.close()
        assert {name for _, name in postgres_connection._ELEMENTS.values()} == set(ARRAYS)

    asyncio.run(act())


def test_what_is_not_known_is_asked_for(live_server: Any) -> None:
    async def act() -> None:
        connection = await connect(live_server.postgres.url, 5)
        try:
            assert await connection.fetchval("SELECT '{1,2}'::oid[]") == [1, 2]
            assert await connection.fetchval("SELECT $1::int8[] || '{3}'::oid[]::int8[]", [1]) == [1, 3]
        finally:
            await connection.close()

    asyncio.run(act())
