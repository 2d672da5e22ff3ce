"""Calls that ask whether replicas of Redis hold what counted."""

import re
from typing import Any, NamedTuple

from redis.exceptions import ReadOnlyError, ResponseError

from ..drivers.redis import Call, evalsha, is_elsewhere
from ..drivers.scripts import load
from . import keys
from .apply import CallRefused

REWRITE_SEQ = load("rewrite_seq")
_CONNECTED = re.compile(r"^connected_slaves:(\d+)", re.MULTILINE)
# How a replica refuses to wait, and what it tells a caller who waits while it becomes one.
_DEMOTED = ("WAIT cannot be used with replica", "WAITAOF cannot be used with replica", "UNBLOCKED")
# Asks for the replicas that are connected: see `read_connected`.
CONNECTED_CALL: Call = ("INFO", "replication")


class ReplicaNeed(NamedTuple):
    """How many replicas must hold an entry, and whether on their disks and on that of Redis itself."""

    replicas: int
    is_on_disk: bool


def rewrite_seq_call(p: int) -> Call:
    """Writes a partition's seq again: a wait behind it on the same connection covers every entry so far, of all
    processes. O(1)."""
    return evalsha(REWRITE_SEQ, [keys.meta(p)], [])


def read_place(reply: Any) -> tuple[int, int]:
    """Epoch and seq of the partition whose seq was written again. CallRefused; ConnectionError where this Redis is a
    replica by now, or does not hold the partition."""
    _check_owner(reply)
    if isinstance(reply, Exception):
        raise CallRefused("unwritable", str(reply))
    if isinstance(reply[0], bytes):
        raise CallRefused(reply[0].decode(), reply[1].decode(errors="replace"))
    return int(reply[0]), int(reply[1])


def wait_calls(need: ReplicaNeed, wait_s: float) -> list[Call]:
    """Each waits `wait_s` at most until enough replicas hold what this connection wrote.

    WAITAOF alone would take a second: with an acknowledgement a replica tells what was on its disk before. So WAIT
    brings the entries there, and WAITAOF asks again.
    """
    wait_ms = max(1, int(wait_s * 1000))
    calls: list[Call] = [("WAIT", need.replicas, wait_ms)]
    if need.is_on_disk:
        calls.append(("WAITAOF", 1, need.replicas, wait_ms))
    return calls


def read_count(replies: list[Any]) -> int:
    """How many replicas hold it, by the replies to `wait_calls`; 0 also while it is not on the disk of Redis itself.

    A Redis before 7.2 has no WAITAOF: what its replicas have received counts. CallRefused for any other error;
    ConnectionError where it is a replica by now.
    """
    for reply in replies:
        _check_owner(reply)
        if isinstance(reply, ResponseError) and str(reply).startswith("unknown command"):
            replies = replies[:1]
        elif isinstance(reply, Exception):
            raise CallRefused("unwritable", str(reply))
    last = replies[-1]
    return int(last) if isinstance(last, int) else int(last[1]) if last[0] else 0


def read_connected(reply: Any) -> int | None:
    """How many replicas are connected; None where an ACL denies the question."""
    match = None if isinstance(reply, Exception) else _CONNECTED.search(reply.decode())
    return None if match is None else int(match[1])


def _check_owner(reply: Any) -> None:
    if is_elsewhere(reply):
        raise ConnectionError("a partition is on its way to another node of Redis")
    if isinstance(reply, ReadOnlyError) or (isinstance(reply, ResponseError) and str(reply).startswith(_DEMOTED)):
        raise ConnectionError("this Redis is a replica by now")
