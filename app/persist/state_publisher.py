"""Following the changes of the deployment's state: what Redis was not told of is published, and Redis notes how far.

Whoever changes something tells Redis at once, and may die in between. A Redis that comes back older tells by its note
what it has to be told again.
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
        """Publishes what has changed since some partitions were told, on the nodes that answer: the others are told
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
