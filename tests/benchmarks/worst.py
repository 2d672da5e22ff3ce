"""What the worst legal calls of the script keep everybody else waiting: by the store's own slow log, and by its CPU.

Boards of 100,000 users. One namespace has the default rules, one the heaviest: 104 windows, each with a board of
a category. Its boards are filled one time by the script and copied: 20 million moves would take long.
"""

import random
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Any

import redis
from msgspec import Raw

from app.drivers.redis import Call
from app.embedded import ValkeyProcess, free_port
from app.model.chain import entries_of, steps_of
from app.model.correction import CorrectionRequest, Edit, GrantState, state_from_entry
from app.model.entry import PlannedEntry
from app.model.grant import Grant, plan
from app.model.micros import EARLIEST, LATEST
from app.model.namespace import Namespace, Rules
from app.model.stats import PERCENTS_MAX, parse_percentile_list
from app.model.views import Around, BandEdges, KeyBounds, Page, Sample, ScoreBounds, Users
from app.model.visibility import HIDE, STATES, UNHIDE, VisibilityIntent, visibility_entries
from app.model.windows import Season
from app.read.board_parameters import LIMIT_MAX, RADIUS_MAX, USERS_MAX
from app.read.stats import BINS_MAX
from app.read.totals import FIELDS_A_CALL_MAX, USERS_A_CALL_MAX
from app.store import apply, fields, keys
from app.store.apply import APPLY, PartitionHead
from app.store.boards import READS, activity_call, board_call, totals_call, user_ranks_call
from app.store.call_cost import CALL_ENTRIES_MAX, portions, write_cost
from app.store.partitions import INIT_PARTITION
from app.store.stats_reader import READ_BOARD_STATS, stats_call

USERS = 100_000
TIMES = 20
GOAL_MS = 25.0
P = 0
SEASONS = tuple(Season(f"s{i}", EARLIEST, LATEST) for i in range(100))
HEAVY: dict[str, Any] = {
    "tie_break": "earliest",
    "ranking": "dense",
    "bounded_sums": True,
    "category_boards": True,
    "streaks": True,
    "seasons": SEASONS,
}
#: The keys of a board beside the sorted set itself, by the heaviest rules.
_KINDS = (keys.board, keys.tie_prefixes, keys.distinct_scores, keys.sum_tree)

Made = list[PlannedEntry]


class Store:
    """One partition on a Valkey of its own."""

    def __init__(self, valkey: ValkeyProcess) -> None:
        self.direct: Any = redis.Redis.from_url(valkey.url, socket_timeout=120)
        self.direct.eval(INIT_PARTITION.source, 1, keys.meta(P), 1, "here", 0)
        self._sha = self.direct.script_load(APPLY.source)
        self._pid = self.direct.info("server")["process_id"]
        self._spaces = self._ids = 0

    def space(self, **rules: Any) -> Namespace:
        """A namespace of its own."""
        self._spaces += 1
        self.direct.hset(keys.rules(P), str(self._spaces), "1")
        return Namespace(self._spaces, f"n{self._spaces}", P, 1, Rules(**rules))

    def grants(self, space: Namespace, users: Iterator[int], **fields: Any) -> Iterator[PlannedEntry]:
        """Grants of random amounts."""
        now = time.time_ns() // 1000
        for user in users:
            self._ids += 1
            amount = Raw(str(random.randint(1, 10**6)).encode())
            more = {"category": "red", "source": "race"} | fields
            yield plan(Grant(f"g{self._ids}", f"user-{user}", amount, **more), space, now)

    def run(self, entries: Made, atomic: bool = False) -> tuple[float, float]:
        """Milliseconds of one call: by the slow log, and of the CPU of Redis' own thread. All must be applied."""
        call = list(apply.pack(P, entries, PartitionHead(1, "1", 0, (0, 0, b"")), -1, atomic))[2:]
        reply, spent = self._timed("EVALSHA", self._sha, *call)
        assert reply[0] == b"ok", reply[:2]
        assert set(reply[1::5]) == {b"applied"}, set(reply[1::5])
        return spent

    def read(self, call: Call) -> tuple[float, float]:
        """The same of a call that reads."""
        reply, spent = self._timed(*call)
        assert reply[0] not in (b"unopened", b"archived", b"too_deep"), reply[:2]
        return spent

    def _timed(self, *words: Any) -> tuple[Any, tuple[float, float]]:
        self.direct.slowlog_reset()
        before = self._cpu_ms()
        reply = self.direct.execute_command(*words)
        spent = self._cpu_ms() - before
        scripts = [one for one in self.direct.slowlog_get(10) if one["command"].startswith(b"EVALSHA")]
        return reply, (max(one["duration"] for one in scripts) / 1_000, spent)

    def _cpu_ms(self) -> float:
        text = Path(f"/proc/{self._pid}/task/{self._pid}/schedstat").read_text()
        return int(text.split()[0]) / 1_000_000


def fill(store: Store, space: Namespace) -> None:
    """Every user on every board: the first board by the script, the others as its copies."""
    (shape,) = store.grants(space, iter([0]))
    entries = list(store.grants(space, iter(range(USERS))))
    for entry in entries:
        entry.boards = entry.boards[:1]
    for first in range(0, USERS, CALL_ENTRIES_MAX):
        store.run(entries[first : first + CALL_ENTRIES_MAX])
    for window in shape.boards[1:]:
        for kind in _KINDS:
            store.direct.copy(kind(P, space.id, "all"), kind(P, space.id, window))
        for field in ("t", "v"):
            count_text = store.direct.hget(keys.namespace(P, space.id), f"{field}:all")
            if count_text is not None:
                store.direct.hset(keys.namespace(P, space.id), f"{field}:{window}", count_text)


def randoms() -> Iterator[int]:
    """Random users, for ever."""
    while True:
        yield random.randrange(USERS)


def chances() -> Iterator[float]:
    """Random fractions, for ever."""
    while True:
        yield random.random()


def edge(entries: Iterator[PlannedEntry]) -> Made:
    """As many entries as one call takes."""
    made = list(islice(entries, CALL_ENTRIES_MAX))
    return list(next(portions(made)).entries)


def corrections(store: Store, space: Namespace, users: Iterator[int]) -> Made:
    """Corrections of fresh grants: amounts that grow in place."""
    made = edge(store.grants(space, users))
    store.run(made)
    entries_made: Made = []
    for i, entry in enumerate(made):
        state: GrantState = state_from_entry(entry.body, i + 1)
        edit = Edit(amount=Raw(b"7"), reason="recount")
        ask = CorrectionRequest(state.grant_id, "edit", edit, "bench")
        entries_made += entries_of(
            space, steps_of(space, [ask], {state.grant_id: state}, {}, state.granted_at, None), None, 0
        )
    return edge(iter(entries_made))


class Veils:
    """A user who is hidden and shown in turns: each time one entry with as many boards as an entry takes."""

    def __init__(self, store: Store, space: Namespace) -> None:
        self._store, self._space, self._version = store, space, 0
        (shape,) = store.grants(space, iter([0]))
        self._boards = shape.boards

    def __call__(self) -> Made:
        self._version += 1
        desired_state = HIDE if self._version % 2 else UNHIDE
        self._store.direct.hset(keys.hidden(P), "user-7", f"{self._version} {STATES[desired_state]}")
        self._store.direct.hset(keys.meta(P), fields.HAS_HIDDEN, 1)
        intent = VisibilityIntent(7, "user-7", self._version, desired_state, "bench")
        first, *others = visibility_entries(self._space, intent, self._boards)
        self._store.run([first])
        return edge(iter(others))


def calls(store: Store, plain: Namespace, heavy: Namespace) -> dict[str, tuple[Callable[[], Made], bool]]:
    """Each call by its name: what makes its entries, and whether it is atomic."""
    text = {"meta": {"text": "x" * 1_900}}

    def one() -> Iterator[int]:
        user = random.randrange(USERS)
        while True:
            yield user

    return {
        "500 grants, default rules": (lambda: edge(store.grants(plain, randoms())), False),
        "500 grants, default rules, atomic": (lambda: edge(store.grants(plain, randoms())), True),
        "grants with 2 KB of meta, default rules": (lambda: edge(store.grants(plain, randoms(), **text)), False),
        "grants of one user, default rules": (lambda: edge(store.grants(plain, one())), False),
        "corrections, default rules": (lambda: corrections(store, plain, randoms()), False),
        "1 grant, 208 boards": (lambda: edge(store.grants(heavy, iter([random.randrange(USERS)]))), False),
        "grants, 208 boards": (lambda: edge(store.grants(heavy, randoms())), False),
        "grants of one user, 208 boards": (lambda: edge(store.grants(heavy, one())), False),
        "grants of one user, 208 boards, atomic": (lambda: edge(store.grants(heavy, one())), True),
        "corrections, 208 boards": (lambda: corrections(store, heavy, randoms()), False),
        "corrections of one user, 208 boards": (lambda: corrections(store, heavy, one()), False),
        "hide or show, 208 boards": (Veils(store, heavy), False),
    }


def reads(plain: Namespace, heavy: Namespace) -> dict[str, Callable[[], Call]]:
    """The dearest single calls that a reader can have made: what one request asks for goes in several of them, and
    others have their turn in between."""

    def users(count: int) -> list[str]:
        return [f"user-{user}" for user in random.sample(range(USERS), count)]

    def somewhere() -> int:
        return random.randrange(USERS - LIMIT_MAX)

    windows = heavy.calendar.names_at(time.time_ns() // 1000)
    percents = parse_percentile_list(",".join(map(str, range(1, PERCENTS_MAX + 1))), "true")
    calls: dict[str, Callable[[], Call]] = {}
    for name, space in (("default rules", plain), ("heaviest rules", heavy)):

        def add(what: str, make: Callable[[Namespace], Call], name: str = name, space: Namespace = space) -> None:
            calls[f"{what}, {name}"] = lambda: make(space)

        add("page of 1,000, deep", lambda one: board_call(one, "all", Page(somewhere(), LIMIT_MAX)))
        add("1,000 around a user", lambda one: board_call(one, "all", Around(users(1)[0], RADIUS_MAX)))
        add("500 users", lambda one: board_call(one, "all", Users(tuple(users(USERS_MAX)))))
        add(
            "1,000 by chance",
            lambda one: board_call(one, "all", Sample(tuple(random.random() for _ in range(1_000)))),
        )
        add("bands", lambda one: board_call(one, "all", BandEdges(tuple(share / 20 for share in range(1, 20)))))
        add("a page in bounds", lambda one: board_call(one, "all", Page(0, LIMIT_MAX, KeyBounds(1_000, 900_000))))
        add("statistics", lambda one: stats_call(one, "all", ScoreBounds(1_000, 900_000), BINS_MAX, percents))
        add("totals of 100 users", lambda one: totals_call(one, users(USERS_A_CALL_MAX), FIELDS_A_CALL_MAX))
        add("streaks of 100 users", lambda one: activity_call(one, users(100), days=True))
    calls["a user's standing, 104 windows"] = lambda: user_ranks_call(heavy, users(1)[0], windows)
    return calls


def main() -> None:
    """One line a call, the worst first: medians and the worst of 20."""
    with tempfile.TemporaryDirectory() as folder:
        valkey = ValkeyProcess(Path(folder), free_port(), options={"slowlog-log-slower-than": "0", "save": ""})
        valkey.start()
        try:
            store = Store(valkey)
            plain, heavy = store.space(), store.space(**HEAVY)
            store.direct.config_set("appendonly", "no")
            for space in (plain, heavy):
                fill(store, space)
            lines = []
            for name, (make, atomic) in calls(store, plain, heavy).items():
                pairs, sizes, costs = [], [], []
                for _ in range(TIMES):
                    entries = make()
                    sizes.append(len(entries))
                    costs.append(write_cost(entries))
                    pairs.append(store.run(entries, atomic))
                wall, cpu = ([pair[i] for pair in pairs] for i in (0, 1))
                lines.append((median(wall), max(wall), median(cpu), median(sizes), median(costs) / 1_000, name))
            for script in (*READS, READ_BOARD_STATS):
                store.direct.script_load(script.source)
            for name, make_call in reads(plain, heavy).items():
                pairs = [store.read(make_call()) for _ in range(TIMES)]
                wall, cpu = ([pair[i] for pair in pairs] for i in (0, 1))
                lines.append((median(wall), max(wall), median(cpu), 0, 0, name))
        finally:
            valkey.stop()
    print(f"{'call':42} {'median':>8} {'worst':>8} {'CPU':>8} {'weight':>8} {'entries':>8}   (ms)")
    for middle, most, used, size, cost, name in sorted(lines, reverse=True):
        verdict = "met" if middle <= GOAL_MS else "NOT MET"
        print(f"{name:42} {middle:8.1f} {most:8.1f} {used:8.1f} {cost:8.1f} {size:8.0f}   {verdict}", flush=True)
