"""The history of the deployment's state: whether Postgres has what Redis was told of.

Each change of the state in Postgres has a version and a token. Redis notes both, in `lb:deployment` and in the meta of
each partition, once all changes up to them are published there. A Postgres that was restored from an older dump has a
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
    """The notes of the deployment and of some partitions, by key; of those that have one. RedisRefused."""
    hashes = [keys.DEPLOYMENT, *map(keys.meta, partitions)]
    replies = await ask_all(link, [note_call(key) for key in hashes], what="the notes of the state")
    noted = zip(hashes, replies, strict=True)
    return {key: parse_note(key, reply) for key, reply in noted if reply is not None}


def note_call(key: str) -> Call:
    """Asks for the note of the deployment or of a partition's meta. O(1)."""
    return ("HGET", key, fields.STATE_VERSION)


def parse_note(key: str, reply: bytes) -> StateNote:
    """The note in the reply. RedisRefused."""
    try:
        return StateNote.parse(reply.decode())
    except ValueError:
        raise RedisRefused(f"{key}: {fields.STATE_VERSION} is not what it should be") from None


async def note_published(link: RedisLink, partitions: Iterable[int], note: StateNote) -> None:
    """Records that all of the deployment's state up to a version is published, in the deployment and in partitions; a
    later version stays. RedisRefused."""
    hashes = [keys.DEPLOYMENT, *map(keys.meta, partitions)]
    await ask_all(link, [evalsha(SET_IF_NEWER, [key], [fields.STATE_VERSION, str(note)]) for key in hashes])
