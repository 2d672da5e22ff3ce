"""How `lua/rebuild_users.lua` is called: the numbers of many users of a namespace, packed into KEYS and ARGV."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import Any, NamedTuple

from ..drivers.redis import Call, RedisRefused, evalsha
from ..drivers.scripts import load
from ..model.labels import is_day
from ..model.namespace import Namespace
from ..model.streak import stretches_of
from ..model.tie_break import prefix_of
from ..model.user_cells import UserCells
from . import fields, keys
from .apply import board_keys, namespace_args

REBUILD_USERS = load("rebuild_users")
#: Users of one call: some ms of Redis, in which everybody else waits.
USERS_A_CALL_MAX = 500
#: Scores and balances of one call, for the same reason; a user is never cut.
SCORES_A_CALL_MAX = 6_000
#: Shapes of users that a packer remembers: some hundred bytes each.
SHAPES_CACHED_MAX = 10_000

#: Fields of balances that are no cells: when the user changed.
_CHANGES = (fields.SEQ, fields.CORRECTED, fields.CHANGED_AT)


class RebuiltUser(NamedTuple):
    """A user as they are written. grants: moment (microseconds) and amount of each grant that velocities count; former:
    boards on which a user who is replaced may stand, and has no score any more."""

    name: str
    state: UserCells
    grants: Sequence[tuple[int, int]] = ()
    former: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        """What a call spends on the user: scores, balances and grants."""
        return len(self.state.cells) + len(self.grants) + len(self.former)


class _BoardIndexes(NamedTuple):
    """A board of a shape, with the indexes of its values among the user's, from 1; 0: none, and without a score the
    user leaves the board."""

    board: str
    score: int
    prefix: int
    time: int


class _Shape(NamedTuple):
    """What the packed values of some users have alike: where each value comes from, and where each goes to."""

    sources: tuple[str, ...]
    prefixes: tuple[int, ...]
    boards: tuple[_BoardIndexes, ...]
    fields: tuple[tuple[str, int], ...]


class UserPacker:
    """Packs calls for one namespace. Users whose cells have the same names share a shape, so names travel once.
    are_replaced: whether something of the users may stand there, which goes."""

    def __init__(self, namespace: Namespace, *, has_balances: bool = True, are_replaced: bool = False) -> None:
        self._namespace = namespace
        self._are_replaced = are_replaced
        self._tie_break = namespace.rules.tie_break
        self._has_balances = has_balances
        self._has_velocity = bool(namespace.limits) and has_balances
        self._has_days = namespace.rules.streaks and has_balances
        self._shapes: dict[tuple[Any, ...], _Shape] = {}

    def call(
        self, users: Sequence[RebuiltUser], before: str, after: str, version: int, kinds: Sequence[UserCells] = ()
    ) -> Call:
        """One call. before, after: the progress in meta; version: that the boards get; kinds: of what boards and labels
        without a user there were. O(cells)."""
        namespace, p = self._namespace, self._namespace.partition
        boards: dict[str, int] = {}
        numbers: dict[int, int] = {}  # of shapes, by their ids: a shape's hash costs more than all else here
        shape_args: list[str | int] = []
        user_args: list[str | int | bytes] = []
        shapes_of_users = [self._shape_of(user.state, user.former) for user in users]
        shapes = [*(self._shape_of(kind, ()) for kind in kinds), *shapes_of_users]
        for shape in shapes:
            if id(shape) not in numbers:
                numbers[id(shape)] = len(numbers) + 1
                shape_args += _shape_args(shape, boards)
        for user, shape in zip(users, shapes_of_users, strict=True):
            user_args += (user.name, numbers[id(shape)])
            user_args += self._values(user.state, shape)
            if self._has_velocity:
                user_args.append(len(user.grants))
                user_args += (part for grant in user.grants for part in grant)
            if self._has_days:
                stretches = stretches_of(date.fromisoformat(name[2:]) for name in user.state.cells if is_day(name))
                user_args.append(len(stretches))
                user_args += (part for stretch in stretches.items() for part in stretch)
        flags = int(self._has_days), int(self._has_balances), int(self._are_replaced)
        counts = len(boards), len(users), len(numbers), *flags
        return evalsha(
            REBUILD_USERS,
            [
                *(keys.meta(p), keys.hidden(p), keys.namespace(p, namespace.id), keys.hidden_in(p, namespace.id)),
                *(key for board in boards for key in board_keys(p, namespace, board)),
                *self._user_keys(users),
            ],
            [
                *(before, after, version, *counts, *namespace_args(namespace)),
                *(part for board in boards for part in (1, board)),
                *shape_args,
                *user_args,
            ],
        )

    def _user_keys(self, users: Sequence[RebuiltUser]) -> Iterator[str]:
        p, ns = self._namespace.partition, self._namespace.id
        balances, days = keys.balances(p, ns), keys.days(p, ns)
        for user in users:
            yield balances + user.name
            if self._has_days:
                yield days + user.name

    def _values(self, state: UserCells, shape: _Shape) -> list[str | int]:
        cells = state.cells
        values: list[str | int] = [cells.get(name, 0) for name in shape.sources]
        for i in shape.prefixes:
            values[i] = prefix_of(int(values[i]), self._tie_break)
        if self._has_balances:
            values.append(state.changed_seq or 0)
            values += (value for value in (state.corrected_seq, state.score_changed_at) if value is not None)
        return values

    def _shape_of(self, state: UserCells, former: tuple[str, ...]) -> _Shape:
        missing = state.corrected_seq is None, state.score_changed_at is None
        key = tuple(state.cells), state.is_uniform, former, *missing
        shape = self._shapes.get(key)
        if shape is None:
            if len(self._shapes) >= SHAPES_CACHED_MAX:
                self._shapes.clear()
            shape = self._shapes[key] = self._make_shape(state, former)
        return shape

    def _make_shape(self, state: UserCells, former: tuple[str, ...]) -> _Shape:
        """A uniform user has one score everywhere, one time and one tie place: each travels once."""
        names = [name for name in state.cells if not is_day(name)]
        if self._has_balances:
            names += [name for name in (fields.TOTAL, fields.COUNT) if name not in state.cells]
        sources: dict[str, str] = {}  # by what a value is: the first cell that it is
        for name in names:
            sources.setdefault(_value_of(name) if state.is_uniform else name, name)
        indexes = {value: i for i, value in enumerate(sources, 1)}
        index_of = {name: indexes[_value_of(name) if state.is_uniform else name] for name in names}
        boards = tuple(
            _BoardIndexes(name[2:], index_of[name], index_of.get(f"o:{name[2:]}", 0), index_of.get(f"g{name}", 0))
            for name in names
            if name[:2] == "b:"
        ) + tuple(_BoardIndexes(board, 0, 0, 0) for board in former)
        prefixes = tuple(i - 1 for i, name in enumerate(sources.values(), 1) if name[:2] == "o:")
        return _Shape(tuple(sources.values()), prefixes, boards, self._fields(state, index_of, len(sources)))

    def _fields(self, state: UserCells, index_of: Mapping[str, int], count: int) -> tuple[tuple[str, int], ...]:
        """The fields of the balances, with the indexes of their values. Behind `count` cells stand those of changes."""
        if not self._has_balances:
            return ()
        changes = [fields.SEQ]
        changes += [] if state.corrected_seq is None else [fields.CORRECTED]
        changes += [] if state.score_changed_at is None else [fields.CHANGED_AT]
        pairs = [(name, i) for name, i in index_of.items() if name[:2] not in ("b:", "o:", "gb")]
        return (*pairs, *((name, count + 1 + i) for i, name in enumerate(changes)))


def _value_of(cell: str) -> str:
    """What the value of a uniform user's cell is: cells of one kind have one value."""
    if cell[0] == "g":
        return "time"
    if cell[:2] == "o:":
        return "tie place"
    return cell if cell in (fields.COUNT, fields.LAST) else "score"


def _shape_args(shape: _Shape, boards: dict[str, int]) -> Iterator[str | int]:
    """A shape as the script reads it. boards: the numbers of those named so far; new ones are added."""
    count = len(shape.sources) + sum(name in _CHANGES for name, _ in shape.fields)
    yield from (count, len(shape.boards))
    for board in shape.boards:
        yield from (boards.setdefault(board.board, len(boards) + 1), board.score, board.prefix, board.time)
    yield len(shape.fields)
    for name, number in shape.fields:
        yield from (name, number)


def read_progress(reply: Any) -> str | None:
    """None where the users were written; else the progress that meta tells, and nothing was written. RedisRefused."""
    if isinstance(reply, Exception) or reply[0] not in (b"ok", b"moved"):
        raise RedisRefused(f"the users cannot be written: {reply}")
    return None if reply[0] == b"ok" else reply[1].decode()
