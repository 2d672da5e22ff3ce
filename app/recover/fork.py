"""Where a partition's log in Redis and the ledger part, and what changed in the ledger behind that."""

from typing import NamedTuple

import asyncpg

from ..drivers.postgres import queries
from ..drivers.redis import RedisConnection, ask
from ..persist.ledger_session import LedgerSession
from ..store.log_format import parse_place, read_fields
from ..store.rebuilds import log_page_back_call
from .aside import aside_rows

#: Entries of a log that are compared at once, or read: some ms of each store.
ENTRIES_A_PAGE = 1_000


class Fork(NamedTuple):
    """The last entry that log and ledger both hold; seq 0: none."""

    epoch: int
    seq: int


#: Everything is behind it.
BEGINNING = Fork(0, 0)


async def find_fork(link: RedisConnection, session: LedgerSession, p: int, last_seq: int) -> Fork:
    """The fork of a partition whose head says that its log ends at `last_seq`. BEGINNING where the log does not reach
    so far back, or does not end where the head says. O(entries behind the fork × log n)."""
    before = "+"
    while page := await ask(link, log_page_back_call(p, before, ENTRIES_A_PAGE)):
        places = [parse_place(place) for place, _ in page]
        if before == "+" and places[0][1] != last_seq:
            break
        rows = await session.fetch("get_digests", p, *map(list, zip(*places, strict=True)))
        digests = {(row["epoch"], row["seq"]): bytes(row["digest"]) for row in rows}
        for place, (_, fields) in zip(places, page, strict=True):
            if digests.get(place) == read_fields(fields).digest:
                return Fork(*place)
        before = f"({page[-1][0].decode()}"
    return BEGINNING


class ForkChanges(NamedTuple):
    """What has to be written anew behind a fork. users: by namespace, how many users changed there; whole: namespaces
    that are written as a whole, because nobody can tell whom else Redis shows there."""

    partition: int
    fork: Fork
    users: dict[int, int]
    whole: frozenset[int]

    def concern(self, namespace_id: int) -> bool:
        """Whether anything has to be written in a namespace."""
        return self.fork == BEGINNING or namespace_id in self.whole or namespace_id in self.users

    async def numbers(self, connection: asyncpg.Connection, namespace_id: int) -> list[int] | None:
        """The users of a namespace who changed, by number; None: it is written as a whole. O(entries behind the
        fork)."""
        if self.fork == BEGINNING or namespace_id in self.whole:
            return None
        rows = await connection.fetch(queries()["get_users_since"], self.partition, *self.fork, namespace_id)
        return [row["number"] for row in rows]


async def read_fork_changes(
    link: RedisConnection, connection: asyncpg.Connection, p: int, fork: Fork, asides: list[int]
) -> ForkChanges:
    """What changed behind a fork. asides: the logs that were set aside: what they hold moved boards in Redis, too.
    O(entries behind the fork)."""
    if fork == BEGINNING:
        return ForkChanges(p, fork, {}, frozenset())
    rows = await connection.fetch(queries()["get_namespaces_since"], p, *fork)
    whole = {row["namespace_id"] for row in rows if row["has_erasure"]}
    for epoch in asides:
        async for row in aside_rows(link, p, epoch):
            whole |= set() if row.entry is None else {row.entry.namespace_id}
    return ForkChanges(p, fork, {row["namespace_id"]: row["users"] for row in rows}, frozenset(whole))
