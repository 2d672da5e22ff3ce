"""From which seq on a board's version tells which rules, and which namespace, it was read by."""

from collections.abc import Awaitable, Callable
from typing import Any

from ..drivers.postgres import Fetch
from ..drivers.redis import REDIS_ERRORS, Call
from ..model.errors import StoreUnavailable
from ..model.namespace import Namespace
from .partitions import last_seq_call


async def rules_from_seq(fetch: Fetch, call: Callable[[Call], Awaitable[Any]], namespace: Namespace) -> int | None:
    """The seq that no version of a board exceeds that was read by other rules, or in a deleted namespace of this name.
    None: unknown. The errors of `call` for the namespace's own partition; StoreUnavailable.

    Partitions count for themselves: two namespaces of one name may have had the same epoch and version. O(partitions in
    which namespaces of this name lay).
    """
    seqs = [await call(last_seq_call(namespace.partition))]
    for row in await fetch("get_former_partitions", namespace.name, namespace.partition):
        try:
            seqs.append(await call(last_seq_call(row["partition"])))
        except (StoreUnavailable, *REDIS_ERRORS):
            return None  # A node that others need is away: clients get snapshots, and the change is made.
    return None if None in seqs else max(map(int, seqs))
