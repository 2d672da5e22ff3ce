"""Updates by what users are found: ids and display names, without case, in each namespace in which they have a grant.

The row of a user who is new in a namespace is written with the counts by time (searchable_users.py). All
other changes are noted by triggers (migration 0014) and carried out here, some at a time. So are the rows of users
from before there were such rows.
"""

from collections.abc import Collection
from time import monotonic

from ..model.profile import fold_name
from .ledger_session import LedgerSession

#: Seconds that one step may take, because other chores wait meanwhile.
STEP_S = 0.1
#: Users that one statement updates: some ten ms where each is in a few namespaces.
USERS_A_CALL = 500
#: Namespaces of each that it updates: 500 users in so many take less than a second.
NAMESPACES_A_CALL = 100


class SearchUpdates:
    """Updates the rows of users who changed. Each user is one persister's, by number.

    A transaction that did not see the change may write a row after the update. So each update is done once more when
    all transactions have ended that were open after it.
    """

    def __init__(self, partitions: int) -> None:
        self._partitions = partitions
        self._is_filled = False

    async def step(self, session: LedgerSession, leases: Collection[int]) -> None:
        """Updates for at most STEP_S and one statement more. leases: the partitions of this persister. asyncpg's
        errors."""
        if not leases:
            return
        until = monotonic() + STEP_S
        while True:
            done = await self._update(session, leases)
            if not self._is_filled and 0 in leases and done < USERS_A_CALL:
                done += await self._fill(session)
            if not done or monotonic() >= until:
                return

    async def _update(self, session: LedgerSession, leases: Collection[int]) -> int:
        """Updates the rows of some users. Returns of how many."""
        due = await session.fetch("get_due_search_updates", self._partitions, list(leases), USERS_A_CALL)
        if not due:
            return 0
        numbers, reached = [row["number"] for row in due], [row["reached_namespace"] for row in due]
        ids = [fold_name(row["name"]) for row in due]
        steps = await session.fetch("update_searchable_users", numbers, ids, reached, NAMESPACES_A_CALL)
        open_ends = {row["number"]: row["reached"] for row in steps if row["namespaces"] == NAMESPACES_A_CALL}
        ends = [open_ends.get(number) for number in numbers]
        await session.execute("settle_search_updates", numbers, [row["version"] for row in due], ends)
        return len(due)

    async def _fill(self, session: LedgerSession) -> int:
        """Notes the next users from before there were rows. Returns how many."""
        rows = await session.fetch("is_search_filled")
        self._is_filled = rows[0]["is_filled"]
        if self._is_filled:
            return 0
        (page,) = await session.fetch("fill_search", USERS_A_CALL)
        if not page["users"]:
            self._is_filled = bool(await session.fetch("end_search_fill"))
        return int(page["users"])
