"""Clients that look: reads, a live socket, and keys that were revoked."""

from __future__ import annotations

import json
import threading
from typing import Any

from websockets.exceptions import WebSocketException
from websockets.sync.client import ClientConnection, connect

from app.drivers.postgres import POSTGRES_ERRORS
from app.drivers.redis import REDIS_ERRORS, RedisRefused
from app.model.errors import Problem
from tests.crash.book import now
from tests.crash.clients import INSIST_S_MAX, RETRY_S, Client, Unexpected
from tests.crash.spaces import AGGREGATION, DAYS, ICE, PACER

#: Seconds after which every server knows of a revocation that was answered.
KNOWN_S_MAX = 1.5
#: Seconds in which a live view must be what a read says, once nothing moves any more.
FOLLOW_S_MAX = 20.0
#: What a command raises while a store is away.
AWAY = (*POSTGRES_ERRORS, *REDIS_ERRORS, RedisRefused, Problem, OSError)


class Reader(Client):
    """Reads boards: none goes back, none shows who is hidden, none lacks what was acknowledged."""

    def step(self) -> None:
        space = self.chance.choice([name for name in AGGREGATION if name not in (DAYS, ICE)])
        floor, hidden = self.book.floor(space), self.book.hidden
        answer = self.ask("GET", f"/v1/namespaces/{space}/boards/all?limit=100")
        if answer is None:
            return
        board = self.expect(answer, 200).json()
        scores = {entry["user_id"]: entry["score"] for entry in board["entries"]}
        if scores.get(PACER, 0) < min(floor, self.book.floor(space)):
            raise Unexpected(f"{space}: an old board: {scores.get(PACER)} instead of {floor} or more")
        # Hidden before the read began, and never shown until it ended.
        shown = {user for user, count in hidden.items() if user in scores and self.book.hidden.get(user) == count}
        if shown:
            raise Unexpected(f"{space}: {shown} are shown, and hidden")
        place = board["epoch"], board["version"]
        if place < self._places.get(space, (0, 0)):
            raise Unexpected(f"{space}: version {place} after {self._places[space]}")
        self._places[space] = place

    def start(self) -> None:
        self._places: dict[str, tuple[int, int]] = {}
        super().start()


class Watcher(Client):
    """Watches a board over a WebSocket, and comes back whenever it ends. Stands still at no gate."""

    def run(self) -> None:
        self.version = self.epoch = -1
        self.entries: dict[str, Any] = {}
        while not self.gate.is_over:
            try:
                with connect(self.stack.url.replace("http", "ws") + "/v1/live", open_timeout=5) as socket:
                    self._watch(socket)
            except (WebSocketException, OSError):
                threading.Event().wait(RETRY_S)
            except Exception as error:
                self.gate.note(f"{type(self).__name__}: {type(error).__name__}: {error}")
                return
        self.client.close()

    def wait_followed(self) -> None:
        """Waits until its view is what a read says."""
        deadline = now() + FOLLOW_S_MAX
        while True:
            answer = self.ask("GET", "/v1/namespaces/sum/boards/all?limit=100")
            view = sorted(self.entries.values(), key=lambda entry: int(entry["position"]))
            if answer is not None and view == answer.json()["entries"]:
                return
            assert now() < deadline, ("the live view is not what a read says", view, answer and answer.text)
            threading.Event().wait(RETRY_S)

    def _watch(self, socket: ClientConnection) -> None:
        socket.send(json.dumps({"type": "auth", "token": self.stack.key}))
        self._subscribe(socket)
        while not self.gate.is_over:
            try:
                frame = json.loads(socket.recv(timeout=0.2))
            except TimeoutError:
                continue
            match frame["type"]:
                case "snapshot":
                    self.entries = {}
                    self._apply(frame, frame["entries"])
                case "delta":
                    if frame["from"] != self.version:
                        raise Unexpected(f"a delta from {frame['from']} to one who has {self.version}")
                    for user in frame["remove"]:
                        self.entries.pop(user, None)
                    self._apply(frame, frame["upsert"])
                case "error":
                    if frame["code"] not in ("recovering", "store_unavailable", "overloaded"):
                        raise Unexpected(f"live: {frame}")
                    threading.Event().wait(RETRY_S)
                    self._subscribe(socket)

    def _apply(self, frame: dict[str, Any], entries: list[Any]) -> None:
        self.entries = self.entries | {entry["user_id"]: entry for entry in entries}
        self.version, self.epoch = frame["version"], frame.get("epoch", self.epoch)

    def _subscribe(self, socket: ClientConnection) -> None:
        state = {} if self.version < 0 else {"epoch": self.epoch, "version": self.version}
        body = {"type": "subscribe", "id": 1, "namespace": "sum", "view": {"kind": "top", "limit": 100}, **state}
        socket.send(json.dumps(body))


class Warden(Client):
    """Revokes keys and writes with them; freezes a namespace and writes to it."""

    def start(self) -> None:
        self._revoked: list[str] = []
        super().start()

    def step(self) -> None:
        if self.count % 4 == 1 and len(self._revoked) < 20:
            self._revoke()
        for key in self._revoked[-5:]:
            body = {"grant_id": f"revoked-{self.count}", "user_id": "u0", "amount": 1}
            answer = self.ask("POST", "/v1/namespaces/sum/grants", body, authorization=f"Bearer {key}")
            if answer is not None:
                self.expect(answer, 401)
        self._freeze()
        threading.Event().wait(0.1)

    def _revoke(self) -> None:
        deadline = now() + INSIST_S_MAX
        key = ""
        while now() < deadline:
            try:
                key = key or self.stack.new_key("write:*")
                self.stack.revoke(key)
            except AWAY:
                threading.Event().wait(RETRY_S)
            else:
                threading.Event().wait(KNOWN_S_MAX)
                self._revoked.append(key)
                return
        raise Unexpected("no key can be revoked")

    def _freeze(self) -> None:
        path = f"/v1/namespaces/{ICE}"
        answer, _ = self.insist("PUT", path, {"mode": "frozen"})
        self.expect(answer, 200)
        for i in range(3):
            body = {"grant_id": f"frozen-{self.count}-{i}", "user_id": "u0", "amount": 1}
            refused = self.ask("POST", f"{path}/grants", body)
            if refused is not None:
                self.expect(refused, 409)
        answer, _ = self.insist("PUT", path, {})
        self.expect(answer, 200)
        body = {"grant_id": f"thawed-{self.count}", "user_id": "u1", "amount": 1}
        answer, sent_at = self.insist("POST", f"{path}/grants", body)
        self.expect(answer, 200, 201)
        self.book.add(ICE, body, sent_at)
