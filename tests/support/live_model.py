"""Model clients of live boards: each applies what it is sent as the protocol says, and nothing else. What they and REST
say of one version is noted in a book, which compares."""

import json
import queue
import random
import threading
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import httpx
import msgspec
from websockets.exceptions import WebSocketException
from websockets.sync.client import ClientConnection, connect

#: Errors of a subscription after which a client asks again.
PASSING = {"namespace_not_found", "board_not_found", "store_unavailable", "overloaded", "recovering", "invalid"}
#: Seconds until it does.
AGAIN_S = 0.3
#: What a frame has of statistics.
FIGURES = ("count", "sum", "mean", "stddev", "min", "max", "percentiles")


class Watch(NamedTuple):
    """A view of a board. query: what asks REST for it."""

    namespace: str
    window: str
    category: str | None
    view: dict[str, Any]
    query: list[tuple[str, str | int | float | bool | None]]
    is_sealed: bool = False

    @property
    def kind(self) -> str:
        return str(self.view["kind"])

    @property
    def path(self) -> str:
        end = "/stats" if self.kind == "stats" else ""
        return f"/v1/namespaces/{self.namespace}/boards/{self.window}{end}"


def watch(namespace: str, window: str, category: str | None = None, **view: Any) -> Watch:
    """A view by the fields of its message."""
    query: list[tuple[str, str | int | float | bool | None]]
    match view["kind"]:
        case "top":
            query = [("limit", str(view["limit"]))]
        case "around":
            query = [("around", view["user"]), ("radius", str(view["radius"]))]
        case "users":
            query = [("user", user) for user in view["users"]]
        case _:
            query = []
    if category is not None:
        query.append(("category", category))
    return Watch(namespace, window, category, view, query)


class Reading(NamedTuple):
    """What one side says of a view. place: window, epoch and version."""

    place: tuple[str, int | None, int]
    content: Any


class Book:
    """What was said of each view at each version. faults: what does not agree; compared: how often REST and a client
    agreed, by kind of view. A change that no version tells is made in `pause`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._readings: dict[Any, dict[bool, Any]] = {}
        self._pauses = 0
        self.generation = 0
        self.faults: list[str] = []
        self.compared: Counter[str] = Counter()
        self.counts: Counter[str] = Counter()
        #: Views that a client has just heard of: REST is asked for them first.
        self.fresh: queue.LifoQueue[int] = queue.LifoQueue()

    def fail(self, text: str) -> None:
        """Notes a fault."""
        with self._lock:
            self.faults.append(text)

    def note(self, number: int, one: Watch, reading: Reading, generation: int, *, is_rest: bool) -> None:
        """Notes what a client holds, or REST answered, and compares. generation: when it was asked for."""
        with self._lock:
            # The rows of an archive change a moment before its version does.
            if one.is_sealed or self._pauses or generation != self.generation:
                return
            # REST tells no epoch of statistics.
            window, epoch, version = reading.place
            sides = self._readings.setdefault((number, window, None if one.kind == "stats" else epoch, version), {})
            other = sides.get(not is_rest)
            if other is not None and other != reading.content:
                self.faults.append(
                    f"{one} at {reading.place}: {'REST' if is_rest else 'live'} {reading.content} is not {other}"
                )
            if sides.setdefault(is_rest, reading.content) != reading.content:
                self.faults.append(f"{one} at {reading.place}: two of one side: {sides[is_rest]} and {reading.content}")
            self.compared[one.kind] += other is not None

    def __enter__(self) -> None:
        """Compares nothing for a while."""
        with self._lock:
            self._pauses += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._pauses -= 1
            self.generation += 1
            self._readings.clear()


@dataclass
class ModelState:
    """The state that a client holds of one view."""

    epoch: int
    window: str
    version: int
    starts: Any
    ends: Any
    total: int
    entries: dict[str, dict[str, Any]] = field(default_factory=dict)
    stats: Any = None

    def reading(self, kind: str) -> Reading:
        place = self.window, self.epoch, self.version
        if kind == "stats":
            return Reading(place, self.stats)
        rows = sorted(self.entries.values(), key=lambda entry: entry["position"])
        return Reading(place, (self.starts, self.ends, self.total, rows))


def ask_rest(client: httpx.Client, one: Watch) -> Reading | None:
    """What REST says; None where it has no such board now, or the user of `around` is not on it."""
    answer = client.get(one.path, params=one.query)
    if answer.status_code != 200:
        return None
    body = answer.json()
    if one.kind == "stats":
        return Reading((body["window"], None, body["version"]), {name: body[name] for name in FIGURES})
    content = body["starts"], body["ends"], body["total"], body["entries"]
    return Reading((body["window"], body["epoch"], body["version"]), content)


class ModelClient(threading.Thread):
    """Watches all views by one socket at a time, at one server or another; leaves now and then, and comes back with
    what it holds. Its states are given up by nothing but a snapshot."""

    def __init__(self, urls: list[str], key: str, watches: list[Watch], book: Book, seed: int, *, packed: bool) -> None:
        super().__init__()
        self._urls, self._key, self._watches, self._book, self._packed = urls, key, watches, book, packed
        self._random = random.Random(seed)
        self._is_over = threading.Event()
        self._lock = threading.Lock()
        self._states: dict[int, ModelState] = {}
        self._sent: dict[int, ModelState | None] = {}
        self._current: set[int] = set()
        self._again: dict[int, float] = {}
        #: Left on this socket and asked for again by the same id: frames of before may still come.
        self._trailing: set[int] = set()
        self.stays = False

    def reading_of(self, number: int) -> Reading | None:
        """What it holds of a view, if it has heard of it on the socket that it has now."""
        with self._lock:
            state = self._states.get(number) if number in self._current else None
            return None if state is None else state.reading(self._watches[number].kind)

    def stop(self) -> None:
        """Ends it."""
        self._is_over.set()

    def run(self) -> None:
        while not self._is_over.is_set():
            try:
                self._session(self._random.choice(self._urls))
            except (OSError, WebSocketException, EOFError):
                self._book.counts["lost"] += 1
            except Exception as fault:
                self._book.fail(f"a client failed: {fault!r}")
                return
            with self._lock:
                self._current.clear()
                self._trailing.clear()
            self._is_over.wait(self._random.uniform(0.02, 0.2))

    def _session(self, url: str) -> None:
        name = "leaderboard.v1.msgpack" if self._packed else "leaderboard.v1"
        address = url.replace("http", "ws") + "/v1/live"
        with connect(address, subprotocols=[name], open_timeout=5, close_timeout=1) as socket:  # type: ignore[list-item]
            self._book.counts["sockets"] += 1
            self._say(socket, type="auth", token=self._key)
            ready = self._hear(socket, 5)
            if ready is None or ready["type"] != "ready":
                return
            for number in self._random.sample(range(len(self._watches)), len(self._watches)):
                self._subscribe(socket, number)
            self._again = {}
            left = self._random.randrange(20, 200)
            while not self._is_over.is_set() and (left > 0 or self.stays):
                frame = self._hear(socket, 0.1)
                left -= 1
                if frame is not None:
                    self._take(frame)
                if self._random.random() < 0.01:
                    number = self._random.randrange(len(self._watches))
                    if number in self._current:
                        self._say(socket, type="unsubscribe", id=number)
                        self._trailing.add(number)
                        self._subscribe(socket, number)
                for number in [number for number, looks in self._again.items() if looks <= 0]:
                    del self._again[number]
                    self._subscribe(socket, number)
                if frame is None:
                    self._again = {number: looks - 0.1 for number, looks in self._again.items()}
            if self._random.random() < 0.5:
                socket.socket.close()  # Without a goodbye.

    def _subscribe(self, socket: ClientConnection, number: int) -> None:
        one = self._watches[number]
        with self._lock:
            state = self._states.get(number)
            resume = {}
            if state is not None and self._random.random() < 0.9:
                resume = {"epoch": state.epoch, "version": state.version, "resume_window": state.window}
            self._sent[number] = state if resume else None
            self._current.discard(number)
        body = {"namespace": one.namespace, "window": one.window, "category": one.category, "view": one.view}
        self._say(socket, type="subscribe", id=number, **body, **resume)

    def _take(self, frame: dict[str, Any]) -> None:
        kind, number = frame["type"], frame.get("id")
        self._book.counts[kind] += 1
        if kind in ("ping", "drain"):
            return
        if kind == "error":
            if number is None or frame["code"] not in PASSING:
                self._book.fail(f"{frame} for {number}")
            elif number is not None:
                with self._lock:
                    self._current.discard(number)
                self._again[number] = AGAIN_S
            return
        assert number is not None, frame
        one = self._watches[number]
        with self._lock:
            fault = self._apply(number, frame)
            if fault is not None:
                self._book.fail(f"{one}: {fault}; has {self._states.get(number)}, got {frame}")
                return
            state, generation = self._states[number], self._book.generation
            if number not in self._trailing:
                self._current.add(number)
            reading = state.reading(one.kind)
        if one.kind != "stats" and (len({row["position"] for row in reading.content[3]}) != len(reading.content[3])):
            self._book.fail(f"{one}: one position twice in {reading}")
        self._book.note(number, one, reading, generation, is_rest=False)
        self._book.fresh.put(number)

    def _apply(self, number: int, frame: dict[str, Any]) -> str | None:
        """The protocol's rules; what breaks them."""
        state = self._states.get(number)
        head: dict[str, Any] = {
            name: frame.get(name) for name in ("window", "version", "starts", "ends", "total", "stats")
        }
        match frame["type"]:
            case "snapshot":
                entries = {entry["user_id"]: entry for entry in frame["entries"]}
                self._states[number] = ModelState(epoch=frame["epoch"], entries=entries, **head)
                self._trailing.discard(number)
                return None
            case "uptodate":
                sent = self._sent.get(number)
                if state is None or sent is not state or number in self._current:
                    return "uptodate for one that asked with no state"
                self._trailing.discard(number)
                is_same = (frame["version"], frame["window"]) == (state.version, state.window)
                return None if is_same else "up to date with another state"
            case "delta":
                if state is None or not (number in self._current or number in self._trailing):
                    return "a delta before a state"
                if (frame["from"], frame["window"]) != (state.version, state.window):
                    return "a delta from another state"
                entries = dict(state.entries)
                for user in frame["remove"]:
                    if entries.pop(user, None) is None:
                        return f"{user} is removed, and was not there"
                entries |= {entry["user_id"]: entry for entry in frame["upsert"]}
                self._states[number] = ModelState(epoch=state.epoch, entries=entries, **head)
                return None
        return "an unknown frame"

    def _say(self, socket: ClientConnection, **message: Any) -> None:
        socket.send(msgspec.msgpack.encode(message) if self._packed else json.dumps(message))

    def _hear(self, socket: ClientConnection, seconds: float) -> dict[str, Any] | None:
        try:
            data = socket.recv(timeout=seconds, decode=False)
        except TimeoutError:
            return None
        # MessagePack has moments of its own.
        text = msgspec.json.encode(msgspec.msgpack.decode(data)) if self._packed else data
        frame: dict[str, Any] = json.loads(text)
        return frame
