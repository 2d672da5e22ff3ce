"""What a 2xx stands for, on a real replica and a real ledger: what was asked for is so, or the answer is no 2xx."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
import redis

from tests.conftest import Names
from tests.support.redis_topologies import ask, wait_until
from tests.support.replicated_stack import ReplicatedStack, replicated_stack
from tests.support.tcp_proxy import TcpProxy

pytestmark = pytest.mark.own_valkey

#: A busy machine takes a while for what is well; what is not to come is waited for so long, all at a time.
WAIT_S = 3.0
LEVELS = ("replica", "audit")
NDJSON = {"content-type": "application/x-ndjson"}


@pytest.fixture(scope="module")
def replicated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReplicatedStack]:
    with replicated_stack(tmp_path_factory.mktemp("acks"), tmp_path_factory, WAIT_S) as replicated:
        yield replicated


@pytest.fixture
def client(replicated: ReplicatedStack) -> Iterator[httpx.Client]:
    replicated.link.mend()
    replicated.wait_copied()
    with replicated.stack.client() as client:
        yield client


@pytest.fixture
def race(client: httpx.Client, names: Names) -> str:
    """The path of a fresh namespace."""
    path = f"/v1/namespaces/{names.fresh()}"
    client.put(path, json={"accept_past": None}).raise_for_status()
    return path


def grant(name: str, amount: Any = 5, user: str = "otter") -> dict[str, Any]:
    return {"grant_id": name, "user_id": user, "amount": amount}


def outcome(answer: httpx.Response) -> tuple[int, str, str | None]:
    """Status, and what the receipt says, or the problem's code."""
    body = answer.json()
    return answer.status_code, body.get("status") if answer.is_success else body["code"], body.get("ack")


def at_once(*calls: Callable[[], httpx.Response]) -> list[httpx.Response]:
    """The answers to calls that go at the same time, in order."""
    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(lambda call: call(), calls))


def score(client: httpx.Client, race: str) -> int:
    return int(client.get(f"{race}/boards/all").json()["entries"][0]["score"])


def check_unmet(answer: httpx.Response, level: str) -> None:
    body = answer.json()
    assert (answer.status_code, body["code"], answer.headers["retry-after"]) == (503, "store_unavailable", "1")
    assert body["detail"].startswith(f"it counted and stands at fsync, not at {level}: ")


@pytest.mark.parametrize("level", LEVELS)
def test_every_way_to_write_answers_at_the_level(client: httpx.Client, race: str, level: str) -> None:
    grants, asks = f"{race}/grants", {"ack": level}
    assert outcome(client.post(grants, json=grant("plain"))) == (201, "applied", "fsync")
    assert outcome(client.post(grants, json=grant("a"), params=asks)) == (201, "applied", level)
    assert outcome(client.post(grants, json=grant("a"), params=asks)) == (200, "duplicate", level)
    refused = grant("c", amount="x")
    reply = client.post(grants, json=[grant("a"), grant("b"), refused], params=asks).json()
    assert [(one["status"], one.get("ack")) for one in reply["results"]] == [
        ("duplicate", level),
        ("applied", level),
        ("rejected", None),
    ]
    lines = b'{"grant_id": "d", "user_id": "otter", "amount": 1}\n{"grant_id": "d", "user_id": "otter", "amount": 1}'
    reply = client.post(grants, content=lines, headers=NDJSON, params=asks).json()
    assert [(one["status"], one["ack"]) for one in reply["results"]] == [("applied", level), ("duplicate", level)]
    named = [{**grant(name), "namespace": race.rpartition("/")[2]} for name in ("e", "f")]
    reply = client.post("/v1/grants", json=named, params={**asks, "atomic": "true"}).json()
    assert [one["ack"] for one in reply["results"]] == [level, level]
    for method, path, body in (("PATCH", "a", {"amount": 7}), ("DELETE", "a", None), ("POST", "a/restore", {})):
        answers = [client.request(method, f"{grants}/{path}", json=body, params=asks) for _ in range(2)]
        assert [outcome(answer) for answer in answers] == [(200, "applied", level), (200, "duplicate", level)]
    edit = {"grant_id": "b", "op": "edit", "amount": 1}
    corrections = [{"grant_id": "a", "op": "void"}, edit, {"grant_id": "none", "op": "void"}]
    reply = client.post(f"{race}/corrections", json=corrections, params=asks).json()
    assert [(one["status"], one.get("ack")) for one in reply["results"]] == [
        ("applied", level),
        ("applied", level),
        ("rejected", None),
    ]


@pytest.mark.parametrize("break_link", [TcpProxy.cut, TcpProxy.hold], ids=["cut", "half-open"])
def test_without_the_replica_nothing_is_acknowledged_at_its_level(
    replicated: ReplicatedStack, client: httpx.Client, race: str, break_link: Callable[[TcpProxy], None]
) -> None:
    grants, asks = f"{race}/grants", {"ack": "replica"}
    client.post(grants, json=grant("old")).raise_for_status()
    replicated.stack.wait_flushed(counted=False)
    break_link(replicated.link)
    # Whoever wrote it, and on whichever connection: what is asked for later is no more on the replica than before.
    assert outcome(client.post(grants, json=grant("plain"))) == (201, "applied", "fsync")
    *unmet, mixed = at_once(
        lambda: client.post(grants, json=grant("plain"), params=asks),
        lambda: client.post(grants, json=grant("a"), params=asks),
        lambda: client.post(grants, json=grant("a"), params=asks),
        lambda: client.post(grants, json=[grant("b"), grant("c")], params=asks),
        lambda: client.patch(f"{grants}/old", json={"amount": 6}, params=asks),
        lambda: client.post(grants, json=[grant("b"), grant("d", amount="x")], params=asks),
    )
    for answer in unmet:
        check_unmet(answer, "replica")
    assert [one["error"]["code"] for one in mixed.json()["results"]] == ["store_unavailable", "invalid"]
    assert score(client, race) == 26, "all of it counted, once"
    replicated.link.mend()
    replicated.wait_copied()
    for name in ("plain", "a", "b", "c"):
        assert outcome(client.post(grants, json=grant(name), params=asks)) == (200, "duplicate", "replica")
    assert outcome(client.patch(f"{grants}/old", json={"amount": 6}, params=asks)) == (200, "duplicate", "replica")
    assert score(client, race) == 26


def test_who_asks_for_no_replica_does_not_wait_for_one(
    replicated: ReplicatedStack, client: httpx.Client, race: str
) -> None:
    replicated.link.hold()
    late: list[httpx.Response] = []
    with replicated.stack.client() as other:
        asks = threading.Thread(
            target=lambda: late.append(other.post(f"{race}/grants", json=grant("late"), params={"ack": "replica"}))
        )
        asks.start()
        wait_until(lambda: score(client, race) == 5, "the one that waits has not counted")
        for i in range(20):
            assert client.post(f"{race}/grants", json=grant(f"g{i}", amount=0)).status_code == 201
        assert late == [], "it waits meanwhile"
        asks.join()
    check_unmet(late[0], "replica")


def test_a_replica_that_comes_back_in_time_is_waited_for(
    replicated: ReplicatedStack, client: httpx.Client, race: str
) -> None:
    replicated.link.slow(0.2)
    answer = client.post(f"{race}/grants", json=grant("a"), params={"ack": "replica"})
    assert outcome(answer) == (201, "applied", "replica")


def test_without_a_persister_nothing_is_acknowledged_as_recorded(
    replicated: ReplicatedStack, client: httpx.Client, race: str
) -> None:
    grants, asks, stack = f"{race}/grants", {"ack": "audit"}, replicated.stack
    stack.stop("persist")
    try:
        for answer in at_once(
            lambda: client.post(grants, json=grant("a"), params=asks),
            lambda: client.post(grants, json=[grant("a"), grant("b")], params=asks),
        ):
            check_unmet(answer, "audit")
        assert outcome(client.post(grants, json=grant("b"))) == (200, "duplicate", "fsync")
    finally:
        stack.start("persist")
    stack.wait_flushed(counted=False)
    body = client.post(grants, json=[grant("a"), grant("b")], params=asks).json()
    assert [(one["status"], one["ack"]) for one in body["results"]] == [("duplicate", "audit")] * 2
    assert score(client, race) == 10


@pytest.mark.parametrize(
    ("path", "method"), [("grants", "POST"), ("grants/a", "PATCH"), ("grants/a", "DELETE"), ("corrections", "POST")]
)
def test_a_level_that_does_not_exist_is_refused_by_name(
    client: httpx.Client, race: str, path: str, method: str
) -> None:
    bodies: dict[str, Any] = {"POST": [grant("a")], "PATCH": {"amount": 1}, "DELETE": None}
    body = bodies[method]
    if path == "corrections":
        body = [{"grant_id": "a", "op": "void"}]
    answer = client.request(method, f"{race}/{path}", json=body, params={"ack": "quorum"}).json()
    assert (answer["field"], answer["detail"]) == ("?ack", "must be fsync, replica or audit")
    assert client.get(f"{race}/boards/all").json()["entries"] == []


def test_a_dry_run_is_not_acknowledged(client: httpx.Client, race: str) -> None:
    body = client.delete(f"{race}/grants/a", params={"dry_run": "true", "ack": "replica"}).json()
    assert (body["code"], body["field"]) == ("invalid", "?ack")


class Writers:
    """Clients that write grants of one point, each to a user of its own. Every other client asks for the replica.

    acknowledged: the users whose answer was a 2xx at that level; written: those of the other clients.
    """

    def __init__(self, stack: Any, count: int) -> None:
        self.acknowledged: list[str] = []
        self.written: list[str] = []
        self._stack = stack
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._write, args=(i,)) for i in range(count)]
        for thread in self._threads:
            thread.start()

    def _write(self, number: int) -> None:
        with self._stack.client() as client:
            for i in range(100_000):
                if self._stop.is_set():
                    return
                user = f"u{number}-{i}"
                asks = {"ack": "replica"} if number % 2 else {}
                try:
                    answer = client.post("/v1/namespaces/race/grants", json=grant(user, 1, user), params=asks)
                except httpx.TransportError:
                    return
                if answer.is_success:
                    (self.acknowledged if asks else self.written).append(user)

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(30)
            assert not thread.is_alive()


def test_a_promoted_replica_has_all_that_was_acknowledged_at_its_level(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    with replicated_stack(tmp_path_factory.mktemp("promoted"), tmp_path_factory, WAIT_S) as replicated:
        with replicated.stack.client() as client:
            client.put("/v1/namespaces/race", json={}).raise_for_status()
        replicated.link.slow(0.03)
        writers = Writers(replicated.stack, 4)
        try:
            wait_until(lambda: len(writers.acknowledged) >= 40, "writes do not go on")
            replicated.link.cut()
            count = len(writers.written) + 20
            wait_until(lambda: len(writers.written) >= count, "writes do not go on without the replica")
            replicated.stack.kill("redis")
            replicated.stack.kill("serve")  # nobody waits for its last answers
        finally:
            writers.stop()
        ask(replicated.replica.port, "REPLICAOF", "NO", "ONE")
        with redis.Redis(port=replicated.replica.port, decode_responses=True) as promoted:
            (board,) = (key for key in promoted.scan_iter("lb:{*}:b:*:all"))
            members = set(promoted.zrange(board, 0, -1))
        assert set(writers.acknowledged) <= members
        assert not set(writers.written) <= members, "the others' last writes are lost"
