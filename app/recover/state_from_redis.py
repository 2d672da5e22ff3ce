"""An older Postgres gets the deployment's state back from Redis: namespaces, API keys, what is wished for users, and
profiles.

What was changed on this Postgres since it was restored is known by the moments in the tokens of its journal. Where both
changed the same thing, what is stricter stays, and the report names it.

Redis does not have: who made a namespace or hid a user, and when; events, archives and seals; what namespaces that are
deleted were; names that were erased.
"""

from ..admin.migrate import publish_deployment
from ..drivers.postgres import Postgres
from ..drivers.redis import RedisConnection, RedisRefused
from ..store.partitions import NO_DEPLOYMENT, read_deployment
from ..store.redis_state import read_highest_versions, read_names
from ..store.state_history import StateNote, compare_state, read_state_notes
from .lost_erasures import find_whole, release_erased_names, take_erasures
from .namespaces_from_redis import take_keys, take_namespaces
from .state_taking import StateReport, StateTaking
from .users_from_redis import take_profiles, take_states


async def take_state(postgres: Postgres, link: RedisConnection) -> StateReport:
    """Takes back what Redis has in a newer version, and publishes all of it, under a new version of the state. Where
    Postgres is not the older one, nothing. Killed and run again it goes on: what is taken already is no difference any
    more. `link` knows `admin.migrate.SCRIPTS`; all nodes of Redis must answer. RedisRefused, StoreUnavailable, what a
    node raises; O(the state)."""
    report, row = StateReport(), await postgres.fetch_one("get_deployment")
    deployment = await read_deployment(link)
    if row is None:
        raise RedisRefused("Postgres is not migrated: restore a dump of it first")
    if deployment is None:
        then = "run leaderboard rebuild, if it is the right one"
        raise RedisRefused(f"{NO_DEPLOYMENT}, and has nothing to give back: {then}")
    if deployment.id != row["id"]:
        raise RedisRefused(
            f"this Redis belongs to deployment {deployment.id}, this Postgres to {row['id']}: check both URLs"
        )
    partitions = range(deployment.partitions)
    notes = set((await read_state_notes(link, partitions)).values())
    report.behind = (await compare_state(postgres.fetch, notes)).behind
    if report.behind is None:
        return report
    last, names = max(notes), await read_names(link)
    taking = StateTaking(
        postgres=postgres,
        link=link,
        partitions=deployment.partitions,
        names=names,
        highest=await read_highest_versions(link, partitions, names),
        whole=await find_whole(postgres, link),
        changed=await _changes_since(postgres, last),
        restored_micros=last.micros,
        report=report,
    )
    await take_namespaces(taking)
    await take_keys(taking)
    await release_erased_names(taking)
    await take_profiles(taking)
    await take_states(taking)
    await take_erasures(taking)
    await _begin_history(taking, notes)
    await publish_deployment(postgres, link)
    return report


async def _changes_since(postgres: Postgres, last: StateNote) -> frozenset[tuple[str, str, int]]:
    """What was changed behind the last change that Redis was told of: on this Postgres, since it was restored."""
    rows = await postgres.fetch("get_changes_since_restore", last.micros)
    return frozenset((row["kind"], row["id"], row["namespace_id"]) for row in rows)


async def _begin_history(taking: StateTaking, notes: set[StateNote]) -> None:
    """From here on this Postgres is the one that Redis was told of."""
    highest, last = taking.highest, max(notes)
    known = sorted(note for note in notes if note.version)
    async with taking.transaction() as fetch:
        await fetch("raise_announcements", highest.changes, highest.profiles)
        await fetch("delete_changes_since_restore", last.version, last.micros)
        await fetch("adopt_notes", [note.version for note in known], [note.token for note in known])
        await fetch("begin_state_version", last.version)
