"""`leaderboard migrate` and `leaderboard checkconfig`: what the stores need, and whether they have it."""

import asyncio
from typing import Annotated

import typer

from ..access.digest_key import digest_key_path
from ..access.secret_box import read_secret_box
from ..access.token_keys import read_token_keys
from ..admin import migrate as migration
from ..admin.store_agreement import check_together, find_chain, find_partitions
from ..drivers.migrations import FormatRefused
from ..drivers.postgres import Postgres
from ..drivers.redis import REDIS_ERRORS, RedisConnection, RedisRefused
from ..model.errors import StoreUnavailable
from ..model.partition_lines import partition_lines
from ..model.text import count_text
from ..settings import Settings, SettingsError, read_settings
from ..store.node_watch import replica_lacks, slot_holes
from ..store.partitions import store_faults
from .finding import FindingError


def migrate(
    partitions: Annotated[
        int | None, typer.Option(min=1, max=1024, help="Partitions of a new deployment; they bound its nodes of Redis.")
    ] = None,
) -> None:
    """Creates or updates the schema, and opens Redis and Postgres for each other. A deployment keeps the number of
    partitions with which it was made."""
    settings = read_settings(partitions=partitions)
    path = digest_key_path(settings)
    had_file = path.exists()
    lost: set[str] = set()
    count = asyncio.run(migration.migrate(settings, lost))
    if partitions not in (None, count):
        raise FindingError(f"this deployment was made with {count_text(count, 'partition')} and keeps that number")
    if path.exists() and not had_file:
        print(f"made a digest key: {path}; give it to the commands on other machines as LEADERBOARD_DIGEST_KEY")
    print(f"ready: {count_text(count, 'partition')}")
    for name in sorted(lost):
        print(f"note: Redis does not answer at {name}: it is told what changed once it does")


def checkconfig() -> None:
    """Checks every setting and what the stores are configured to do, and names all faults, one a line. Where settings
    are wrong the stores are not looked at; a store that does not answer ends the check. What is no fault, and will be
    one for who asks for more, follows as a note."""
    notes: list[str] = []
    faults = asyncio.run(_faults(read_settings(), notes))
    if faults:
        raise FindingError(*faults)
    print("\n".join(["ok", *(f"note: {note}" for note in notes)]))


async def _faults(settings: Settings, notes: list[str]) -> list[str]:
    """What is wrong with the stores; adds to the notes. Raises what stands in the way of a look where nothing else is
    wrong."""
    link, postgres = RedisConnection(settings.redis_url, []), Postgres(settings.postgres_url)
    faults: list[str] = []
    try:
        nodes = await link.links()
        if link.holes():
            faults += slot_holes(link, range(await find_partitions(settings)))
        for node in nodes:
            where = f"{node.contact.address}: " if len(nodes) > 1 else ""
            try:
                faults += [f"{where}{fault}" for fault in await store_faults(node, settings.redis_durability)]
            except REDIS_ERRORS:
                if len(nodes) == 1:
                    raise
                faults.append(node.contact.silence)
        notes += await replica_lacks(link, nodes, settings.ack_replicas)
        differences = await check_together(link, postgres)
        await find_chain(settings, postgres)
        read_secret_box(settings)
        read_token_keys(settings)
    except (RedisRefused, FormatRefused, SettingsError, StoreUnavailable) as error:
        if not faults:
            raise
        return [*faults, str(error)]
    finally:
        await link.close()
        await postgres.close()
    # A line that would be about all partitions names them, too: it stands beside faults of other things.
    return [*faults, *partition_lines(differences, len(differences) + 1)]
