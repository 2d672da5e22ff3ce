"""Moments of Postgres as the integers that they are: a datetime each way is a tenth of what a ledger row costs."""

import asyncpg

_POSTGRES_EPOCH = 946_684_800_000_000  # 2000-01-01 UTC, from which Postgres counts its microseconds


async def use_micros(connection: asyncpg.Connection) -> None:
    """From here on this connection takes and gives each timestamptz as microseconds since 1970. asyncpg's errors."""
    await connection.set_type_codec(
        "timestamptz", schema="pg_catalog", format="tuple", encoder=_to_postgres, decoder=_from_postgres
    )


def _to_postgres(micros: int) -> tuple[int]:
    return (micros - _POSTGRES_EPOCH,)


def _from_postgres(fields: tuple[int]) -> int:
    return fields[0] + _POSTGRES_EPOCH
