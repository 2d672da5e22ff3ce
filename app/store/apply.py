"""Calls of `lua/apply.lua`: packs a batch of entries of one partition into KEYS and ARGV, and reads the reply."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, NamedTuple

from ..drivers.redis import Call, evalsha, is_elsewhere
from ..drivers.scripts import load
from ..model.entry import PlannedEntry
from ..model.labels import is_day
from ..model.namespace import Namespace
from ..model.ops import render_ops
from . import keys
from .call_cost import CALL_ENTRIES_MAX

#: Entries that are packed into one call; the bound of a call holds.
ENTRIES_MAX = CALL_ENTRIES_MAX
UNLIMITED = 10**15


class StorageLimits(NamedTuple):
    """The storage that grants may use. log_entries: how many entries the ledger may lack; further ones get `log_full`.

    Bounds of one namespace, 0 for none: users with balances, boards in Redis, and entries that the ledger may lack if
    the partition has other namespaces.
    """

    log_entries: int = UNLIMITED
    users: int = 0
    boards: int = 0
    share_entries: int = 0


NO_LIMITS = StorageLimits()

APPLY = load("apply")


@dataclass(slots=True)
class PartitionHead:
    """A caller's knowledge of a partition. known: the last entry that it knows to be acknowledged: epoch, seq, digest.

    oldest_starts: when the oldest generation began (microseconds); 0 while none was ever dropped. recovered: the epoch
    that the last recovery began; 0: there was none.
    """

    epoch: int
    generations: str
    oldest_starts: int
    known: tuple[int, int, bytes]
    recovered: int = 0


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

    @property
    def is_stale(self) -> bool:
        """Whether the entry must be planned again with the current rules, generations and zones."""
        return self.code in ("stale_rules", "stale_plan")


#: The basis of an entry's plan has changed, and it was not sent: it must be planned again.
STALE_PLAN = Outcome("stale_plan", None, None, None, None, None)
#: The entry before it, on which it depends, was not applied.
STALE_USER = Outcome("stale_user", None, None, None, None, None)


#: Another node holds the partition, or will in a moment; nothing was done.
ELSEWHERE = "elsewhere"
#: What the code of a refusal means, where its detail does not tell. A detail stands behind it.
_WORDS = {
    "unopened": "not opened yet",
    "unchecked": "not compared with the ledger yet",
    "lost_tail": "Redis lost entries",
    "log_full": "the log is full",
    "corrupt": "damaged in Redis",
    "unwritable": "Redis takes no writes",
}


class CallRefused(Exception):
    """The script processed no entry: closed, unopened, stale_epoch, stale_generations, lost_tail, corrupt, unwritable,
    log_full for a call without entries, and elsewhere: another node has the partition, or soon will. Or it was not
    called: unchecked."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(f"{_WORDS.get(code, code)}: {detail}")
        self.code = code
        self.detail = detail


#: How the text of a refusal begins that the partition's own mark or head causes: every process finds it by itself.
MARK_REFUSALS = tuple(f"{_WORDS.get(code, code)}: " for code in ("closed", "unopened", "unchecked"))


class _CallTables(NamedTuple):
    """What entries of a call share. Each item is numbered from 1 at its first use, so that it travels once.

    namespaces: by id, number and namespace. boards: by namespace id and name. board_sets: by namespace id and names,
    number and the numbers of the boards as text. users: by the key of their balances, number, namespace id and name.
    """

    namespaces: dict[int, tuple[int, Namespace]]
    boards: dict[tuple[int, str], int]
    board_sets: dict[tuple[int, tuple[str, ...]], tuple[int, str]]
    users: dict[str, tuple[int, int, str]]
    label_sets: dict[tuple[str, ...], int]
    entry_args: list[bytes | str | int]


def pack(
    p: int,
    entries: Sequence[PlannedEntry],
    head: PartitionHead,
    resend_after: int = -1,
    atomic: bool = False,
    bounds: StorageLimits = NO_LIMITS,
) -> Call:
    """One call. `resend_after`: the last seq known when these very entries were first sent, −1 for a first sending."""
    namespaces, boards, board_sets, users, label_sets, entry_args = _tables(p, entries)
    generations = head.generations.split(",")
    epoch, seq, digest = head.known
    has_days = any(map(is_day, chain.from_iterable(label_sets)))
    return evalsha(
        APPLY,
        [
            *(keys.log(p), keys.meta(p), keys.rules(p), keys.hidden(p)),
            *(keys.dedup(p, generation) for generation in generations),
            *(key for ns in namespaces for key in (keys.namespace(p, ns), keys.hidden_in(p, ns))),
            *(key for ns, board in boards for key in board_keys(p, namespaces[ns][1], board)),
            *(_with_days(p, users) if has_days else users),
        ],
        [
            *(head.epoch, head.generations, f"{epoch}-{seq}", digest, resend_after, int(atomic), *bounds),
            *(len(generations), len(boards), len(users), len(namespaces), len(board_sets), len(label_sets)),
            *(len(entries), int(has_days)),
            *(part for _, namespace in namespaces.values() for part in namespace_args(namespace)),
            *(part for ns, board in boards for part in (namespaces[ns][0], board)),
            *(name for _, _, name in users.values()),
            *(indexes for _, indexes in board_sets.values()),
            *_label_set_args(label_sets),
            *entry_args,
        ],
    )


def _tables(p: int, entries: Sequence[PlannedEntry]) -> _CallTables:
    """O(entries + boards). A loop of plain names: it runs for every grant."""
    namespaces: dict[int, tuple[int, Namespace]] = {}
    boards: dict[tuple[int, str], int] = {}
    board_sets: dict[tuple[int, tuple[str, ...]], tuple[int, str]] = {}
    users: dict[str, tuple[int, int, str]] = {}
    label_sets: dict[tuple[str, ...], int] = {}
    balances: dict[int, str] = {}
    args: list[bytes | str | int] = []
    for entry in entries:
        body, ns = entry.body, entry.namespace.id
        board_set = board_sets.get((ns, entry.boards))
        if board_set is None:
            if ns not in namespaces:
                namespaces[ns], balances[ns] = (len(namespaces) + 1, entry.namespace), keys.balances(p, ns)
            indexes = [str(boards.setdefault((ns, board), len(boards) + 1)) for board in entry.boards]
            board_set = board_sets[ns, entry.boards] = len(board_sets) + 1, " ".join(indexes)
        key = balances[ns] + body.user
        user = users.get(key)
        if user is None:
            user = users[key] = len(users) + 1, ns, body.user
        label_set = label_sets.setdefault(entry.labels, len(label_sets) + 1)
        ops = entry.kind.letter if entry.ops is None else render_ops(entry.kind, entry.ops)
        args += (entry.id, entry.content, entry.verdict, board_set[0], user[0], label_set)
        ids = entry.claim or entry.release
        args += (body.entry_amount, body.live_delta, body.granted_at, ops, ids, entry.log_bytes)
    return _CallTables(namespaces, boards, board_sets, users, label_sets, args)


def _with_days(p: int, users: dict[str, tuple[int, int, str]]) -> Iterator[str]:
    """The keys of balances and days, if some user has days. A user without days does not use the second key."""
    prefixes = {ns: keys.days(p, ns) for _, ns, _ in users.values()}
    for key, (_, ns, name) in users.items():
        yield key
        yield prefixes[ns] + name


def _label_set_args(label_sets: Iterable[tuple[str, ...]]) -> Iterator[int | str]:
    for labels in label_sets:
        yield len(labels)
        yield from labels


def namespace_args(namespace: Namespace) -> tuple[int | str, ...]:
    """A namespace's rules as lua/include/arguments.lua reads them."""
    rules = namespace.rules
    return (
        *(namespace.id, namespace.version, rules.aggregation, rules.order, rules.tie_break, rules.ranking),
        *(_velocity_text(namespace), rules.suspicious, int(rules.statistics), int(rules.bounded_sums)),
    )


def _velocity_text(namespace: Namespace) -> str:
    """The limits of a user's velocity as lua/include/velocity.lua reads them: `<per in µs> <grants> <amount>,…`, ""
    for no bound."""
    return ",".join(f"{per} {_bound_text(grants)} {_bound_text(amount)}" for per, grants, amount in namespace.limits)


def _bound_text(bound: int | None) -> str:
    return "" if bound is None else str(bound)


def board_keys(p: int, namespace: Namespace, board: str) -> Iterator[str]:
    """The keys of a board: its own, and those beside it that the rules ask for."""
    yield keys.board(p, namespace.id, board)
    if namespace.rules.tie_break != "none":
        yield keys.tie_prefixes(p, namespace.id, board)
    if namespace.rules.ranking == "dense":
        yield keys.distinct_scores(p, namespace.id, board)
    if namespace.rules.bounded_sums:
        yield keys.sum_tree(p, namespace.id, board)
    if namespace.aggregation.keeps_times:
        yield keys.grant_times(p, namespace.id, board)


def read(reply: Any) -> list[Outcome]:
    """The outcomes in the entries' order; 'unapplied' instead of 'applied' if an atomic call was refused."""
    if is_elsewhere(reply):
        raise CallRefused(ELSEWHERE, str(reply))
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
