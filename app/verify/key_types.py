"""Keys of a namespace's boards that have a wrong type. These boards are not compared further."""

from ..drivers.redis import RedisConnection
from ..model.namespace import Namespace
from ..store import keys
from ..store.key_space import type_call
from .redis_values import read_board_names

#: Boards whose keys one pipeline asks for: four or five calls each, some ms of Redis.
_BOARDS_A_CALL = 1_000
_TYPES = {keys.board: b"zset", keys.tie_prefixes: b"hash", keys.distinct_scores: b"zset", keys.sum_tree: b"hash"}
_TIMED = {**_TYPES, keys.grant_times: b"hash"}


async def wrong_key_types(link: RedisConnection, namespace: Namespace) -> dict[str, str]:
    """By board, a sentence about a key that has a wrong type. O(boards)."""
    wrong: dict[str, str] = {}
    types = _TIMED if namespace.aggregation.keeps_times else _TYPES
    boards = (await read_board_names(link, namespace)).boards
    for first in range(0, len(boards), _BOARDS_A_CALL):
        pairs = [(board, kind) for board in boards[first : first + _BOARDS_A_CALL] for kind in types]
        names = [kind(namespace.partition, namespace.id, board) for board, kind in pairs]
        replies = await link.run([type_call(name) for name in names])
        for (board, kind), name, key_type in zip(pairs, names, replies, strict=True):
            if key_type not in (b"none", types[kind]):
                wrong[board] = (
                    f"board {board}, {name}: it is of the type {key_type.decode()}, not {types[kind].decode()}"
                )
    return wrong
