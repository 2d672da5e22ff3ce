"""Partitions in Redis: their heads, their creation, and checks whether this Redis can be used."""

import re
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ..drivers.redis import Call, RedisLink, RedisRefused, ask, ask_all, evalsha, is_elsewhere
from ..drivers.scripts import load
from . import fields, keys
from .apply import ELSEWHERE, CallRefused, PartitionHead

INIT_PARTITION = load("init_partition")
ROTATE_DEDUP = load("rotate_dedup")
ADVANCE_FLUSHED = load("advance_flushed")
CHECK_ACL = load("check_acl")
#: How Redis is laid out. 6: the notes of the state bear tokens.
FORMAT = 6
#: Why a partition without a valid mark is not used.
UNCHECKED = "Redis has started anew, and Postgres has not answered yet whether it lacks acknowledged entries"
#: What is wrong where Redis holds no deployment, or another one.
NO_DEPLOYMENT = "this Redis lost its data, was never migrated, or is another deployment's"
#: How the reason begins for which a partition is closed where Postgres is the older one: it is read, and not written.
LEDGER_BEHIND = "ledger_behind"
VERSION_MIN = (6, 2)  # ZMSCORE, XTRIM MINID
_FSYNCS = ("always", "everysec", "no")
_VERSION = re.compile(r"^redis_version:(\d+)\.(\d+)", re.MULTILINE)

#: Has partitions of a node compared with the ledger that bear no mark of the present Redis: `store.marks.Marks.renew`.
Renew = Callable[[str], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Deployment:
    """The installation, on which Redis and Postgres must agree: its id, number of partitions, and the proof of its
    digest key, empty where it has none."""

    id: str
    partitions: int
    key_proof: str


async def read_head(link: RedisLink, p: int) -> PartitionHead:
    """A partition's head, without a known entry of its log. CallRefused if it is not opened or not valid."""
    (head,) = await read_heads(link, [p])
    if isinstance(head, CallRefused):
        raise head
    return head


async def read_heads(
    link: RedisLink, partitions: Sequence[int], mark: str | None = None
) -> list[PartitionHead | CallRefused]:
    """The heads of partitions, in order, by one round trip; in place of a bad one why `read_head` would refuse it.
    mark: the one that they must bear; None: that of this Redis."""
    heads: list[PartitionHead | CallRefused] = []
    for p, raw in zip(partitions, await link.run([("HGETALL", keys.meta(p)) for p in partitions]), strict=True):
        try:
            heads.append(_parse_head(p, raw, link.server_id(keys.meta(p)) if mark is None else mark))
        except CallRefused as refusal:
            heads.append(refusal)
    return heads


async def read_marked_heads(
    link: RedisLink, partitions: Sequence[int], renew_marks: Callable[[], Awaitable[None]]
) -> list[PartitionHead | CallRefused]:
    """The heads as `read_heads` does it; where Redis has started anew, once it was compared with the ledger."""
    heads = await read_heads(link, partitions)
    if any(isinstance(head, CallRefused) and head.code == "unchecked" for head in heads):
        await link.close()  # Who answers is asked anew: it changes on a live connection, too, where a replica joins.
        await renew_marks()
        heads = await read_heads(link, partitions)
    return heads


def lost_head(p: int) -> str:
    """What is wrong with a partition whose head is gone, and what brings it back."""
    return f"Redis lost {keys.meta(p)}: run leaderboard rebuild --partition {p}"


def _parse_head(p: int, raw: Any, mark: str) -> PartitionHead:
    if is_elsewhere(raw):
        raise CallRefused(ELSEWHERE, f"{keys.meta(p)}: {raw}")
    if isinstance(raw, Exception):
        raise CallRefused("corrupt", f"{keys.meta(p)}: {raw}")
    values = {name.decode(): value for name, value in zip(raw[::2], raw[1::2], strict=True)}
    if fields.CLOSED in values:
        raise CallRefused("closed", values[fields.CLOSED].decode(errors="replace"))
    if fields.EPOCH not in values or fields.SEQ not in values:
        raise CallRefused("unopened", lost_head(p))
    if values.get(fields.CHECKED) != mark.encode():
        raise CallRefused("unchecked", UNCHECKED)
    try:
        generations = values[fields.GENERATIONS].decode()
        oldest = int(values[fields.COMPLETE_SINCE + generations.rpartition(",")[2]])
        recovered = int(values.get(fields.RECOVERED, 0))
        return PartitionHead(int(values[fields.EPOCH]), generations, oldest, (0, 0, b""), recovered)
    except (KeyError, ValueError):
        raise CallRefused("corrupt", f"{keys.meta(p)}: a field is not what it should be") from None


async def read_deployment(link: RedisLink) -> Deployment | None:
    """The deployment of this Redis; None if it was never migrated, lost everything, or is left out. RedisRefused if it
    has another release's format, whose numbers would be misread."""
    names = fields.ID, fields.PARTITIONS, fields.FORMAT, fields.KEY_PROOF
    raw = await ask(link, ("HMGET", keys.DEPLOYMENT, *names), what=keys.DEPLOYMENT)
    if raw is None:
        return None
    _check_format(raw[2])
    return Deployment(raw[0].decode(), int(raw[1]), (raw[3] or b"").decode()) if raw[0] and raw[1] else None


def _check_format(text: bytes | None) -> None:
    if text not in (None, b"%d" % FORMAT):
        raise RedisRefused(
            f"this Redis holds format {text.decode(errors='replace')}, this release needs format {FORMAT}: "
            "use the release that wrote it, or start afresh with leaderboard dev --reset, or with an empty Redis and "
            "an empty Postgres"
        )


async def write_deployment(link: RedisLink, deployment: Deployment) -> None:
    """Records the deployment in a Redis that never had one: there is nothing that it could lack."""
    values: Call = (fields.ID, deployment.id, fields.PARTITIONS, deployment.partitions, fields.FORMAT, FORMAT)
    values = (*values, fields.KEY_PROOF, deployment.key_proof, fields.CHECKED, link.server_id(keys.DEPLOYMENT))
    await ask(link, ("HSET", keys.DEPLOYMENT, *values), what=keys.DEPLOYMENT)


async def read_last_seq(link: RedisLink, p: int) -> int:
    """The seq of a partition's latest entry; 0 if it has no head. RedisRefused."""
    return int(await ask(link, last_seq_call(p)) or 0)


def last_seq_call(p: int) -> Call:
    """Asks for the seq of a partition's latest entry."""
    return ("HGET", keys.meta(p), fields.SEQ)


def last_place_call(p: int) -> Call:
    """Asks for the epoch and the seq of a partition's latest entry; None for each if the head is lost."""
    return ("HMGET", keys.meta(p), fields.EPOCH, fields.SEQ)


def advance_flushed_call(p: int, flushed: tuple[int, int], keep_from: tuple[int, int], entries_max: int) -> Call:
    """Tells a partition up to which epoch and seq the ledger holds its log, and trims the log: before `keep_from`, with
    (0, 0) for nothing, and to `entries_max`, if the ledger has the others. Reply: 0 where Redis is in another epoch, or
    not there yet. O(entries that are trimmed)."""
    return evalsha(ADVANCE_FLUSHED, [keys.meta(p), keys.log(p)], [*flushed, *keep_from, entries_max])


def marks_call(p: int) -> Call:
    """Asks which Redis of this partition was compared with the ledger, why it is closed (None: it is not), its epoch
    (None: its head is lost), and the numbers of the latest changes that it was told of. O(1)."""
    return ("HMGET", keys.meta(p), fields.CHECKED, fields.CLOSED, fields.EPOCH, fields.CHANGES, fields.PROFILES)


async def is_deployment_checked(link: RedisLink) -> bool:
    """Whether this Redis was told of what changed in the deployment while it was another one. RedisRefused."""
    raw = await ask(link, ("HGET", keys.DEPLOYMENT, fields.CHECKED), what=keys.DEPLOYMENT)
    return bool(raw == link.server_id(keys.DEPLOYMENT).encode())


async def mark_deployment(link: RedisLink) -> None:
    """Marks it so. RedisRefused."""
    await ask(link, ("HSET", keys.DEPLOYMENT, fields.CHECKED, link.server_id(keys.DEPLOYMENT)), what=keys.DEPLOYMENT)


def rotate_call(p: int, head: PartitionHead, *, age_micros: int, entries_max: int) -> Call:
    """Begins a new dedup generation if the newest is older than `age_micros` or holds more than `entries_max` ids, and
    drops the oldest of three. O(1)."""
    newest, oldest = head.generations.partition(",")[0], head.generations.rpartition(",")[2]
    names = [keys.meta(p), keys.dedup(p, newest), keys.dedup(p, oldest)]
    return evalsha(ROTATE_DEDUP, names, [head.epoch, head.generations, age_micros, entries_max])


async def open_partitions(link: RedisLink, partitions: list[int], state_note: str) -> None:
    """Creates the heads of partitions that have none; one that has stays as it is. state_note: how far the
    deployment's state needs no publishing in them (app/store/state_history.py)."""
    calls = [
        evalsha(INIT_PARTITION, [keys.meta(p)], [FORMAT, link.server_id(keys.meta(p)), state_note]) for p in partitions
    ]
    await ask_all(link, calls, what="to open a partition")


async def check_store(link: RedisLink, durability: str) -> None:
    """RedisRefused with all `store_faults` of a node of Redis, if there are any."""
    if faults := await store_faults(link, durability):
        raise RedisRefused("; ".join(faults))


async def store_faults(link: RedisLink, durability: str) -> list[str]:
    """What is wrong with a node of Redis, each with what would be right: it is too old, has another format, may evict
    keys or is less durable than `durability` (always, everysec, none)."""
    info, text = await link.run([("INFO", "server"), ("HGET", keys.DEPLOYMENT, fields.FORMAT)])
    faults = [*_version_faults(info)]
    if not isinstance(text, Exception):  # another node holds it; the probe reports what an ACL denies
        try:
            _check_format(text)
        except RedisRefused as error:
            faults.append(str(error))
    if not link.server_id(keys.DEPLOYMENT):
        faults.append("Redis refuses INFO, by which a restart is noticed: allow it")
    settings = ("maxmemory-policy", "appendonly", "appendfsync", "no-appendfsync-on-rewrite")
    replies = await link.run([("CONFIG", "GET", name) for name in settings])
    if any(isinstance(reply, Exception) for reply in replies):
        return [*faults, *await _faults_by_info(link, durability)]
    policy, appendonly, appendfsync, without_fsync = (reply[1].decode() if reply else "" for reply in replies)
    faults += _config_faults(policy or "noeviction", durability, has_log=appendonly != "no")
    if appendfsync and _FSYNCS.index(appendfsync) > _FSYNCS.index(durability.replace("none", "no")):
        faults.append(
            f"Redis has appendfsync {appendfsync}: a grant could be lost after its answer; set {durability}, "
            "or another LEADERBOARD_REDIS_DURABILITY"
        )
    if without_fsync == "yes" and durability == "always":
        faults.append(
            "Redis has no-appendfsync-on-rewrite yes: a grant could be lost after its answer while Redis rewrites its "
            "append-only file; set no, or another LEADERBOARD_REDIS_DURABILITY"
        )
    return faults


def _version_faults(info: Any) -> Iterator[str]:
    match = None if isinstance(info, Exception) else _VERSION.search(info.decode())
    if match and tuple(map(int, match.groups())) < VERSION_MIN:
        yield f"Redis {match[1]}.{match[2]} is too old: at least {VERSION_MIN[0]}.{VERSION_MIN[1]} is needed"


def _config_faults(policy: str, durability: str, *, has_log: bool) -> Iterator[str]:
    if policy != "noeviction":
        yield f"Redis has maxmemory-policy {policy}: it may drop scores; set noeviction"
    if durability != "none" and not has_log:
        yield "Redis has appendonly no: nothing would be on disk; set yes, or LEADERBOARD_REDIS_DURABILITY=none"


async def _faults_by_info(link: RedisLink, durability: str) -> list[str]:
    """The same by INFO, if CONFIG is denied: it has eviction and append-only; appendfsync is then up to the
    operator."""
    (info,) = await link.run([("INFO",)])
    if isinstance(info, Exception):
        return [f"Redis refuses both CONFIG and INFO, so durability cannot be checked: {info}"]
    lines = dict(line.split(":", 1) for line in info.decode().splitlines() if ":" in line)
    policy = lines.get("maxmemory_policy", "noeviction")
    return [*_config_faults(policy, durability, has_log=lines.get("aof_enabled") != "0")]


async def probe(link: RedisLink, partitions: int) -> None:
    """Runs every command of the scripts on every kind of key, in the partitions of a node; RedisRefused names what an
    ACL denies."""
    named = [_probe_keys(p) for p in range(partitions)]
    for names, reply in zip(named, await link.run([evalsha(CHECK_ACL, names, []) for names in named]), strict=True):
        if is_elsewhere(reply):
            continue
        if isinstance(reply, Exception):
            raise RedisRefused(f"Redis refuses EVALSHA on {await _denied(link, names)}: {reply}")
        if reply != b"ok":
            raise RedisRefused(f"Redis refuses {reply.decode(errors='replace')}")


def _probe_keys(p: int) -> list[str]:
    return [
        *(keys.log(p), keys.meta(p), keys.rules(p), keys.hidden(p), keys.dedup(p, 0)),
        *(keys.board(p, 0, "probe"), keys.balances(p, 0) + "probe", keys.namespace(p, 0), keys.hidden_in(p, 0)),
        keys.days(p, 0) + "probe",
    ]


async def _denied(link: RedisLink, names: list[str]) -> str:
    """Finds the denied key: Redis refuses a script for one of its keys without saying which, so each is tried alone."""
    replies = await link.run([("EXISTS", name) for name in names])
    return ", ".join(name for name, reply in zip(names, replies, strict=True) if isinstance(reply, Exception)) or "all"
