"""Statistics of boards: `lua/read_board_stats.lua` reads those of open ones, Postgres those of archived ones."""

import asyncio
from typing import Any, NamedTuple

from ..drivers.postgres import Postgres
from ..drivers.redis import Call, evalsha
from ..drivers.scripts import load
from ..model.errors import Overloaded, Recovering
from ..model.namespace import Namespace
from ..model.score import UNITS_MAX
from ..model.stats import PERCENTS, Percentiles, ScoreSums, Statistics
from . import keys
from .boards import check_opened, is_archived
from .read_batcher import ReadBatcher

READ_BOARD_STATS = load("read_board_stats")

#: Sums over archives that run at a time, for others need Postgres, too; and those that wait, as many as two requests
#: may ask for.
_ARCHIVES_AT_ONCE, _WAITING_MAX = 2, 200
#: Seconds that one of them waits for its turn, as everybody waits at most until their request is begun.
_TURN_S_MAX = 2.0


class ScoreBounds(NamedTuple):
    """The scores that are asked for, both ends included, in scaled units."""

    lowest: int = -UNITS_MAX
    highest: int = UNITS_MAX


ALL_SCORES = ScoreBounds()


class StatsReader:
    """Statistics of boards, wherever they stand."""

    def __init__(self, batcher: ReadBatcher, postgres: Postgres) -> None:
        self._batcher = batcher
        self._postgres = postgres
        self._gate = asyncio.Semaphore(_ARCHIVES_AT_ONCE)
        self._waiting = 0

    async def read(
        self,
        namespace: Namespace,
        board: str,
        bounds: ScoreBounds = ALL_SCORES,
        bins: int = 0,
        percents: Percentiles = PERCENTS,
    ) -> Statistics:
        """What a board's scores in bounds come to, as far as the namespace keeps it: the squares of a part are not.

        O(log n + bins × log n); in an archive the sum of a part is O(users in bounds). StoreUnavailable, Recovering.
        """
        reply = await self._batcher.call(stats_call(namespace, board, bounds, bins, percents))
        if not is_archived(reply):
            try:
                found = read_stats(reply, namespace.sign, percents)
            except ValueError:
                raise Recovering(f"what is kept of the board {board!r} is damaged") from None
        elif _adds_up(namespace, bounds):
            found = await self._gated(namespace, board, bounds, bins, percents, reply)
        else:
            found = await self._archived(namespace, board, bounds, bins, percents, reply)
        return found._replace(sums=_kept(namespace, bounds, found))

    async def _gated(
        self, namespace: Namespace, board: str, bounds: ScoreBounds, bins: int, percents: Percentiles, reply: Any
    ) -> Statistics:
        """A few at a time: others need Postgres, too."""
        if self._waiting >= _WAITING_MAX:
            raise Overloaded("too many ask for the sum of a part of a closed board at once")
        self._waiting += 1
        try:
            async with asyncio.timeout(_TURN_S_MAX):
                await self._gate.acquire()
        except TimeoutError:
            raise Overloaded("the sums of parts of closed boards before this one take too long") from None
        finally:
            self._waiting -= 1
        try:
            return await self._archived(namespace, board, bounds, bins, percents, reply)
        finally:
            self._gate.release()

    async def _archived(
        self, namespace: Namespace, board: str, bounds: ScoreBounds, bins: int, percents: Percentiles, reply: Any
    ) -> Statistics:
        row = await self._postgres.fetch_one(
            *(
                "get_archive_stats",
                namespace.id,
                board,
                *_keys(namespace, bounds),
                bins,
                percents.shares,
                namespace.sign,
            ),
            *(_adds_up(namespace, bounds), percents.between),
        )
        assert row is not None, "an aggregate is a row"
        found = [namespace.sign * key for key in row["percents"]] if row["count"] else [None] * _asked(percents)
        return Statistics(
            epoch=int(reply[1]),
            version=int(reply[2]),
            sums=ScoreSums(int(row["sum"] or 0), int(row["squares"] or 0)),
            users=row["count"],
            lowest=row["lowest"],
            highest=row["highest"],
            percents=percents.of(found, row["count"]),
            bins=tuple(zip(row["begins"] or (), row["counts"] or (), strict=True)),
        )


def stats_call(
    namespace: Namespace, board: str, bounds: ScoreBounds, bins: int, percents: Percentiles = PERCENTS
) -> Call:
    """The statistics of an open board."""
    p, ns = namespace.partition, namespace.id
    names = [keys.board(p, ns, board), keys.namespace(p, ns), keys.meta(p)]
    if _adds_up(namespace, bounds):
        names.append(keys.sum_tree(p, ns, board))
    how = (namespace.rules.order, int(percents.between), *percents.shares)
    return evalsha(READ_BOARD_STATS, names, [board, *_keys(namespace, bounds), bins, *how])


def _has_both(namespace: Namespace, bounds: ScoreBounds) -> bool:
    """Whether sum and squares of what is asked for are kept."""
    return namespace.rules.statistics and bounds == ALL_SCORES


def _adds_up(namespace: Namespace, bounds: ScoreBounds) -> bool:
    """Whether what is asked for is added up out of the board, or of its tree of sums."""
    return namespace.rules.bounded_sums and not _has_both(namespace, bounds)


def _kept(namespace: Namespace, bounds: ScoreBounds, found: Statistics) -> ScoreSums | None:
    """What the namespace keeps of sums, so that an archive tells no more than the board did. Recovering where they are
    none that so many scores can have."""
    sums = found.sums
    if sums is None or not _has_both(namespace, bounds):
        return ScoreSums(sums.scores, None) if sums and namespace.rules.bounded_sums else None
    if sums.squares is None or found.users * sums.squares < sums.scores**2:
        raise Recovering("the sums of this board are damaged; they are not told until they are repaired")
    return sums


def _keys(namespace: Namespace, bounds: ScoreBounds) -> tuple[int, int]:
    """Bounds of scores as bounds of a board's keys."""
    lowest, highest = bounds
    return (lowest, highest) if namespace.sign > 0 else (-highest, -lowest)


def kept_sums(text: bytes | None) -> ScoreSums:
    """A board's sums as lua/include/board_totals.lua keeps them; what cannot be read is none that is possible."""
    try:
        scores, squares = (b"0 0" if text is None else text).split(b" ")
        return ScoreSums(int(scores), int(squares))
    except ValueError:
        return ScoreSums(0, -1)


def read_stats(reply: Any, sign: int = 1, percents: Percentiles = PERCENTS) -> Statistics:
    """The reply of a stats call. Recovering where the partition's head is gone."""
    check_opened(reply)
    epoch, version, both, part, count, *rest = reply
    ends = 2 + _asked(percents)
    scores = [None if key is None else sign * int(float(key)) for key in rest[:ends]]
    bins = rest[ends:]
    return Statistics(
        epoch=int(epoch),
        version=int(version),
        sums=kept_sums(both) if part is None else ScoreSums(_part(part, sign), None),
        users=count,
        lowest=scores[0],
        highest=scores[1],
        percents=percents.of(scores[2:], count),
        bins=tuple((int(begin), number) for begin, number in zip(bins[::2], bins[1::2], strict=True)),
    )


def _asked(percents: Percentiles) -> int:
    """How many scores are read for percentiles."""
    return len(percents.shares) * (2 if percents.between else 1)


def _part(sum_of_keys: bytes, sign: int) -> int:
    if not sum_of_keys:
        raise Recovering("the sums of this board are damaged; bounded ones are not told until they are repaired")
    return sign * int(sum_of_keys)
