"""What Redis holds of a namespace, user by user and cell by cell, as verification reads it.

A cell is a number of one user: `b:<board>` the score there, `total`, `count`, `last`, `c:…`, `s:…`, `d:…` balances.
"""

from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any, NamedTuple

from ..model.namespace import Namespace
from ..store import keys
from ..store.boards import SINCE_DIGITS, base_of
from ..store.redis import Call, Link, Refused

_MEMBERS_A_CALL = 5_000
_USERS_A_CALL = 500
_BALANCES = ("total", "count", "last")


class Cell(NamedTuple):
    """A number of a user."""

    user: str
    cell: str
    value: int


class Kept(NamedTuple):
    """What a namespace's hash tells: the boards that stand in Redis, and the windows that are sealed."""

    boards: list[str]
    closed: dict[str, str]


async def read_kept(link: Link, namespace: Namespace) -> Kept:
    """The boards of open windows; those of sealed ones are compared when they are archived."""
    fields = await ask(link, ("HGETALL", keys.space(namespace.partition, namespace.id)))
    held = {field.decode(): value.decode() for field, value in zip(fields[::2], fields[1::2], strict=True)}
    closed = {field[2:]: value for field, value in held.items() if field.startswith("x:")}
    boards = [field[2:] for field in held if field.startswith("v:") and base_of(field[2:]) not in closed]
    return Kept(boards, closed)


async def board_cells(link: Link, namespace: Namespace, board: str) -> AsyncIterator[list[Cell]]:
    """The scores on a board, some at a time; one that moves meanwhile may come twice or with either score."""
    key, cursor = keys.board(namespace.partition, namespace.id, board), b"0"
    dated = namespace.rules.tie_break == "earliest"
    while True:
        cursor, flat = await ask(link, ("ZSCAN", key, cursor, "COUNT", _MEMBERS_A_CALL))
        pairs = zip(flat[::2], flat[1::2], strict=True)
        yield [Cell(_name(member, dated), f"b:{board}", namespace.sign * int(float(score))) for member, score in pairs]
        if cursor == b"0":
            return


async def board_cells_of(link: Link, namespace: Namespace, boards: Sequence[str], users: Sequence[str]) -> list[Cell]:
    """The scores of some users on some boards."""
    p, ns, found = namespace.partition, namespace.id, []
    dated = namespace.rules.tie_break == "earliest"
    for board in boards:
        members: list[Any] = [user.encode() for user in users]
        if dated:
            digits = await ask(link, ("HMGET", keys.orders(p, ns, board), *users))
            members = [(first or b"") + name for first, name in zip(digits, members, strict=True)]
        scores = await ask(link, ("ZMSCORE", keys.board(p, ns, board), *members))
        found += [
            Cell(user, f"b:{board}", namespace.sign * int(float(score)))
            for user, score in zip(users, scores, strict=True)
            if score is not None
        ]
    return found


async def balance_cells(link: Link, namespace: Namespace, users: Sequence[str]) -> AsyncIterator[list[Cell]]:
    """The balances of some users, some at a time; scores kept of one who is off the boards are told as the boards'."""
    prefix = keys.balances(namespace.partition, namespace.id)
    for first in range(0, len(users), _USERS_A_CALL):
        group = users[first : first + _USERS_A_CALL]
        replies = await link.run([("HGETALL", prefix + user) for user in group])
        cells: list[Cell] = []
        for user, flat in zip(group, replies, strict=True):
            if isinstance(flat, Exception):
                raise Refused(str(flat))
            cells += _balances(user, flat)
        yield cells


def _balances(user: str, flat: list[bytes]) -> Iterator[Cell]:
    for field, value in zip(flat[::2], flat[1::2], strict=True):
        name = field.decode()
        if name in _BALANCES or name[:2] in ("c:", "s:") or (name[:2] == "d:" and int(value) != 0):
            yield Cell(user, name, int(value))
        elif name[:2] == "h:":
            yield Cell(user, f"b:{name[2:]}", int(value))


def _name(member: bytes, dated: bool) -> str:
    return (member[SINCE_DIGITS:] if dated else member).decode()


async def ask(link: Link, call: Call) -> Any:
    """A reply. Refused where Redis says no."""
    (reply,) = await link.run([call])
    if isinstance(reply, Exception):
        raise Refused(str(reply))
    return reply
