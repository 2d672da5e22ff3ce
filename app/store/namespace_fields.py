"""The hash of a namespace, read some fields at a time, because it may have many and other clients wait meanwhile."""

import re
from collections.abc import AsyncIterator, Iterable, Iterator

from ..drivers.redis import Call, RedisConnection, RedisLink, ask
from ..model.namespace import Namespace
from . import fields, keys
from .boards import base_of

#: Fields that one call scans: some hundred µs.
FIELDS_A_CALL_MAX = 1_000
_GLOB = re.compile(r"([*?\[\]\\])")


def fields_of(link: RedisConnection, namespace: Namespace, beginning: str = "") -> AsyncIterator[tuple[str, str]]:
    """A namespace's fields with a prefix, and their values, as `hash_fields` reads them."""
    return hash_fields(link, keys.namespace(namespace.partition, namespace.id), beginning)


async def hash_fields(link: RedisLink, key: str, beginning: str = "") -> AsyncIterator[tuple[str, str]]:
    """A hash's fields with a prefix, and their values. Fields that exist during the whole scan are included. O(the
    hash), in pieces. RedisRefused."""
    cursor = b"0"
    match: Call = ("MATCH", _GLOB.sub(r"\\\1", beginning) + "*") if beginning else ()
    while True:
        reply = await ask(link, ("HSCAN", key, cursor, *match, "COUNT", FIELDS_A_CALL_MAX))
        if reply is None:
            return  # The link leaves this key out.
        cursor, flat = reply
        for field, value in zip(flat[::2], flat[1::2], strict=True):
            yield field.decode(errors="replace"), value.decode(errors="replace")
        if cursor == b"0":
            return


async def boards_of_window(link: RedisConnection, namespace: Namespace, window: str) -> list[str]:
    """The boards of a window that were ever in Redis, until it is archived. RedisRefused."""
    pairs = fields_of(link, namespace, fields.BOARD_VERSION + window)
    boards = {name.removeprefix(fields.BOARD_VERSION) async for name, _ in pairs}
    return sorted(board for board in boards if base_of(board) == window)


def field_names_call(namespace: Namespace) -> Call:
    """Asks for the names of all fields. O(the hash)."""
    return ("HKEYS", keys.namespace(namespace.partition, namespace.id))


def boards_in(names: Iterable[bytes]) -> Iterator[str]:
    """The boards that have a version, from the names of fields."""
    return (
        name.removeprefix(fields.BOARD_VERSION)
        for name in (raw.decode(errors="replace") for raw in names)
        if name.startswith(fields.BOARD_VERSION)
    )


def fields_call(namespace: Namespace) -> Call:
    """Asks for all fields, each followed by its value. O(the hash)."""
    return ("HGETALL", keys.namespace(namespace.partition, namespace.id))


def board_version_call(namespace: Namespace, board: str) -> Call:
    """Asks for a board's version; None: nothing was ever written there. O(1)."""
    return ("HGET", keys.namespace(namespace.partition, namespace.id), fields.BOARD_VERSION + board)


def board_version_and_totals_call(namespace: Namespace, board: str) -> Call:
    """Asks for a board's version and its totals as text, see stats_reader.parse_sums. O(1)."""
    key = keys.namespace(namespace.partition, namespace.id)
    return ("HMGET", key, fields.BOARD_VERSION + board, fields.BOARD_TOTALS + board)
