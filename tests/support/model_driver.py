"""What random operations do to a namespace over HTTP, each told to the plain model at once."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import httpx

from tests.support.model_reader import Reader
from tests.support.plain_model import Fact


class Driver(Reader):
    """Grants, corrections and hiding in one namespace, and the book that says what it should hold.

    sent: bodies of grants that were applied; moved: windows that ever had a board; causes: why which user is hidden.
    """

    api: httpx.Client
    sent: dict[str, dict[str, Any]]
    grants: int
    closed: set[str]
    moved: set[str]
    causes: set[tuple[str, str]]
    quarantined: dict[str, tuple[dict[str, Any], Fact]]

    def give(self, members: Any, backfill: bool, opening: bool = False) -> None:
        bodies, behind = [], set()
        for user, amount, at, category, source in members:
            self.grants += 1
            grant_id = f"g{self.grants}"
            body = {"grant_id": grant_id, "user_id": user, "amount": amount, "granted_at": at.isoformat()}
            body |= {"category": category, "source": source} | ({"opening": True} if opening else {})
            zone = self.book.zone(user)
            fact = Fact(grant_id, user, amount, at, category, source, self.grants, zone=zone, opening=opening)
            bodies.append((body, fact))
            if fact.windows & self.closed and not backfill:
                behind.add(grant_id)
            else:
                self.sent[grant_id] = body
        answers = self.post([body for body, _ in bodies], "?backfill=true" if backfill else "")
        refused = {answer["grant_id"]: answer["error"]["code"] for answer in answers if answer["status"] == "rejected"}
        assert refused == dict.fromkeys(behind, "window_closed"), answers
        answers = [answer for answer in answers if answer["grant_id"] not in behind]
        assert {answer["status"] for answer in answers} <= {"applied"}
        facts = {body["grant_id"]: fact for body, fact in bodies}
        assert [answer["seq"] for answer in answers] == sorted(answer["seq"] for answer in answers)
        for answer in answers:
            fact = replace(facts[answer["grant_id"]], order=answer["seq"])
            before = self.book.score(self.book.live(fact.user))
            self.book.add(fact)
            self.touched |= fact.boards
            self.moved |= fact.windows
            reply = (answer["previous_score"], answer["score"])
            assert reply == (before, self.book.score(self.book.live(fact.user)))

    def decide_about(self, grant_id: str, restore: bool) -> None:
        body, fact = self.quarantined.pop(grant_id)
        url = f"{self.url}/grants/{grant_id}"
        answer = self.api.post(f"{url}/restore") if restore else self.api.delete(url)
        assert (answer.status_code, answer.json()["status"]) == (200, "applied"), answer.text
        self.book.add(replace(fact, voided=not restore, revision=2))
        self.sent[grant_id] = body
        self.touched |= fact.boards
        self.moved |= fact.windows if restore else set()

    def set_hidden(self, user: str, hidden: bool, cause: str) -> None:
        """Off the boards while any holds: an admin's word or the user's, for the whole deployment or this namespace."""
        where = self.url if cause.endswith("here") else "/v1"
        url = f"{where}/users/{segment(user)}"
        if cause.startswith("opted out"):
            # A profile is put as a whole; a namespace's has no zone.
            zone = {"timezone": self.book.zone(user).key} if cause == "opted out" else {}
            answer = self.api.put(url, json={"opt_out": hidden} | zone)
        else:
            answer = self.api.post(f"{url}/hide" if hidden else f"{url}/unhide")
        assert answer.status_code == 200, answer.text
        (self.causes.add if hidden else self.causes.discard)((user, cause))
        self.book.hidden = {one for one, _ in self.causes}
        self.touched |= self.book.boards()

    def post(self, bodies: list[dict[str, Any]], query: str = "") -> list[dict[str, Any]]:
        one = len(bodies) == 1
        answer = self.api.post(f"{self.url}/grants{query}", json=bodies[0] if one else bodies)
        if one and answer.status_code == 422:
            return [{"status": "rejected", "grant_id": bodies[0]["grant_id"], "error": answer.json()}]
        assert answer.status_code in (200, 201), answer.text
        return [answer.json()] if one else list(answer.json()["results"])

    def correct(self, grant_id: str, answer: httpx.Response, fields: dict[str, Any]) -> None:
        assert answer.status_code == 200, answer.text
        self.note_correction(grant_id, answer.json(), fields)

    def note_correction(self, grant_id: str, body: dict[str, Any], fields: dict[str, Any], then: bool = True) -> None:
        fact = self.book.facts[grant_id]
        if fields.get("at", fact.at) != fact.at:
            fields = fields | {"zone": self.book.zone(fact.user)}
        self.touched |= fact.boards
        before = self.book.score(self.book.live(fact.user))
        changed = self.book.change(grant_id, **fields)
        new = self.book.facts[grant_id]
        self.touched |= new.boards
        self.moved |= new.windows
        after = self.book.score(self.book.live(fact.user))
        assert (body["status"], body["revision"]) == ("applied" if changed else "duplicate", new.revision)
        if then:
            assert (body["previous_score"], body["score"]) == (before, after)


def segment(user: str) -> str:
    """A user in a path."""
    return user.replace("/", "%2F")


def as_logged(done: Iterable[tuple[Any, Any]]) -> list[tuple[Any, Any]]:
    """In the order of the log: users go their own ways. What changed nothing stays behind what came before it."""
    last: dict[str, int] = {}
    placed = []
    for ask, text in done:
        place = last[text["user_id"]] = text["seq"] or last.get(text["user_id"], 0)
        placed.append((place, ask, text))
    return [(ask, one) for _, ask, one in sorted(placed, key=lambda one: one[0])]
