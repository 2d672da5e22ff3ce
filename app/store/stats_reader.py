"""Statistics of boards: `lua/read_board_stats.lua` reads those of open ones, Postgres those of archived ones."""

import asyncio
from typing import Any

from ..drivers.postgres import Postgres
from ..drivers.redis import Call, evalsha
from ..drivers.scripts import load
from ..model.errors import Overloaded, Recovering
from ..model.namespace import Namespace
from ..model.stats import PERCENTS, Percentiles, ScoreSums, Statistics
from ..model.views import ALL_SCORES, ScoreBounds
from . import keys
from .boards import check_opened, is_archived
from .read_batcher import ReadBatcher

READ_BOARD_STATS = load("read_board_stats")

#: Sums over archives that run at the same time, because other requests need Postgres too; and sums that wait: as many
#: as two requests may need.
_ARCHIVES_AT_ONCE, _WAITING_MAX = 2, 200
#: Seconds that one of them waits for its turn: as long as any request may wait until it begins.
_TURN_S_MAX = 2.0


class StatsReader:
    """Statistics of boards, in Redis or in the archive."""

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
        """The statistics of a board's scores within bounds, as far as the namespace has them; never the squares of a
        part. bins: of a histogram, 0 for none.

        O(log n + bins × log n); in an archive the sum of a part is O(users in bounds). StoreUnavailable, Recovering.
        """
        reply = await self._batcher.call(stats_call(namespace, board, bounds, bins, percents))
        if not is_archived(reply):
            try:
                statistics = read_stats(reply, namespace.sign, percents)
            except ValueError:
                raise Recovering(f"the statistics of the board {board!r} are damaged") from None
        elif _adds_up(namespace, bounds):
            statistics = await self._gated(namespace, board, bounds, bins, percents, reply)
        else:
            statistics = await self._archived(namespace, board, bounds, bins, percents, reply)
        return statistics._replace(sums=_sums_by_rules(namespace, bounds, statistics))

    async def _gated(
        self, namespace: Namespace, board: str, bounds: ScoreBounds, bins: int, percents: Percentiles, reply: Any
    ) -> Statistics:
        """Reads an archive when its turn comes: few are read at the same time."""
        if self._waiting >= _WAITING_MAX:
            raise Overloaded("too many sums of parts of closed boards are read at once")
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
                *bounds.keys(namespace.sign),
                bins,
                percents.millionths,
                namespace.sign,
            ),
            *(_adds_up(namespace, bounds), percents.between),
        )
        assert row is not None, "an aggregate is a row"
        scores = [namespace.sign * key for key in row["percents"]] if row["count"] else [None] * _scores_read(percents)
        return Statistics(
            epoch=int(reply[1]),
            version=int(reply[2]),
            sums=ScoreSums(int(row["sum"] or 0), int(row["squares"] or 0)),
            users=row["count"],
            lowest=row["lowest"],
            highest=row["highest"],
            percents=percents.of(scores, row["count"]),
            bins=tuple(zip(row["begins"] or (), row["counts"] or (), strict=True)),
            is_archived=True,
        )


def stats_call(
    namespace: Namespace, board: str, bounds: ScoreBounds, bins: int, percents: Percentiles = PERCENTS
) -> Call:
    """The call that reads the statistics of a board."""
    p, ns = namespace.partition, namespace.id
    names = [keys.board(p, ns, board), keys.namespace(p, ns), keys.meta(p)]
    if _adds_up(namespace, bounds):
        names.append(keys.sum_tree(p, ns, board))
    how = (namespace.rules.order, int(percents.between), *percents.millionths)
    return evalsha(READ_BOARD_STATS, names, [board, *bounds.keys(namespace.sign), bins, *how])


def _has_totals(namespace: Namespace, bounds: ScoreBounds) -> bool:
    """Whether Redis has the sum and the squares of the scores in bounds: only for all scores of a board."""
    return namespace.rules.statistics and bounds == ALL_SCORES


def _adds_up(namespace: Namespace, bounds: ScoreBounds) -> bool:
    """Whether the sum of the scores in bounds comes from the board's sum tree, or is added up in its archive."""
    return namespace.rules.bounded_sums and not _has_totals(namespace, bounds)


def _sums_by_rules(namespace: Namespace, bounds: ScoreBounds, statistics: Statistics) -> ScoreSums | None:
    """The sums that the namespace's rules allow, so that an archive shows no more than its board did. Recovering if the
    sums are impossible for so many scores."""
    sums = statistics.sums
    if sums is None or not _has_totals(namespace, bounds):
        return ScoreSums(sums.scores, None) if sums and namespace.rules.bounded_sums else None
    if sums.squares is None or statistics.users * sums.squares < sums.scores**2:
        raise Recovering("the sums of this board are damaged; they are not shown until they are repaired")
    return sums


def parse_sums(text: bytes | None) -> ScoreSums:
    """A board's sums, as lua/include/board_totals.lua writes them. Any other text gives impossible sums."""
    try:
        scores, squares = (b"0 0" if text is None else text).split(b" ")
        return ScoreSums(int(scores), int(squares))
    except ValueError:
        return ScoreSums(0, -1)


def read_stats(reply: Any, sign: int = 1, percents: Percentiles = PERCENTS) -> Statistics:
    """The statistics in the reply of a stats call. Recovering where the partition's head is lost."""
    check_opened(reply)
    epoch, version, both, part, count, *rest = reply
    ends = 2 + _scores_read(percents)
    scores = [None if key is None else sign * int(float(key)) for key in rest[:ends]]
    bins = rest[ends:]
    return Statistics(
        epoch=int(epoch),
        version=int(version),
        sums=parse_sums(both) if part is None else ScoreSums(_part(part, sign), None),
        users=count,
        lowest=scores[0],
        highest=scores[1],
        percents=percents.of(scores[2:], count),
        bins=tuple((int(begin), number) for begin, number in zip(bins[::2], bins[1::2], strict=True)),
    )


def _scores_read(percents: Percentiles) -> int:
    """The number of scores to read for percentiles."""
    return len(percents.millionths) * (2 if percents.between else 1)


def _part(sum_of_keys: bytes, sign: int) -> int:
    if not sum_of_keys:
        raise Recovering("the sums of this board are damaged; bounded ones are not shown until they are repaired")
    return sign * int(sum_of_keys)
