"""Verification: is every number in Redis what the ledger says, and is the ledger whole?

Writes go on meanwhile. Each read of Redis is of one instant, whose seq is known, and the ledger can tell its state at
that seq later. So no difference comes from reading the two at different times.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping

from ..drivers.postgres import queries
from ..drivers.redis import RedisRefused
from ..model.errors import NamespaceNotFound
from ..model.namespace import Namespace
from ..model.partition_lines import partition_lines
from ..store import keys
from ..store.namespace_cache import namespace_from_row
from .board_snapshot import BoardSnapshot, read_snapshot
from .connections import LedgerBehind, StoreConnections
from .key_types import wrong_key_types
from .ledger_checks import check_namespace, check_partition
from .orphan_members import orphan_members, orphan_scores, wrong_sums
from .redis_values import read_board_names
from .report import AGAIN, Progress, Report, repair_cure
from .user_values import UserComparison

#: Pairs of connections that compare users at the same time.
COMPARERS = 2
#: Users that are compared in one step. It bounds the memory.
USERS_A_STEP = 1_000
#: Look-ups of one step, users × boards: the step is repeated if a board came meanwhile.
LOOKUPS_A_STEP = 1_000_000


class Verifier:
    """One run over all partitions. O(the ledger), in bounded memory.

    all_stores: connections that compare users, one step each; aside: for the ledger's own checks; walk: for the list of
    users.
    """

    def __init__(
        self, all_stores: list[StoreConnections], aside: StoreConnections, walk: StoreConnections, progress: Progress
    ) -> None:
        self._stores = all_stores
        self._aside = aside
        self._walk = walk
        self._progress = progress
        self.report = Report()
        self._behind: dict[int, str] = {}

    async def run(self, partitions: int, wrong: Mapping[int, str], names: Collection[str] = ()) -> None:
        """Checks every partition's ledger, then every namespace; with `names`, these namespaces and their partitions
        alone. wrong: partitions whose Redis does not belong to this ledger, and why; their boards are not compared.
        NamespaceNotFound."""
        namespaces = await self._select(names)
        chosen = {namespace.partition for namespace in namespaces} if names else set(range(partitions))
        # Without a whole: a finding names its partitions, also where it is about all of them.
        for line in partition_lines({p: wrong[p] for p in chosen & wrong.keys()}, partitions + 1):
            where, _, what = line.partition(": ")
            self.report.note(where, what)
        ids = {namespace.id for namespace in namespaces}
        users = await self._aside.fetch("count_users_by_namespace")
        self._progress.begin(sum(row["users"] for row in users if row["id"] in ids))
        for p in sorted(chosen):
            self._progress.at(f"ledger, partition {p}")
            await check_partition(self._aside, p, self.report)
        for namespace in namespaces:
            self._progress.at(namespace.name)
            if namespace.partition in wrong:
                await check_namespace(self._aside, namespace, self.report)
                continue
            await asyncio.gather(check_namespace(self._aside, namespace, self.report), self._compare(namespace))
            self.report.namespaces += 1

    async def _select(self, names: Collection[str]) -> list[Namespace]:
        """The namespaces of some names, or all of them. NamespaceNotFound."""
        namespaces = [namespace_from_row(row) for row in await self._aside.fetch("get_namespaces")]
        if not names:
            return namespaces
        for name in sorted(set(names) - {namespace.name for namespace in namespaces}):
            raise NamespaceNotFound(f"there is no namespace {name!r}")
        return [namespace for namespace in namespaces if namespace.name in names]

    async def _compare(self, namespace: Namespace) -> None:
        """Compares what can be read, and reports the rest. It waits only once for a partition whose ledger is behind,
        so that one stopped partition does not keep the others from being verified."""
        p = namespace.partition
        if p in self._behind:
            self.report.note(namespace.name, f"not verified: {self._behind[p]}")
            return
        try:
            strange = await wrong_key_types(self._stores[0].link, namespace)
            for what in strange.values():
                self._note(namespace, what)
            await self._compare_boards(namespace, frozenset(strange))
        except RedisRefused as error:
            key = keys.namespace(namespace.partition, namespace.id)
            self._note(namespace, f"the rest is not verified, by what {key} tells of it: {error}")
        except LedgerBehind as error:
            self._behind[p] = str(error)
            self.report.note(namespace.name, f"not verified: {error}")

    async def _compare_boards(self, namespace: Namespace, spoilt: frozenset[str]) -> None:
        stores = self._stores[0]
        snapshot = await read_snapshot(stores, namespace, spoilt)
        if snapshot is None:
            what = "who is hidden changed all the time: its boards' sums are not verified"
            self.report.note(namespace.name, what, cure=AGAIN)
        elif await self._counts_twice(stores, namespace, snapshot):
            snapshot = None  # The duplicate is reported by itself, and its amount is in the sums.
        comparison = UserComparison(namespace, snapshot, self.report, spoilt)
        boards = len((await read_board_names(stores.link, namespace, spoilt)).boards)
        await self._walk_users(namespace, comparison, min(USERS_A_STEP, 1 + LOOKUPS_A_STEP // (boards or 1)))
        doubtful = set(comparison.incomplete)
        for board, what in await snapshot.differences(stores) if snapshot else []:
            self._note(namespace, f"board {board}, {what}")
            doubtful.add(board)
        for what in await snapshot.counts(stores) if snapshot else []:
            self._note(namespace, what)
        await self._find_orphans(stores, namespace, doubtful, spoilt)

    async def _counts_twice(self, stores: StoreConnections, namespace: Namespace, snapshot: BoardSnapshot) -> bool:
        """Whether a duplicate, or a dead letter, was in the boards at the instant of the snapshot."""
        rows = await stores.fetch("get_dead_letters_of_namespace", namespace.partition, namespace.id)
        return any(
            row["seq"] <= snapshot.seq and (row["healed_seq"] or snapshot.seq + 1) > snapshot.seq for row in rows
        )

    async def _walk_users(self, namespace: Namespace, comparison: UserComparison, count: int) -> None:
        """Compares all users that the ledger had when the walk began, some at a time, on every pair of connections."""
        async with self._walk.connection.transaction():
            cursor = await self._walk.connection.cursor(queries()["get_users_of_namespace"], namespace.id)
            turn = asyncio.Lock()

            async def some() -> dict[int, str]:
                async with turn:
                    return {row["number"]: row["name"] for row in await cursor.fetch(count)}

            work = (self._work(stores, some, comparison) for stores in self._stores)
            # All must end before one of their connections is used again.
            for error in await asyncio.gather(*work, return_exceptions=True):
                if error is not None:
                    raise error

    async def _work(
        self, stores: StoreConnections, some: Callable[[], Awaitable[dict[int, str]]], comparison: UserComparison
    ) -> None:
        while users := await some():
            await comparison.compare(stores, users)
            self._progress.step(len(users))

    async def _find_orphans(
        self, stores: StoreConnections, namespace: Namespace, doubtful: set[str], spoilt: frozenset[str]
    ) -> None:
        """Reports members, scores and sums that belong to nobody. If all known users are on a board and the counts
        match, it has no extra members, so only doubtful boards are scanned for these."""
        board_names = await read_board_names(stores.link, namespace, spoilt)
        for board in board_names.boards:
            findings = await orphan_members(stores, namespace, board) if board in doubtful else []
            findings += await orphan_scores(stores, namespace, board) if namespace.rules.ranking == "dense" else []
            findings += await wrong_sums(stores, namespace, board) if namespace.rules.bounded_sums else []
            for what in findings:
                self._note(namespace, what)

    def _note(self, namespace: Namespace, what: str) -> None:
        """Redis differs from the ledger."""
        self.report.note(namespace.name, what, cure=repair_cure(namespace.name))
