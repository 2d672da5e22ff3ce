"""Clearing Redis of deleted namespaces: their ids are never used again, so their keys only take room."""

from typing import Any

from ..store import keys
from ..store.directory import version_call
from ..store.redis import Call, Link, Refused
from .sink import Sink

_KEYS_A_SCAN = 1_000


async def drop(sink: Sink, link: Link, p: int) -> None:
    """Drops the boards, balances and counters of a partition's deleted namespaces. O(keys of this Redis) each.

    The version goes up first, so that no plan made before the deletion can write to what is dropped.
    """
    for namespace_id, version in await sink.deleted_namespaces(p):
        await _run(link, version_call(p, namespace_id, version))
        for pattern in keys.of_namespace(p, namespace_id):
            cursor = b"0"
            while True:
                cursor, found = await _run(link, ("SCAN", cursor, "MATCH", pattern, "COUNT", _KEYS_A_SCAN))
                if found:
                    await _run(link, ("UNLINK", *found))
                if cursor == b"0":
                    break
        await sink.mark_dropped(namespace_id)


async def _run(link: Link, call: Call) -> Any:
    (reply,) = await link.run([call])
    if isinstance(reply, Exception):
        raise Refused(f"Redis refuses to drop a deleted namespace: {reply}")
    return reply
