"""A secret that is recorded is shown, also where Redis cannot be told: nobody else knows it."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

from app.access.keys import hash_key
from app.admin.key_registry import KeyRegistry
from app.drivers.redis import Call, RedisRefused
from app.model.errors import Invalid, StoreUnavailable
from app.settings import API_KEY

NOW = 1_800_000_000_000_000


class Table:
    """A Postgres with one key, as the queries of a registry see it."""

    def __init__(self) -> None:
        self.row: dict[str, Any] = {
            "previous_hash": None,
            "previous_until_micros": 0,
            "secret_version": 0,
            "name": None,
        }

    async def fetch(self, query: str, *args: Any) -> list[dict[str, Any]]:
        if query == "count_active_keys":
            return [{"active": 0}]
        if query == "create_key":
            self.row |= {"id": args[0], "hash": args[1], "scopes": args[2]}
        if query == "rotate_key":
            self.row |= {"hash": args[1], "secret_version": self.row["secret_version"] + 1}
        return [self.row]

    async def fetch_one(self, query: str, *args: Any) -> dict[str, Any]:
        return (await self.fetch(query, *args))[0]

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Any]:
        yield self.fetch


class Gate:
    async def check(self) -> None:
        pass

    async def note(self) -> None:
        pass


@pytest.mark.parametrize("failure", [StoreUnavailable("away"), RedisRefused("full"), OSError("lost")])
def test_a_recorded_secret_is_shown_though_nobody_can_be_told(failure: Exception) -> None:
    async def publish(call: Call, key_id: str) -> None:
        raise failure

    table = Table()
    registry = KeyRegistry(table, Gate(), publish)  # type: ignore[arg-type]
    made = asyncio.run(registry.create(["read:*"], None, "k"))
    assert (made.failure, hash_key(made.token)) == (failure, table.row["hash"])
    rotated = asyncio.run(registry.rotate(table.row["id"], grace_s=0, now=NOW, actor="k"))
    assert (rotated.failure, hash_key(rotated.token)) == (failure, table.row["hash"])
    assert made.token != rotated.token
    match = API_KEY.fullmatch(rotated.token)
    assert match is not None
    assert match[1] == table.row["id"]
    with pytest.raises(type(failure)):
        asyncio.run(registry.revoke(table.row["id"], "k"))


@pytest.mark.parametrize("scopes", [[], ["read:*"] * 101, ["all:*"], ["read:"], ["admin"]])
def test_a_key_with_wrong_scopes_is_not_made(scopes: Sequence[str]) -> None:
    async def publish(call: Call, key_id: str) -> None:
        raise AssertionError

    with pytest.raises(Invalid):
        asyncio.run(KeyRegistry(Table(), Gate(), publish).create(scopes, None, "k"))  # type: ignore[arg-type]
