"""How `lua/apply.lua` is called: one batch of entries for one partition, packed into KEYS and ARGV, its reply read."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from ..drivers.redis import Call, evalsha
from ..drivers.scripts import load
from ..model.entry import PlannedEntry
from ..model.namespace import Namespace
from . import keys
from .call_cost import CALL_ENTRIES_MAX

#: Entries that are packed into one call; the bound of a call holds.
ENTRIES_MAX = CALL_ENTRIES_MAX
UNLIMITED = 10**15


class StorageLimits(NamedTuple):
    """What grants may fill. log_entries: how many entries the ledger may lack; those beyond are answered `log_full`.

    Of one namespace, 0 for no bound: users with balances, boards that stand in Redis, and entries that the ledger may
    lack where the partition has other namespaces.
    """

    log_entries: int = UNLIMITED
    users: int = 0
    boards: int = 0
    share_entries: int = 0


NO_LIMITS = StorageLimits()

APPLY = load("apply")


@dataclass(slots=True)
class PartitionHead:
    """What a caller knows of a partition. `known` is the last entry it knows to be acknowledged: epoch, seq, digest.

    oldest_starts: when the oldest generation kept began (microseconds); 0 while none was ever dropped.
    """

    epoch: int
    generations: str
    oldest_starts: int
    known: tuple[int, int, bytes]


@dataclass(frozen=True, slots=True)
class Outcome:
    """One entry's outcome. Scores in units.

    `code` is `applied`, `quarantined`, `duplicate`, `stale_user`, `stale_visibility`, `key_used`, `not_over` (a seal
    that comes too early), or a key of model.errors.OUTCOMES.
    """

    code: str
    epoch: int | None
    seq: int | None
    score: int | None
    previous: int | None
    detail: str | None


STALE_PLAN = Outcome("stale_rules", None, None, None, None, None)
STALE_USER = Outcome("stale_user", None, None, None, None, None)


class CallRefused(Exception):
    """The script looked at no entry: unopened, stale_epoch, stale_generations, lost_tail, corrupt, unwritable, and
    log_full for a call without entries."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail


def pack(
    p: int,
    entries: Sequence[PlannedEntry],
    head: PartitionHead,
    resend_after: int = -1,
    atomic: bool = False,
    bounds: StorageLimits = NO_LIMITS,
) -> Call:
    """One call. `resend_after`: the last seq known when this very batch was first sent, −1 for a first sending."""
    spaces: dict[int, tuple[int, Namespace]] = {}
    boards: dict[tuple[int, str], int] = {}
    targets: dict[tuple[int, tuple[str, ...]], int] = {}
    users: dict[str, int] = {}
    shapes: dict[tuple[str, ...], int] = {}
    prefixes: dict[int, str] = {}
    target_args: list[str] = []
    user_names: list[str] = []
    user_spaces: list[int] = []
    entry_args: list[bytes | str | int | float] = []
    for entry in entries:
        namespace, body = entry.namespace, entry.body
        ns = namespace.id
        target = targets.get((ns, entry.boards))
        if target is None:
            spaces.setdefault(ns, (len(spaces) + 1, namespace))
            prefixes[ns] = keys.balances(p, ns)
            indexes = [boards.setdefault((ns, board), len(boards) + 1) for board in entry.boards]
            target = targets[ns, entry.boards] = len(targets) + 1
            target_args.append(" ".join(map(str, indexes)))
        key = prefixes[ns] + body.user
        user = users.get(key)
        if user is None:
            user = users[key] = len(users) + 1
            user_names.append(body.user)
            user_spaces.append(ns)
        shape = shapes.setdefault(entry.labels, len(shapes) + 1)
        entry_args += (entry.id, entry.content, entry.verdict, target, user, shape, body.amount, body.weight)
        entry_args += (body.granted_at, entry.ops, entry.claim or entry.freed, entry.packed)
    generations = head.generations.split(",")
    with_days = any(label.startswith("d:") for shape in shapes for label in shape)
    epoch, seq, digest = head.known
    return evalsha(
        APPLY,
        [
            keys.log(p),
            keys.meta(p),
            keys.rules(p),
            keys.hidden(p),
            *(keys.dedup(p, generation) for generation in generations),
            *(key for ns in spaces for key in (keys.namespace(p, ns), keys.hidden_in(p, ns))),
            *(key for ns, window in boards for key in _board_keys(p, spaces[ns][1], window)),
            *(_with_days(p, users, user_spaces, user_names) if with_days else users),
        ],
        [
            *(head.epoch, head.generations, f"{epoch}-{seq}", digest, resend_after, int(atomic), *bounds),
            *(len(generations), len(boards), len(users), len(spaces), len(targets), len(shapes), len(entries)),
            int(with_days),
            *(part for _, namespace in spaces.values() for part in _namespace_args(namespace)),
            *(part for ns, window in boards for part in (spaces[ns][0], window)),
            *user_names,
            *target_args,
            *_label_set_args(shapes),
            *entry_args,
        ],
    )


def _with_days(p: int, balances: Iterable[str], spaces: Sequence[int], names: Sequence[str]) -> Iterator[str]:
    """The keys of users, where some have days: of a user who has none the key of their days stays unused."""
    prefixes = {ns: keys.days(p, ns) for ns in set(spaces)}
    for key, ns, name in zip(balances, spaces, names, strict=True):
        yield key
        yield prefixes[ns] + name


def _label_set_args(shapes: Iterable[tuple[str, ...]]) -> Iterator[int | str]:
    for shape in shapes:
        yield len(shape)
        yield from shape


def _namespace_args(namespace: Namespace) -> tuple[int | str, ...]:
    rules = namespace.rules
    limits = ",".join(f"{per} {_text(grants)} {_text(amount)}" for per, grants, amount in namespace.limits)
    return (
        *(namespace.id, namespace.version, rules.aggregation, rules.order, rules.tie_break, rules.ranking),
        *(limits, rules.suspicious, int(rules.statistics), int(rules.bounded_sums)),
    )


def _text(bound: int | None) -> str:
    return "" if bound is None else str(bound)


def _board_keys(p: int, namespace: Namespace, window: str) -> Iterator[str]:
    yield keys.board(p, namespace.id, window)
    if namespace.rules.tie_break != "none":
        yield keys.tie_prefixes(p, namespace.id, window)
    if namespace.rules.ranking == "dense":
        yield keys.distinct_scores(p, namespace.id, window)
    if namespace.rules.bounded_sums:
        yield keys.sum_tree(p, namespace.id, window)
    if namespace.rules.aggregation == "latest":
        yield keys.grant_times(p, namespace.id, window)


def read(reply: Any) -> list[Outcome]:
    """The outcomes in the entries' order; 'unapplied' stands for 'applied' where an atomic batch was turned down."""
    if isinstance(reply, Exception):
        raise CallRefused("corrupt", str(reply))
    first = reply[0].decode()
    if first not in ("ok", "unapplied"):
        raise CallRefused(first, reply[1].decode(errors="replace"))
    flat = iter(reply[1:])
    outcomes = []
    for code, epoch, seq, score, previous in zip(flat, flat, flat, flat, flat, strict=True):
        name = code.decode()
        detail = previous.decode(errors="replace") if isinstance(previous, bytes) else None
        if first == "unapplied" and name in ("applied", "quarantined"):
            name = "unapplied"
        outcomes.append(Outcome(name, epoch, seq, score, None if detail else previous, detail))
    return outcomes
