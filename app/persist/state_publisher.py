"""Follows the changes of the deployment's state: publishes what Redis lacks, and notes in Redis how far that is.

A process that changes something publishes it at once, and may die before. A Redis that comes back older has an older
note, which says from where to publish again. Where Postgres is the older one, nothing is published, and every
partition is closed.
"""

from collections.abc import Collection

from ..drivers.redis import RedisConnection, RedisRefused
from ..drivers.some_nodes import PresentNodes
from ..store import keys
from ..store.announcements import Announcer
from ..store.marks import close_partitions
from ..store.state_history import compare_state, note_published, published_version, read_state_notes
from ..store.state_publication import JOURNAL_CHANGES_MAX, StatePublication
from .ledger_session import LedgerSession


class StatePublisher:
    """One persister's share. `link` knows PUBLISHING_SCRIPTS; partitions: of the deployment."""

    async def publish(self, session: LedgerSession, link: RedisConnection, partitions: Collection[int]) -> None:
        """Publishes what has changed since the notes of some partitions, on the nodes that answer: on the others
        once they do. O(changes); RedisRefused, where Postgres is older than Redis, too; asyncpg's errors."""
        (row,) = await session.fetch("get_deployment")
        everywhere, present = range(row["partitions"]), PresentNodes(link)
        notes = await read_state_notes(present, everywhere)
        state, behind = await compare_state(session.fetch, list(notes.values()))
        if behind is not None:
            await close_partitions(present, dict.fromkeys(everywhere, behind))
            raise RedisRefused(behind)
        mine = {keys.DEPLOYMENT, *map(keys.meta, partitions)}
        since = published_version({key: note for key, note in notes.items() if key in mine}, state)
        if since < state.version:
            announcer = Announcer(session.fetch, link.run_apart, row["partitions"], is_cluster=link.is_cluster)
            publication = StatePublication(session.fetch, present, announcer, row["partitions"])
            await publication.publish_changes(since, state.version)
            answering = [p for p in partitions if link.node(keys.meta(p)) not in present.lost]
            await note_published(present, answering, state)
            await session.execute("delete_old_state_changes", JOURNAL_CHANGES_MAX)
