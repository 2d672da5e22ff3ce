"""A deployment that is to be broken: its parts behind links that can be cut, and the clients that use it."""

from __future__ import annotations

import random
import re
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import psycopg
import redis

from app.model.entry_kinds import Repeat, kind_of
from app.persist.ledger_row import read_row, unpack
from app.store import fields, keys
from tests.crash.book import Book, Name, now
from tests.crash.clients import Client, Corrector, Gate, Granter, Hider, Pacer
from tests.crash.linked_stack import LinkedStack
from tests.crash.spaces import AGGREGATION, SPACES, USERS
from tests.crash.watchers import Reader, Warden, Watcher
from tests.support.checked_deployment import verify
from tests.support.redis_topologies import ValkeyCluster, WatchedValkey
from tests.support.tcp_proxy import TcpProxy
from tests.support.template import PARTITIONS, THROWAWAY
from tests.support.time_counts import check_counts

#: Seconds in which clients must go on, and stores must agree.
GO_ON_S_MAX = 90.0
#: Seconds in which a loss must be noticed.
NOTICE_S_MAX = 30.0
#: Where Postgres cannot say how far the ledger is.
LAG_UNKNOWN = 1_000_000
#: Lines of a log that are shown where something failed.
LOG_LINES = 12
#: By what a run asks for, the nodes of Redis; None: one process.
NODES: Mapping[str, Callable[[Path], ValkeyCluster | WatchedValkey | None]] = {
    "": lambda _: None,
    "cluster": ValkeyCluster,
    "sentinel": WatchedValkey,
}
SETTINGS = {"LEADERBOARD_CHORES_S": "0.2", "LEADERBOARD_QUOTAS": "off"}
OPEN_CHORES = (
    "SELECT (SELECT count(*) FROM visibility_intents WHERE pending_partitions <> '{}')"
    " + (SELECT count(*) FROM dead_letters WHERE healed_seq IS NULL AND reason = 'duplicate')"
    " + (SELECT count(*) FROM seals WHERE archived_at IS NULL) + (SELECT count(*) FROM pending_archive_updates)"
)
#: What /readyz names where a partition does not open by itself.
COMMAND = "leaderboard re"
LEDGER_NAMES = (
    "SELECT n.name, l.grant_id, l.revision FROM ledger l JOIN namespaces n ON n.id = l.namespace_id"
    " WHERE l.kind IN ('grant', 'correction')"
)


class Field:
    """stack: the parts, behind links. book: what clients know. lost: entries that a fault took, as it may; ways_back:
    the commands that were needed."""

    def __init__(self, stack: LinkedStack, seed: int) -> None:
        self.stack = stack
        self.chance = random.Random(f"{seed}-field")
        self.book, self.gate = Book(), Gate()
        self.lost = self._bulk = 0
        self.ways_back: list[str] = []
        make: list[type[Client]] = [Granter, Granter, Pacer, Corrector, Hider, Reader, Warden]
        self._watcher = Watcher(stack, self.book, self.gate, f"{seed}-watcher")
        self._clients = [kind(stack, self.book, self.gate, f"{seed}-c{i}") for i, kind in enumerate(make)]

    def begin(self) -> None:
        """Makes the namespaces; clients begin."""
        with self.stack.client() as client:
            for name, rules in SPACES.items():
                assert client.put(f"/v1/namespaces/{name}", json=rules).status_code == 201
        for client_thread in (*self._clients, self._watcher):
            client_thread.start()

    def end(self) -> None:
        """Clients end."""
        self.gate.end()
        for client in (*self._clients, self._watcher):
            client.join(30)

    def more(self, count: int) -> None:
        """Waits until so many more entries are acknowledged."""
        goal = self.book.entries + count
        self.until(lambda: self.book.entries >= goal, "writes do not go on")

    def until(self, is_so: Callable[[], Any], what: str, seconds: float = GO_ON_S_MAX) -> None:
        """Waits until it is so; ends at the first finding of a client."""
        deadline = time.monotonic() + seconds
        while not is_so():
            assert not self.gate.findings, self.gate.findings[0]
            assert time.monotonic() < deadline, what
            time.sleep(0.01)

    def wait(self, seconds: float) -> None:
        """Lets a fault last."""
        end = time.monotonic() + seconds
        self.until(lambda: time.monotonic() > end, "")

    @property
    def redis_link(self) -> TcpProxy:
        """The link to the Redis that takes writes now; a cluster has none."""
        one = self.stack.redis
        assert not isinstance(one, ValkeyCluster)
        return self.stack.links[(one.primary() if isinstance(one, WatchedValkey) else one).port]

    @property
    def postgres_link(self) -> TcpProxy:
        """The link to Postgres."""
        return self.stack.links[self.stack.postgres.port]

    @property
    def cluster(self) -> ValkeyCluster:
        """The nodes of Redis."""
        assert isinstance(self.stack.redis, ValkeyCluster)
        return self.stack.redis

    @property
    def watched(self) -> WatchedValkey:
        """The primary and its replica, with their Sentinels."""
        assert isinstance(self.stack.redis, WatchedValkey)
        return self.stack.redis

    def direct(self, p: int = 0) -> redis.Redis:
        """The Redis that has a partition, past the links."""
        one = self.stack.redis
        if isinstance(one, WatchedValkey):
            return redis.Redis(port=one.primary().port)
        node = one.owner(p) if isinstance(one, ValkeyCluster) else self.stack.valkey
        return redis.Redis(port=node.port)

    def partition(self, space: str) -> int:
        """Where a namespace is."""
        with psycopg.connect(self.stack.postgres.url) as db:
            row = db.execute("SELECT partition FROM namespaces WHERE name = %s", (space,)).fetchone()
        assert row is not None
        return int(row[0])

    def ledger(self) -> set[Name]:
        """What Postgres has recorded."""
        with psycopg.connect(self.stack.postgres.url) as db:
            return {(str(a), str(b), int(c)) for a, b, c in db.execute(LEDGER_NAMES).fetchall()}

    def log(self) -> set[Name]:
        """What the logs in Redis hold."""
        with psycopg.connect(self.stack.postgres.url) as db:
            names: dict[int, str] = dict(db.execute("SELECT id, name FROM namespaces").fetchall())
        names_in_log = set()
        for p in range(int(PARTITIONS)):
            with self.direct(p) as store:
                for place, parts in store.xrange(keys.log(p)):
                    entry = read_row(p, place, [part for pair in parts.items() for part in pair]).entry
                    if entry is not None and entry.kind in ("grant", "correction"):
                        names_in_log.add((str(names[entry.namespace_id]), entry.grant_id, entry.revision))
        return names_in_log

    def lag(self) -> int:
        """How many entries the ledger lacks."""
        with self.stack.client(None) as client:
            answer = client.get("/readyz").json()
        return int(answer["lag_seq"]) if answer["lag_seq"] is not None else LAG_UNKNOWN

    def recorded(self) -> int:
        """How many entries the ledger has."""
        with psycopg.connect(self.stack.postgres.url) as db:
            row = db.execute("SELECT count(*) FROM ledger").fetchone()
        assert row is not None
        return int(row[0])

    @contextmanager
    def still(self) -> Iterator[None]:
        """All clients stand still, and the ledger has everything; they go on at the end."""
        self.gate.close()
        self.stack.wait_flushed(GO_ON_S_MAX)
        yield
        self.gate.open()

    def wait_recorded(self) -> None:
        """Waits until the ledger has what the logs have now."""
        ends: dict[int, int] = {}
        for p in range(int(PARTITIONS)):
            with self.direct(p) as store:
                ends[p] = int(store.hget(keys.meta(p), fields.SEQ) or 0)
        with psycopg.connect(self.stack.postgres.url, autocommit=True) as db:

            def is_recorded() -> bool:
                rows = db.execute("SELECT partition, seq FROM partitions").fetchall()
                return all(seq >= ends[p] for p, seq in rows)

            self.until(is_recorded, "the ledger does not follow")

    def grant_many(self, calls: int, size: int = 500) -> None:
        """So many calls of so many grants each."""
        with self.stack.client() as client:
            for _ in range(calls):
                self._bulk += 1
                names = [f"bulk-{self._bulk}-{i}" for i in range(size)]
                bodies = [{"grant_id": name, "user_id": USERS[i % 5], "amount": 1} for i, name in enumerate(names)]
                sent_at = now()
                answer = client.post("/v1/namespaces/pair/grants", json=bodies)
                assert answer.json().get("applied") == size, answer.text
                for body in bodies:
                    self.book.add("pair", body, sent_at)

    def swap_folder(self, other: Path | None) -> None:
        """Redis, which is down, gets another folder, or none."""
        shutil.rmtree(self.stack.valkey.data)
        if other is not None:
            shutil.copytree(other, self.stack.valkey.data)

    def wait_refused(self) -> None:
        """Waits until the loss is noticed."""
        with self.stack.client() as client:
            self.until(lambda: client.get("/readyz").status_code == 503, "the loss is not noticed", NOTICE_S_MAX)

    def bring_back(self) -> None:
        """What an operator does: `recover`, and `rebuild` where that does not suffice."""
        done = self.stack.run("recover")
        if done.returncode == 0:
            self.ways_back.append("recover")
        if done.returncode != 0:
            closed = re.findall(r"run leaderboard rebuild --partition (\d+)", done.stdout)
            for words in [["--partition", p] for p in closed] or [[]]:
                rebuilt = self.stack.run("rebuild", "--quiet", *words)
                assert rebuilt.returncode == 0, (done, rebuilt)
            self.ways_back.append("rebuild")
        # A server that remembers more than both stores have may say so only now.
        self.until(self._is_settled, "what is lost is not settled")

    def _is_settled(self) -> bool:
        with self.stack.client() as client:
            if client.get("/readyz").status_code == 200:
                return True
        self.stack.run("recover")
        return False

    def bring_back_if_closed(self) -> None:
        """Waits until all partitions serve; what is closed by a loss is brought back."""
        with self.stack.client() as client:

            def lines() -> list[str]:
                answer = client.get("/readyz")
                lines = answer.json()["degraded"]
                return ["ready"] if answer.status_code == 200 else [line for line in lines if COMMAND in line]

            self.until(lines, "the partitions do not come back")
            if lines() != ["ready"]:
                self.bring_back()

    @contextmanager
    def losing(self) -> Iterator[None]:
        """A fault that may take what neither ledger nor log has; within it the log is what is left of it."""
        self.book.is_losing = True
        yield
        moment = now()
        survivors = self.ledger() | self.log()
        self._certain = survivors, moment

    def check(self) -> None:
        """Everything stands still, and all that was acknowledged is there once, everywhere."""
        self.gate.close()
        self.stack.wait_ready()
        self._settle()
        self._compare_ledger()
        self._compare_boards()
        self._watcher.wait_followed()
        findings = verify(self.stack)
        assert findings == (0, []), findings
        self.book.settle()
        self.gate.open()

    def _settle(self) -> None:
        self.stack.wait_flushed(GO_ON_S_MAX)
        with psycopg.connect(self.stack.postgres.url, autocommit=True) as db:
            self.until(lambda: db.execute(OPEN_CHORES).fetchone() == (0,), "the chores do not come to their end")
        self.stack.wait_flushed(GO_ON_S_MAX)

    def _compare_ledger(self) -> None:
        ledger, acknowledged = self.ledger(), self.book.names()
        missing = acknowledged - ledger
        if self.book.is_losing:
            survivors, moment = self._certain
            certain = survivors | self.book.sent_after(moment)
            assert not missing & certain, ("lost, though ledger or log had it", sorted(missing & certain)[:5])
            self.book.drop(missing)
            self.lost += len(missing)
            missing = set()
        assert not missing, ("acknowledged, and not in the ledger", sorted(missing)[:5])
        excess = ledger - self.book.names()
        assert not excess, ("in the ledger, and never acknowledged", sorted(excess)[:5])
        with psycopg.connect(self.stack.postgres.url) as db:
            check_counts(db)
            letters = db.execute("SELECT reason, entry FROM dead_letters").fetchall()
        assert {reason for reason, _ in letters} <= {"duplicate"}, "something was set aside"
        # A hide or a seal may be done twice; a grant that counts twice is healed, and no grant must.
        twice = [entry for _, packed in letters if kind_of((entry := unpack(packed)).kind).repeat is not Repeat.IGNORE]
        assert not twice, ("counted twice", twice)

    def _compare_boards(self) -> None:
        with self.stack.client() as client:
            for space in AGGREGATION:
                for day in (None, *sorted(self.book.days(space))):
                    answer = client.get(f"/v1/namespaces/{space}/boards/{day or 'all'}?limit=1000")
                    assert answer.status_code == 200, answer.text
                    board = {entry["user_id"]: entry["score"] for entry in answer.json()["entries"]}
                    scores = self.book.scores(space, day)
                    visible = {user: score for user, score in scores.items() if user not in self.book.hidden}
                    assert board == visible, (space, day, board, visible)


@contextmanager
def field(folder: Path, seed: int, stores: Path | None = None, *, topology: str = "") -> Iterator[Field]:
    """A deployment with clients at work, gone at the end. stores: migrated ones to begin with a copy of. topology: what
    Redis is made of; its nodes fail over soon."""
    nodes = NODES[topology](folder / "nodes")
    stack = LinkedStack(folder, stores, THROWAWAY, nodes)
    stack.extra |= SETTINGS
    with ExitStack() as ends:
        stack.link(ends)
        ends.callback(shutil.rmtree, folder, ignore_errors=True)
        ends.callback(stack.down)
        stack.up()
        place = Field(stack, seed)
        ends.callback(place.end)
        place.begin()
        try:
            yield place
        except BaseException as error:
            for part in ("serve", "persist"):
                lines = (stack.folder / f"{part}.log").read_text().splitlines()[-LOG_LINES:]
                error.add_note(f"the end of the log of {part}:\n" + "\n".join(lines))
            raise
