"""The history of the deployment's state: whether Postgres has what Redis was told of.

Each change of the state in Postgres has a version and a token. Redis notes both, in `lb:deployment` and in the meta of
each partition, once all changes up to them are published there. Whoever makes a change notes it as recorded, before it
is published. A Postgres that was restored from an older dump has a
lower version. If its state was changed since, its version may be as high, but no token comes twice.
"""

from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple

from ..drivers.postgres import Fetch
from ..drivers.redis import Call, RedisLink, RedisRefused, ask_all, evalsha
from . import fields, keys
from .namespace_cache import SET_IF_NEWER
from .partitions import LEDGER_BEHIND

#: What is to be done about a Postgres that is older than Redis.
TAKE_BACK = "run leaderboard rebuild --from-redis, or bring the newer Postgres back"
#: How the reason begins for which a partition is closed whose state Postgres does not have.
STATE_BEHIND = f"{LEDGER_BEHIND}: this Postgres is an older one"

#: Among notes by key: the one of the latest change that was recorded in Postgres, published or not.
RECORDED = "recorded"


class StateNote(NamedTuple):
    """How far Redis was told of the state: all changes up to a version are published. token: that of the last one;
    empty at version 0, before any change."""

    version: int
    token: str = ""

    def __str__(self) -> str:
        return f"{self.version} {self.token}".rstrip()

    @classmethod
    def parse(cls, text: str | None) -> "StateNote":
        """A note as Redis has it; version 0 for none. ValueError."""
        version, _, token = (text or "0").partition(" ")
        return cls(int(version), token)

    @property
    def micros(self) -> int:
        """When the last change was made, by the clock of the Postgres that had it; 0: unknown."""
        text = self.token.partition("-")[0]
        return int(text) if text.isdigit() else 0


class StateHistory(NamedTuple):
    """Postgres' state, as it was compared with Redis. latest: of its last change; behind: why it is not the one that
    Redis was told of; None: it is."""

    latest: StateNote
    behind: str | None


async def compare_state(fetch: Fetch, notes: Collection[StateNote]) -> StateHistory:
    """Postgres' state compared with notes of Redis that were read before. A note that is older than the journal counts
    as known. RedisRefused if Postgres is not migrated; O(notes × log n)."""
    rows = await fetch("get_state_history", sorted({note.version for note in notes}))
    if not rows:
        raise RedisRefused("Postgres is not migrated: run leaderboard migrate")
    latest = StateNote(rows[0]["state_version"], rows[0]["state_token"])
    tokens = {row["version"]: row["token"] for row in rows if row["version"] is not None}
    return StateHistory(latest, _behind(latest, {0: "", **tokens, latest.version: latest.token}, notes))


def _behind(latest: StateNote, tokens: Mapping[int, str], notes: Collection[StateNote]) -> str | None:
    last = max(notes, default=latest)
    if last.version > latest.version:
        return f"{STATE_BEHIND} (version {latest.version} of the state, Redis was told of {last.version}): {TAKE_BACK}"
    for note in notes:
        if tokens.get(note.version, note.token) != note.token:
            was = f"its version {note.version} of the state is not the one that Redis was told of"
            return f"{STATE_BEHIND} that was changed since ({was}): {TAKE_BACK}"
    return None


async def read_state_notes(link: RedisLink, partitions: Iterable[int]) -> dict[str, StateNote]:
    """The notes of the deployment and of some partitions, by key, and the one of what was RECORDED; of those that there
    are. RedisRefused."""
    names = [keys.DEPLOYMENT, *map(keys.meta, partitions)]
    calls = [*map(note_call, names), recorded_call()]
    replies = zip([*names, RECORDED], calls, await ask_all(link, calls, what="a note of the state"), strict=True)
    return {name: parse_note(call, reply) for name, call, reply in replies if reply is not None}


def published_version(notes: Mapping[str, StateNote], latest: StateNote) -> int:
    """Up to which version everything is published, by some notes of Redis; without any, that of `latest`."""
    return min((note.version for name, note in notes.items() if name != RECORDED), default=latest.version)


def note_call(key: str) -> Call:
    """Asks for the note of the deployment or of a partition's meta. O(1)."""
    return ("HGET", key, fields.STATE_VERSION)


def recorded_call() -> Call:
    """Asks for the note of what was recorded in Postgres. O(1)."""
    return ("HGET", keys.DEPLOYMENT, fields.STATE_RECORDED)


def note_recorded_call(note: StateNote) -> Call:
    """Notes that a change is recorded in Postgres, and about to be published; a later one stays. O(1)."""
    return evalsha(SET_IF_NEWER, [keys.DEPLOYMENT], [fields.STATE_RECORDED, str(note)])


def parse_note(call: Call, reply: bytes) -> StateNote:
    """The note in the reply to one of these calls. RedisRefused."""
    try:
        return StateNote.parse(reply.decode())
    except ValueError:
        raise RedisRefused(f"{call[1]!s}: {call[2]!s} is not what it should be") from None


async def note_published(link: RedisLink, partitions: Iterable[int], note: StateNote) -> None:
    """Records that all of the deployment's state up to a version is published, in the deployment and in partitions; a
    later version stays. RedisRefused."""
    hashes = [keys.DEPLOYMENT, *map(keys.meta, partitions)]
    await ask_all(link, [evalsha(SET_IF_NEWER, [key], [fields.STATE_VERSION, str(note)]) for key in hashes])
