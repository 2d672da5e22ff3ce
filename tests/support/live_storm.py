"""Random writes of all kinds on two servers, one of which is killed now and then, while model clients follow."""

import queue
import random
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

from app.embedded import free_port
from tests.conftest import NO_TLS
from tests.support.launcher import Launched, launcher
from tests.support.live_model import Book, ModelClient, Reading, Watch, ask_rest, watch
from tests.support.waits import until

SPACES: dict[str, dict[str, Any]] = {
    "sums": {"category_boards": True, "tie_break": "earliest"},
    "laps": {"aggregation": "best", "order": "asc", "ranking": "dense", "scale": 2},
    "last": {"aggregation": "latest", "ranking": "ordinal", "category_boards": True, "tie_break": "granted_at"},
    "sealed": {"accept_past": "PT12H", "category_boards": True, "order": "asc", "bounded_sums": True},
}
SEALED = "sealed"
USERS = [f"u{i}" for i in range(16)] + ["v0", "v1"]  # the last ones are erased now and then
#: Seconds in which all clients must hold what REST answers, once nobody writes.
SETTLE_S = 30.0
#: Seconds more that a busy machine may take.
LATE_S_MAX = 60.0
#: Views of each kind must be compared with REST at least so often.
COMPARED_MIN, KINDS = 5, ("top", "around", "users", "stats")


def watches_of(space: str, old_day: str) -> list[Watch]:
    """Every kind of view of a namespace, on windows that run and on one that is sealed."""
    some = [
        watch(space, "all", kind="top", limit=5),
        watch(space, "all", kind="around", user="u3", radius=2),
        watch(space, "day", kind="top", limit=3),
        watch(space, "day", kind="users", users=["u1", "u2", "v0"]),
        watch(space, "all", kind="users", users=["u1", "u5", "v0", "nobody"]),
        watch(space, "all", kind="stats"),
        watch(space, "week", kind="stats"),
    ]
    if SPACES[space].get("category_boards"):
        some += [watch(space, "all", "red", kind="top", limit=4), watch(space, "all", "red", kind="stats")]
        some += [watch(space, "day", "red", kind="around", user="u4", radius=0)]
    if space == SEALED:
        sealed = [watch(space, old_day, kind="top", limit=100), watch(space, old_day, kind="stats")]
        sealed += [watch(space, old_day, kind="around", user="u2", radius=1)]
        sealed += [watch(space, old_day, "red", kind="users", users=["u1", "u2", "u3"])]
        some += [one._replace(is_sealed=True) for one in sealed]
    return some


class LiveStorm:
    """Two servers, clients and writers. seed: of all that is random here; day_starts: of all namespaces."""

    def __init__(self, stack: Any, seed: int, day_starts: str = "00:00") -> None:
        self._stack, self._random = stack, random.Random(seed)
        now = datetime.now(UTC)
        self._old = now - timedelta(days=3)
        self._day_rules = {"day_starts": day_starts, "week_starts": f"{now:%A}".lower()}
        self._port = free_port()
        self._other: Launched | None = None
        self.urls = [stack.url, f"http://127.0.0.1:{self._port}"]
        self._clients = [self._client(url) for url in self.urls]
        self._grants: list[tuple[str, str]] = []
        self._numbers = 0
        self._live: dict[str, dict[str, Any]] = {}
        self._stop = threading.Event()
        self._may_write = threading.Lock()
        self.book = Book()
        self.start_other()
        for name in SPACES:
            self._make(name)
            self._insist("POST", f"/v1/namespaces/{name}/grants", json=[self._grant(name, user) for user in USERS[:8]])
        local = self._old - timedelta(hours=int(day_starts[:2]), minutes=int(day_starts[3:]))
        self.watches = [one for name in SPACES for one in watches_of(name, f"{local:%Y-%m-%d}")]
        self.models = [
            ModelClient(urls, stack.key, self.watches, self.book, seed + i, packed=i % 2 == 1)
            for i, urls in enumerate((self.urls[:1], self.urls[1:], self.urls))
        ]

    # Servers.

    def start_other(self) -> None:
        """Starts the second server, and waits until it is ready."""
        environment = self._stack.environment | {"LEADERBOARD_PORT": str(self._port)}
        with (Path(self._stack.folder) / "other.log").open("ab") as log:
            self._other = launcher().start(["serve"], environment, log)
        until(self._is_other_ready, "the second server is not ready")

    def kill_one(self) -> None:
        """kill -9 of one server, which comes back."""
        self.book.counts["kills"] += 1
        if self._random.random() < 0.5:
            self._stack.kill("serve")
            self._stack.start("serve")
        else:
            self._kill_other()
            self.start_other()

    def _kill_other(self) -> None:
        if self._other is not None:
            self._other.kill()
            self._other.wait()

    def _is_other_ready(self) -> bool:
        try:
            return self._clients[1].get("/readyz").status_code == 200
        except httpx.TransportError:
            return False

    def _client(self, url: str) -> httpx.Client:
        head = {"authorization": f"Bearer {self._stack.key}"}
        return httpx.Client(base_url=url, headers=head, timeout=10, verify=NO_TLS)

    # Writes.

    def _call(self, method: str, path: str, **options: Any) -> httpx.Response | None:
        """An answer of one of the servers; None where that one was killed meanwhile."""
        try:
            return self._random.choice(self._clients).request(method, path, **options)
        except httpx.TransportError:
            return None

    def _insist(self, method: str, path: str, **options: Any) -> None:
        """Until one of them did it."""

        def is_done() -> bool:
            answer = self._call(method, path, **options)
            assert answer is None or answer.is_success or answer.status_code in (404, 503), answer.text
            return answer is not None and answer.status_code != 503

        until(is_done, f"{method} {path}", 30)

    def _make(self, name: str, **rules: Any) -> None:
        self._live[name] = SPACES[name] | self._day_rules | rules
        self._insist("PUT", f"/v1/namespaces/{name}", json=self._live[name])

    def write(self) -> None:
        """One change that boards' versions tell of."""
        chance, space = self._random, self._random.choice(list(SPACES))
        backfill = "?backfill=true" if space == SEALED else ""
        match chance.randrange(10):
            case 0 | 1 | 2 | 3 | 4:
                grants = [self._grant(space) for _ in range(chance.choice((1, 1, 1, 8)))]
                self._call("POST", f"/v1/namespaces/{space}/grants{backfill}", json=grants)
                self._grants += [(space, grant["grant_id"]) for grant in grants]
            case 5 | 6 | 7 if self._grants:
                space, grant = chance.choice(self._grants[-200:])
                path = f"/v1/namespaces/{space}/grants/{grant}"
                method, end, body = chance.choice(
                    [
                        ("DELETE", "", None),
                        ("POST", "/restore", {}),
                        ("PATCH", backfill, {"amount": chance.randrange(1, 9)}),
                    ]
                )
                self._call(method, path + end, **({} if body is None else {"json": body}))
            case 8:
                change, user = chance.choice(("hide", "unhide", "unhide")), chance.choice(USERS[:10])
                where = chance.choice(("/v1", f"/v1/namespaces/{space}"))
                self._call("POST", f"{where}/users/{user}/{change}")
            case _:
                if chance.random() < 0.2:
                    self._call("DELETE", f"/v1/users/{chance.choice(USERS[-2:])}")

    def _grant(self, space: str, user: str | None = None) -> dict[str, Any]:
        self._numbers += 1
        chance = self._random
        grant = {
            "grant_id": f"g{self._numbers}",
            "user_id": user or chance.choice(USERS),
            "amount": chance.randrange(1, 9),
        }
        grant |= {"category": chance.choice(("red", "blue", None))}
        is_old = space == SEALED and user is None and chance.random() < 0.4
        return grant | ({"granted_at": self._old.isoformat()} if is_old else {})

    def change(self) -> None:
        """One change that no version tells of, or that makes a namespace another one; then all must agree again."""
        chance, space = self._random, self._random.choice(list(SPACES))
        with self._may_write, self.book:
            match chance.randrange(3):
                case 0:
                    is_dense = SPACES[space].get("ranking") == "dense"
                    ranking = "dense" if is_dense else chance.choice(("competition", "ordinal"))
                    self._make(space, **self._live[space] | {"ranking": ranking, "display_name": f"{chance.random()}"})
                case 1:
                    body = {"display_name": f"name {chance.random()}"}
                    self._insist("PUT", f"/v1/users/{chance.choice(USERS[:8])}", json=body)
                case _:
                    self._insist("DELETE", f"/v1/namespaces/{space}", params={"confirm": space})
                    self._make(space, group=f"group-{chance.randrange(20)}")
                    self._grants = [(name, grant) for name, grant in self._grants if name != space]
                    self._insist("POST", f"/v1/namespaces/{space}/grants", json=[self._grant(space) for _ in range(6)])
            self.book.counts["changes"] += 1
            self.settle()

    # What runs.

    def _write_on(self) -> None:
        while not self._stop.wait(0.02):
            with self._may_write:
                self.write()

    def _kill_on(self, every_s: float) -> None:
        while not self._stop.wait(every_s):
            self.kill_one()

    def _read_on(self) -> None:
        """Asks REST for what clients have just heard of, and now and then for anything."""
        while not self._stop.is_set():
            try:
                number = self.book.fresh.get(timeout=0.02)
            except queue.Empty:
                number = random.randrange(len(self.watches))
            one, generation = self.watches[number], self.book.generation
            try:
                reading = ask_rest(random.choice(self._clients), one)
            except httpx.TransportError:
                continue
            if reading is not None:
                self.book.note(number, one, reading, generation, is_rest=True)

    def run(self, seconds: float, *, kill_every_s: float, change_every_s: float) -> None:
        """All of it for so long, and longer where a busy machine has not come to all of it; then it settles."""
        loops = [self._write_on, self._read_on, lambda: self._kill_on(kill_every_s)]
        threads = [threading.Thread(target=self._guarded, args=(loop,)) for loop in loops]
        for thread in (*self.models, *threads):
            thread.start()
        try:
            end = time.monotonic() + seconds
            while (time.monotonic() < end or not self._has_all()) and not self.book.faults:
                self._stop.wait(change_every_s)
                self.change()
                assert time.monotonic() < end + LATE_S_MAX, (self.book.counts, self.book.compared)
        finally:
            self._stop.set()
            for thread in threads:
                thread.join(60)
        for model in self.models:
            model.stays = True
        self.settle()

    def _has_all(self) -> bool:
        """Whether all that is to be seen was seen."""
        compared, counts = self.book.compared, self.book.counts
        seen = (counts[kind] for kind in ("snapshot", "delta", "uptodate", "kills", "changes"))
        return all(seen) and all(compared[kind] >= COMPARED_MIN for kind in KINDS)

    def _guarded(self, loop: Any) -> None:
        try:
            loop()
        except BaseException as fault:
            self.book.fail(f"a loop failed: {fault!r}")
            raise

    def settle(self) -> None:
        """Waits until every client holds what every server answers."""
        lacking: list[Any] = []

        def agree() -> bool:
            lacking[:] = self._lacking()
            return not lacking or bool(self.book.faults)

        until(agree, "clients and REST do not agree", SETTLE_S)
        assert not self.book.faults, self.book.faults[:3]

    def _lacking(self) -> list[Any]:
        lacking: list[Any] = []
        for number, one in enumerate(self.watches):
            for client in self._clients:
                try:
                    rest = ask_rest(client, one)
                except httpx.TransportError:
                    rest = None
                states = [model.reading_of(number) for model in self.models]
                lacking += [(one, state, rest) for state in states if not _is_same(one, state, rest)]
            if lacking:
                return lacking
        return lacking

    def down(self) -> None:
        """Ends the clients and the second server."""
        for model in self.models:
            model.stop()
        for model in self.models:
            if model.ident is not None:
                model.join(30)
        for client in self._clients:
            client.close()
        self._kill_other()


def _is_same(one: Watch, state: Reading | None, rest: Reading | None) -> bool:
    """Whether a client has what REST answered; who is not on the board has no neighbours there."""
    if state is None or rest is None:
        return state is not None and one.kind == "around" and not state.content[3]
    # REST tells no epoch of statistics.
    return state.content == rest.content and state.place[::2] == rest.place[::2]
