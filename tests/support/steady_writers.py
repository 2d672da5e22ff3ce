"""Clients that write to a namespace each, one grant after the other, and note what each was answered."""

import itertools
import threading
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

import httpx

#: Ids of one writer are no other's.
_SERIES = itertools.count(1)


class SteadyWriter(threading.Thread):
    """Writes to one namespace. A grant that is refused, or not answered, is sent again with the same id until it is
    acknowledged. acknowledged: how many grants were; refusals: how often it was sent again; answers: when each answer
    came (monotonic clock), and the seconds that it took. query: of each request; users: who get them, in turn."""

    def __init__(self, stack: Any, namespace: str, query: str = "", users: Sequence[str] = ("otter",)) -> None:
        super().__init__()
        self._series = next(_SERIES)
        self.namespace = namespace
        self.users = users
        self.acknowledged = 0
        self.refusals: list[str] = []
        self.answers: list[tuple[float, float]] = []
        self._path = f"/v1/namespaces/{namespace}/grants{query}"
        self._client: httpx.Client = stack.client()
        self._is_over = threading.Event()

    def run(self) -> None:
        with self._client:
            while not self._is_over.is_set():
                user = self.users[self.acknowledged % len(self.users)]
                self._insist({"grant_id": f"{self._series}-{self.acknowledged}", "user_id": user, "amount": 1})

    def more(self, count: int, seconds: float = 60) -> None:
        """Waits until so many more are acknowledged."""
        goal, deadline = self.acknowledged + count, time.monotonic() + seconds
        while self.acknowledged < goal:
            assert time.monotonic() < deadline, f"{self.namespace}: {self.refusals[-1:]}"
            time.sleep(0.01)

    def stop(self) -> None:
        """Ends it, once the grant under way is acknowledged."""
        self._is_over.set()
        self.join(90)

    def _insist(self, grant: dict[str, Any]) -> None:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            begin = time.monotonic()
            try:
                answer = self._client.post(self._path, json=grant)
            except httpx.TransportError as error:
                self.refusals.append(str(error))
            else:
                now = time.monotonic()
                self.answers.append((now, now - begin))
                if answer.status_code in (200, 201):
                    self.acknowledged += 1
                    return
                self.refusals.append(answer.text)
                assert answer.status_code == 503, answer.text
            time.sleep(0.02)
        self._is_over.set()


class SteadyWriters:
    """A writer for each namespace, while they are in use."""

    def __init__(self, stack: Any, namespaces: list[str], query: str = "", users: Sequence[str] = ("otter",)) -> None:
        self.all = [SteadyWriter(stack, namespace, query, users) for namespace in namespaces]

    def __enter__(self) -> Self:
        for writer in self.all:
            writer.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        for writer in self.all:
            writer.stop()

    def more(self, count: int) -> None:
        """Waits until each has so many more acknowledged."""
        for writer in self.all:
            writer.more(count)
