"""Follows the changes of the deployment's state: publishes what Redis lacks, and notes in Redis how far that is.

A process that changes something publishes it at once, and may die before. A Redis that comes back older has an older
note, which says from where to publish again.
"""

from collections.abc import Collection

from ..drivers.redis import RedisConnection
from ..drivers.some_nodes import PresentNodes
from ..store import keys
from ..store.announcements import Announcer
from ..store.partitions import note_published, read_state_versions
from ..store.state_publication import JOURNAL_CHANGES_MAX, StatePublication
from .ledger_session import LedgerSession


class StatePublisher:
    """One persister's share. `link` knows PUBLISHING_SCRIPTS; partitions: of the deployment."""

    async def publish(self, session: LedgerSession, link: RedisConnection, partitions: Collection[int]) -> None:
        """Publishes what has changed since the notes of some partitions, on the nodes that answer: on the others
        once they do. O(changes); RedisRefused, asyncpg's errors."""
        (row,) = await session.fetch("get_deployment")
        present = PresentNodes(link)
        versions = await read_state_versions(present, partitions)
        if versions and min(versions) < row["state_version"]:
            announcer = Announcer(session.fetch, link.run_apart, row["partitions"], is_cluster=link.is_cluster)
            publication = StatePublication(session.fetch, present, announcer, row["partitions"])
            await publication.publish_changes(min(versions), row["state_version"])
            answering = [p for p in partitions if link.node(keys.meta(p)) not in present.lost]
            await note_published(present, answering, row["state_version"])
            await session.execute("delete_old_state_changes", JOURNAL_CHANGES_MAX)
