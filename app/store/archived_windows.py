"""How a window that is archived leaves Redis."""

from collections.abc import Mapping, Sequence

from ..drivers.redis import Call, RedisConnection, ask, evalsha
from ..drivers.scripts import load
from ..model.namespace import Namespace
from . import fields, keys

EVICT_ARCHIVED_WINDOW = load("evict_archived_window")


def evict_call(
    namespace: Namespace,
    window: str,
    versions: Mapping[str, int],
    *,
    boards: Sequence[str] = (),
    hidden_users: Sequence[str] = (),
) -> Call:
    """From this call on reads of a window use its archive, at the highest version that one of its boards had or has.

    versions: by board, 0 for the one that Redis has; boards: those that still stand in Redis; hidden_users: users whose
    scores on them are kept aside. Reply: 0 where the window is not sealed there. O(entries of the boards).
    """
    p, ns = namespace.partition, namespace.id
    times = [keys.grant_times] if namespace.aggregation.keeps_times else []
    kinds = (keys.board, keys.tie_prefixes, keys.distinct_scores, keys.sum_tree, *times)
    board_keys = [name(p, ns, board) for board in boards for name in kinds]
    balances = [keys.balances(p, ns) + user for user in hidden_users]
    flat = [part for entry in versions.items() for part in entry]
    return evalsha(
        EVICT_ARCHIVED_WINDOW, [keys.namespace(p, ns), *board_keys, *balances], [window, len(board_keys), *flat]
    )


async def has_left(link: RedisConnection, namespace: Namespace, window: str) -> bool:
    """Whether a window is archived as far as Redis knows: its boards are gone from there. RedisRefused; O(1)."""
    state = await ask(link, ("HGET", keys.namespace(namespace.partition, namespace.id), fields.WINDOW_STATE + window))
    return state is not None and bytes(state).startswith(b"a")
