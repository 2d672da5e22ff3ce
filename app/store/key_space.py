"""Calls for keys of any kind: scanning them, their types, their deletion."""

from collections.abc import Sequence

from ..drivers.redis import Call


def scan_call(cursor: bytes, count: int) -> Call:
    """Asks for the next cursor and some keys of this Redis, about `count`. b"0" begins, and is the last cursor.
    O(count)."""
    return ("SCAN", cursor, "COUNT", count)


def type_call(name: str) -> Call:
    """Asks for a key's type; `none` if there is no such key. O(1)."""
    return ("TYPE", name)


def delete_call(names: Sequence[bytes | str]) -> Call:
    """Deletes keys; Redis frees their memory in the background. O(names)."""
    return ("UNLINK", *names)
