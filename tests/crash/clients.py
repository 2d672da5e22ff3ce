"""Clients that insist: what fails is sent again until it is acknowledged, and each acknowledgement is written down."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from tests.conftest import Stack
from tests.crash.book import Book, Change, Fact, now
from tests.crash.spaces import AGGREGATION, DAYS, ICE, PACER, SHY, USERS, moment, past_noon

#: Seconds in which a request must be acknowledged, whatever fault is under way.
INSIST_S_MAX = 90.0
#: Seconds between two tries, and between two steps of a client.
RETRY_S, STEP_S = 0.03, 0.004
#: Seconds that a client waits for an answer: less than the server may take, so that some answers are lost.
ANSWER_S_MAX = 8.0


class Gate:
    """Where clients stand still for a while. findings: what was answered and must not be."""

    def __init__(self) -> None:
        self.findings: list[str] = []
        self.is_over = False
        self._is_closed = False
        self._busy = 0
        self._changed = threading.Condition()

    @contextmanager
    def step(self) -> Iterator[None]:
        """One step of a client."""
        with self._changed:
            self._changed.wait_for(lambda: not self._is_closed or self.is_over)
            self._busy += 1
        try:
            yield
        finally:
            with self._changed:
                self._busy -= 1
                self._changed.notify_all()

    def close(self) -> None:
        """Waits until all have ended their step."""
        with self._changed:
            self._is_closed = True
            done = self._changed.wait_for(lambda: not self._busy or self.findings, INSIST_S_MAX + ANSWER_S_MAX)
        assert not self.findings, self.findings[0]
        assert done, "a client does not come to its end"

    def open(self) -> None:
        """They go on."""
        with self._changed:
            self._is_closed = False
            self._changed.notify_all()

    def end(self) -> None:
        """They end."""
        self.is_over = True
        self.open()

    def note(self, finding: str) -> None:
        """Something must not be."""
        with self._changed:
            self.findings.append(finding)
            self._changed.notify_all()


class Unexpected(Exception):
    """An answer that no fault explains."""


class Client(threading.Thread):
    """A client whose steps follow from a seed."""

    def __init__(self, stack: Stack, book: Book, gate: Gate, seed: str) -> None:
        super().__init__(daemon=True)
        self.stack, self.book, self.gate = stack, book, gate
        self.chance = random.Random(f"{seed}-{type(self).__name__}")
        self.label = seed.rpartition("-")[2]
        self.client = stack.client()
        self.client.timeout = httpx.Timeout(ANSWER_S_MAX)
        self.count = 0

    def run(self) -> None:
        with self.client:
            pause = threading.Event()
            while not self.gate.is_over:
                try:
                    with self.gate.step():
                        if not self.gate.is_over:
                            self.count += 1
                            self.step()
                except Exception as error:
                    self.gate.note(f"{type(self).__name__}: {type(error).__name__}: {error}")
                    return
                pause.wait(STEP_S)

    def step(self) -> None:
        """One thing that it does."""
        raise NotImplementedError

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> httpx.Response | None:
        """One try; None where a store or the server is away."""
        try:
            answer = self.client.request(method, path, json=body, headers=headers)
        except httpx.TransportError:
            return None
        if answer.status_code == 503:
            return None
        return answer

    def insist(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[httpx.Response, float]:
        """Until it is answered by more than a 503, and when that was sent."""
        deadline = now() + INSIST_S_MAX
        while True:
            sent_at = now()
            answer = self.ask(method, path, body, **headers)
            if answer is not None and not self._is_retryable(answer):
                return answer, sent_at
            if now() > deadline:
                raise Unexpected(f"{method} {path}: nobody acknowledges it")
            threading.Event().wait(RETRY_S)

    @staticmethod
    def _is_retryable(answer: httpx.Response) -> bool:
        body = answer.json() if answer.status_code == 200 else {}
        results = body.get("results", ()) if isinstance(body, dict) else ()
        return any(result["status"] == "rejected" and result["error"]["retryable"] for result in results)

    def expect(self, answer: httpx.Response, *statuses: int) -> httpx.Response:
        """Unexpected where another status came."""
        if answer.status_code not in statuses:
            request = answer.request
            raise Unexpected(f"{request.method} {request.url.path} {request.content[:200]!r}: {answer.text[:400]}")
        return answer


class Granter(Client):
    """Grants one by one, in batches, and to two namespaces at once; sends some again, and some with other content."""

    def step(self) -> None:
        match self.chance.randrange(10):
            case 0 | 1:
                self._send("sum", 6, atomic="pair")
            case 2 | 3 | 4:
                self._send(self.chance.choice(list(AGGREGATION)[:5]), self.chance.randrange(2, 9))
            case _:
                self._send(self.chance.choice(list(AGGREGATION)[:5]), 1)

    def _send(self, space: str, count: int, atomic: str = "") -> None:
        spaces = [space if not atomic or i % 2 else atomic for i in range(count)]
        bodies = [self._grant(one, i) for i, one in enumerate(spaces)]
        if atomic:
            named = [body | {"namespace": one} for one, body in zip(spaces, bodies, strict=True)]
            answer, sent_at = self.insist("POST", "/v1/grants?atomic=true", named)
        else:
            query = "?backfill=true" if space == DAYS else ""
            path = f"/v1/namespaces/{space}/grants{query}"
            answer, sent_at = self.insist("POST", path, bodies[0] if count == 1 else bodies)
        self._check(self.expect(answer, 200, 201), count)
        for one, body in zip(spaces, bodies, strict=True):
            self.book.add(one, body, sent_at)
        if not atomic and space != DAYS and self.chance.random() < 0.2:
            self._send_again(space, self.chance.choice(bodies))

    def _grant(self, space: str, number: int) -> dict[str, Any]:
        body: dict[str, Any] = {
            "grant_id": f"{self.label}-{self.count}-{number}",
            "user_id": self.chance.choice(USERS),
            "amount": self.chance.randrange(-2, 9),
        }
        if space == "sum":
            body["category"] = self.chance.choice(("red", "blue", None))
        if space == "latest":
            body["granted_at"] = moment()
        if space == DAYS:
            body["granted_at"] = past_noon(self.count // 40 + self.chance.randrange(3))
        if self.chance.random() < 0.1:
            body["opening"] = True
        return body

    @staticmethod
    def _check(answer: httpx.Response, count: int) -> None:
        body = answer.json()
        results = body.get("results", [body])
        if len(results) != count or any(result["status"] not in ("applied", "duplicate") for result in results):
            raise Unexpected(answer.text[:400])

    def _send_again(self, space: str, body: dict[str, Any]) -> None:
        path = f"/v1/namespaces/{space}/grants"
        again, sent_at = self.insist("POST", path, body)
        if self.expect(again, 200, 201).status_code == 201 and not self.book.is_losing:
            raise Unexpected(f"{body['grant_id']} counted twice")
        self.book.add(space, body, sent_at)
        other = body | {"amount": body["amount"] + 1}
        conflict = None if self.book.is_losing else self.ask("POST", path, other)
        if conflict is not None and conflict.status_code == 201 and self.book.is_losing:
            self.book.replace(space, other, now())
        elif conflict is not None:
            self.expect(conflict, 409)


class Pacer(Client):
    """One grant after the other to each namespace: its user's score only grows, by one."""

    def step(self) -> None:
        for space in AGGREGATION:
            if space in (DAYS, ICE):
                continue
            body = {"grant_id": f"pace-{self.count}", "user_id": PACER, "amount": 1}
            if AGGREGATION[space] != "sum":
                body["amount"] = self.count
            if space == "latest":
                body["granted_at"] = moment()
            answer, sent_at = self.insist("POST", f"/v1/namespaces/{space}/grants", body)
            self.expect(answer, 200, 201)
            self.book.add(space, body, sent_at)


class Corrector(Client):
    """Voids, restores and edits what others granted."""

    def step(self) -> None:
        facts = self.book.grants()
        if not facts or self.book.is_losing:
            return
        fact = self.chance.choice(facts)
        path = f"/v1/namespaces/{fact.space}/grants/{fact.grant_id}"
        keys = {"idempotency-key": f"{self.label}-{self.count}"} if self.chance.random() < 0.5 else {}
        if fact.last.is_voided:
            self._correct(fact, lambda version: version._replace(is_voided=False), "POST", f"{path}/restore", **keys)
        elif self.chance.random() < 0.5:
            self._correct(fact, lambda version: version._replace(is_voided=True), "DELETE", path, **keys)
        else:
            amount = self.chance.randrange(-3, 12)
            query = "?backfill=true" if fact.space == DAYS else ""
            body = {"amount": amount}
            self._correct(fact, lambda version: version._replace(amount=amount), "PATCH", path + query, body, **keys)

    def _correct(self, fact: Fact, change: Change, method: str, path: str, body: Any = None, **headers: str) -> None:
        answer, sent_at = self.insist(method, path, body, **headers)
        if answer.status_code == 404 and self.book.is_losing:
            return  # the grant itself is lost
        self.book.correct(fact, self.expect(answer, 200).json()["revision"], change, sent_at)


class Hider(Client):
    """Hides users and shows them again, one after the other."""

    def step(self) -> None:
        user = SHY[self.count % 2]
        if user in self.book.hidden:
            self.book.show(user)
            self._veil(user, "unhide")
        else:
            self._veil(user, "hide")
            self.book.hide(user)
        threading.Event().wait(0.1)

    def _veil(self, user: str, verb: str) -> None:
        """Until it is done everywhere."""
        deadline = now() + INSIST_S_MAX
        while True:
            answer, _ = self.insist("POST", f"/v1/users/{user}/{verb}")
            if self.expect(answer, 200, 202).status_code == 200:
                return
            if now() > deadline:
                raise Unexpected(f"{verb}: {answer.text}")
            threading.Event().wait(RETRY_S)
