"""Following the changes of the deployment's state: what Redis was not told of is published, and Redis notes how far.

Whoever changes something tells Redis at once, and may die in between. A Redis that comes back older tells by its note
what it has to be told again.
"""

from collections.abc import Collection

from ..drivers.redis import RedisConnection
from ..store.partitions import note_published, read_state_versions
from ..store.state_publication import JOURNAL_CHANGES_MAX, StatePublication
from .ledger_session import LedgerSession


class StatePublisher:
    """One persister's share. `link` knows PUBLISHING_SCRIPTS; partitions: of the deployment."""

    async def publish(self, session: LedgerSession, link: RedisConnection, partitions: Collection[int]) -> None:
        """Publishes what has changed since some partitions were told. O(changes); RedisRefused, asyncpg's errors."""
        (row,) = await session.fetch("get_deployment")
        versions = await read_state_versions(link, partitions)
        if versions and min(versions) < row["state_version"]:
            publication = StatePublication(session.fetch, link, row["partitions"])
            await publication.publish_changes(min(versions), row["state_version"])
            await note_published(link, partitions, row["state_version"])
            await session.execute("delete_old_state_changes", JOURNAL_CHANGES_MAX)
