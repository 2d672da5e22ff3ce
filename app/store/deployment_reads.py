"""Reads of what a deployment has once, in hashes that lie on one node each: while a node of a cluster is away, they are
answered from Postgres, where the truth is. What changed is asked of any partition that can tell it."""

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from ..drivers.postgres import Postgres
from ..drivers.redis import Call
from ..model.errors import Recovering, StoreUnavailable
from ..model.profile import Profile
from . import fields, keys
from .changes import latest_change_call
from .namespace_cache import key_from_row, key_text, namespace_from_row, namespace_text
from .nodes import PartitionNodes
from .partitions import NO_DEPLOYMENT
from .read_batcher import ReadBatcher

_encode = msgspec.json.Encoder().encode
_LATEST_CHANGE = latest_change_call(0)


class DeploymentReads:
    """Calls by the reader of a process. postgres: what answers instead."""

    def __init__(self, batcher: ReadBatcher, postgres: Postgres, nodes: PartitionNodes, partitions: int) -> None:
        self._call = batcher.call
        self._postgres = postgres
        self._nodes = nodes
        self._partitions = range(partitions)
        self._by_key: dict[tuple[str, str], Callable[..., Awaitable[Any]]] = {
            ("HGET", keys.DIRECTORY): self._namespace,
            ("HGET", keys.API_KEYS): self._api_key,
            ("HMGET", keys.PROFILES): self._profiles,
            ("HKEYS", keys.NAMESPACES_WITH_PROFILES): self._namespaces_with_profiles,
            ("HGET", keys.DEPLOYMENT): self._id,
        }

    async def call(self, call: Call) -> Any:
        """The reply of Redis, or the same from Postgres. StoreUnavailable where neither answers, Recovering."""
        if call == _LATEST_CHANGE:
            return await self._ask_any_partition()
        try:
            return await self._call(call)
        except StoreUnavailable:
            read = self._by_key.get((str(call[0]), str(call[1])))
            if read is None or not self._nodes.are_several:
                raise
        return await read(*call[2:])

    async def deployment_id(self) -> str:
        """The id of the deployment. StoreUnavailable, Recovering."""
        raw = await self.call(("HGET", keys.DEPLOYMENT, fields.ID))
        if not isinstance(raw, bytes):
            raise Recovering(NO_DEPLOYMENT)
        return raw.decode()

    async def _id(self, _field: str) -> bytes | None:
        row = await self._postgres.fetch_one("get_deployment")
        return None if row is None else str(row["id"]).encode()

    async def _ask_any_partition(self) -> Any:
        """The reply of the first partition that is read, on a node that answers. What all that answer were told, one of
        them tells."""
        silent: set[str] = set()
        problem: StoreUnavailable | Recovering = Recovering("no partition is read")
        for p in self._partitions:
            name = self._nodes.of(p)
            if name in silent:
                continue
            try:
                return await self._call(latest_change_call(p))
            except StoreUnavailable as error:
                silent.add(name)
                problem = error
            except Recovering as error:
                problem = error
        raise problem

    async def _namespace(self, name: str) -> bytes | None:
        row = await self._postgres.fetch_one("get_namespace", name)
        return None if row is None else namespace_text(namespace_from_row(row))

    async def _api_key(self, key_id: str) -> bytes | None:
        rows = await self._postgres.fetch("get_keys_by_id", [key_id])
        record = next((row for row in rows if row["revoked_at"] is None), None)
        if record is None:
            return None
        return key_text(key_from_row(record))

    async def _profiles(self, *users: str) -> list[bytes | None]:
        rows = await self._postgres.fetch("get_profiles_by_name", list(users))
        texts = {row["name"]: _profile_text(row) for row in rows}
        return [texts.get(user) for user in users]

    async def _namespaces_with_profiles(self) -> list[bytes]:
        rows = await self._postgres.fetch("get_namespaces_with_profiles")
        return [str(row["namespace_id"]).encode() for row in rows]


def _profile_text(row: Any) -> bytes:
    profile = Profile(**{field: row[field] for field in Profile.__struct_fields__})
    return b"%d %b" % (row["version"], _encode(profile))
