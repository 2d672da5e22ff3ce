"""Tells a failure of a row, which no store can take, from a failure of the store, which passes."""

import asyncpg

from ..drivers.postgres import Fetch
from ..drivers.redis import RedisRefused
from .leases import Superseded

_ROW_CLASSES = ("22", "54")  # data exceptions, limits of the program
_UNIQUE = "23505"
#: Characters of a cause that are shown: a line on a screen.
CAUSE_CHARACTERS_MAX = 200
#: Seconds that a partition with too many dead letters waits, so that somebody can look before there are more. A
#: decision about one of its letters, or a restart of its persister, ends the pause.
DEAD_LETTERS_PAUSE_S = 600.0


class TooManyDeadLetters(Exception):
    """Too many entries cannot be recorded: the fault is hardly in each of them."""


class FormerPrimary(RedisRefused):
    """Rows that were read from a Redis whose place another one has taken: the log goes on there, without them."""

    def __init__(self, p: int, place: tuple[int, int], fence: tuple[int, int]) -> None:
        (epoch, seq), (last_epoch, last_seq) = place, fence
        super().__init__(
            f"the entry {epoch}-{seq} of partition {p} came from a former primary: epoch "
            f"{last_epoch} ended behind seq {last_seq}"
        )


class EpochBegan(RedisRefused):
    """Rows that were read before an epoch began: another Redis may have taken the place of the one that had them."""

    def __init__(self, p: int) -> None:
        super().__init__(f"a new epoch of partition {p} began after its rows were read: they are read again")


async def refusal_of(fetch: Fetch, p: int, place: tuple[int, int], newest_epoch: int | None) -> Exception:
    """Why a partition's offset was not moved to a place. newest_epoch: when the offset was read."""
    for fence in await fetch("get_fence", p, *place):
        return FormerPrimary(p, place, tuple(fence))
    (row,) = await fetch("get_offset", p)
    return (
        EpochBegan(p)
        if newest_epoch not in (None, row["newest_epoch"])
        else Superseded(f"another persister has partition {p}")
    )


def is_of_row(error: Exception) -> bool:
    """Whether the row is at fault: a value that Postgres does not take or asyncpg cannot encode, or a key that exists
    although duplicates are marked. Everything else (no partition of a table, a missing column, a full disk, a lock, a
    timeout) is the store's fault and makes no dead letter."""
    if isinstance(error, asyncpg.PostgresError):
        state = error.sqlstate or ""
        return state[:2] in _ROW_CLASSES or state == _UNIQUE
    return isinstance(error, (ValueError, OverflowError))


def is_bisected(error: Exception) -> bool:
    """Whether halving some rows may find the rows at fault."""
    return is_of_row(error) or isinstance(error, TooManyDeadLetters)


def code_of(error: Exception) -> str:
    """A short name of the cause for metrics: the SQLSTATE, or the kind of error."""
    return getattr(error, "sqlstate", None) or type(error).__name__


def cause_of(error: Exception) -> str:
    """The cause in one line, for an operator."""
    state = getattr(error, "sqlstate", None)
    words = " ".join(str(error).split()) or type(error).__name__
    return f"{state} {words}"[:CAUSE_CHARACTERS_MAX] if state else words[:CAUSE_CHARACTERS_MAX]


def public_cause(error: Exception) -> str:
    """The cause without clients' values, which messages about rows contain. It may be shown to everybody."""
    if is_of_row(error):
        return f"{code_of(error)} {type(error).__name__}"
    return cause_of(error)
