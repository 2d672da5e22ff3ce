"""Rank events against a model: who does what they say has the top of the board, after any writes."""

import random
from typing import Any

import httpx
import pytest

from tests.conftest import Names, Stack
from tests.support.receiver import Receiver, status
from tests.support.sealed_namespace import DAY, Space
from tests.support.waits import until
from tests.support.webhooks import Hook, arrive

TYPES = ["entered", "left", "rank_changed"]
USERS = [f"u{i}" for i in range(8)]
LIMIT = 4
#: Seconds in which the last state of a board is told.
NEWS_S_MAX = 20.0

Top = dict[str, tuple[int, int]]


class Mirror:
    """What somebody knows who does what messages say, each once. window: whose messages they are."""

    def __init__(self) -> None:
        self.top: Top = {}
        self.window: str | None = None
        self.ids: set[str] = set()

    def take(self, receiver: Receiver) -> Top:
        """The top by user: rank and score. Every message fits what was known before."""
        for delivery in receiver.deliveries[len(self.ids) :]:
            message, data = delivery.message, delivery.message["data"]
            assert delivery.message_id not in self.ids, "once while the receiver answers"
            self.ids.add(delivery.message_id)
            if data["window"] != self.window:
                self.window, self.top = data["window"], {}
            user, known = data["user_id"], self.top.get(data["user_id"])
            assert data["previous_rank"] == (known and known[0]), message
            assert (message["type"] == "entered") == (known is None), message
            if message["type"] == "left":
                assert (data["rank"], data["score"]) == (None, None)
                del self.top[user]
            else:
                self.top[user] = data["rank"], data["score"]
        return self.top


def board_of(api: httpx.Client, name: str, window: str = "all") -> Top:
    answer = api.get(f"/v1/namespaces/{name}/boards/{window}", params={"limit": LIMIT})
    return {one["user_id"]: (one["rank"], one["score"]) for one in answer.json()["entries"]}


def ranks_of(top: Top) -> dict[str, int]:
    """A change of a score alone is not told."""
    return {user: rank for user, (rank, _) in top.items()}


def write(api: httpx.Client, name: str, chance: random.Random, grants: list[str]) -> None:
    """One write of any kind."""
    path = f"/v1/namespaces/{name}"
    user = chance.choice(USERS)
    match chance.choice(["grant"] * 6 + ["edit", "void", "restore", "hide", "show"]):
        case "grant":
            grants.append(f"g{len(grants)}")
            body = {"grant_id": grants[-1], "user_id": user, "amount": chance.choice([-5, 1, 2, 3, 10, 10])}
            answer = api.post(f"{path}/grants", json=body)
        case "edit" if grants:
            answer = api.patch(f"{path}/grants/{chance.choice(grants)}", json={"amount": chance.randrange(20)})
        case "void" if grants:
            answer = api.delete(f"{path}/grants/{chance.choice(grants)}")
        case "restore" if grants:
            answer = api.post(f"{path}/grants/{chance.choice(grants)}/restore", json={})
        case "hide":
            answer = api.post(f"{path}/users/{user}/hide")
        case _:
            answer = api.post(f"{path}/users/{user}/unhide")
    assert answer.status_code < 500, answer.text


@pytest.mark.parametrize("seed", range(2))
def test_who_does_what_messages_say_has_the_top_of_the_board(
    api: httpx.Client, receiver: Receiver, names: Names, seed: int
) -> None:
    chance, mirror, grants = random.Random(seed), Mirror(), list[str]()
    hook = Hook(api, names.fresh(), receiver.url, types=TYPES, board={"window": "all", "limit": LIMIT})
    for _ in range(6):
        for _ in range(chance.randrange(1, 25)):
            write(api, hook.name, chance, grants)
        top = ranks_of(board_of(api, hook.name))
        until(lambda: ranks_of(mirror.take(receiver)) == top, "the top", seconds=NEWS_S_MAX)  # noqa: B023


def test_a_window_that_is_closed_is_told_no_more_and_the_next_one_begins_empty(
    stack: Stack, api: httpx.Client, receiver: Receiver, names: Names
) -> None:
    space = Space(stack, api, names.fresh())
    body = {"url": receiver.url, "namespaces": space.name, "types": TYPES, "board": {"window": DAY, "limit": LIMIT}}
    assert api.put(f"/v1/webhooks/{space.name}", json=body).status_code == 201
    space.grant("ann", 5)
    arrive(receiver, 1)
    space.seal(DAY)
    space.grant("ann", 5)
    space.grant("bob", 50)
    stack.wait_flushed()
    summary = [(one["type"], one["data"]["user_id"]) for one in receiver.messages]
    assert summary == [("entered", "ann")]


def test_users_who_hide_while_the_receiver_is_away_are_in_no_message(
    api: httpx.Client, receiver: Receiver, names: Names
) -> None:
    receiver.behave = status(500)
    hook = Hook(api, names.fresh(), receiver.url, types=TYPES, board={"window": "all", "limit": LIMIT})
    for i, user in enumerate(USERS[:4]):
        hook.grant(f"g{i}", user, amount=10 - i)
    arrive(receiver, 1)
    assert api.post(f"/v1/namespaces/{hook.name}/users/{USERS[0]}/hide").status_code == 200
    count = len(receiver.deliveries)
    receiver.behave = status(204)
    expected = {user: i + 1 for i, user in enumerate(USERS[1:4])}

    def ranks() -> dict[str, Any]:
        ranks: dict[str, Any] = {}
        for one in receiver.messages[count:]:
            ranks[one["data"]["user_id"]] = one["data"]["rank"]
        return ranks

    until(lambda: {**ranks(), USERS[0]: None} == {**expected, USERS[0]: None}, "the others", seconds=NEWS_S_MAX)
    late = [one for one in receiver.messages[count + 1 :] if one["data"]["user_id"] == USERS[0]]
    assert late == []


def highest_of(receiver: Receiver) -> Top:
    """The top that a receiver has who keeps, of each user, what came with the highest epoch and version."""
    highest: dict[str, tuple[tuple[int, int], dict[str, Any]]] = {}
    for one in receiver.messages:
        data = one["data"]
        version = data["epoch"], data["version"]
        if version > highest.get(data["user_id"], ((0, 0), {}))[0]:
            highest[data["user_id"]] = version, data
    return {user: (data["rank"], data["score"]) for user, (_, data) in highest.items() if data["rank"] is not None}


def test_who_keeps_the_highest_version_is_right_behind_a_namespace_made_anew(
    api: httpx.Client, receiver: Receiver, names: Names
) -> None:
    hook = Hook(api, names.fresh(), receiver.url, types=TYPES, board={"window": "all", "limit": LIMIT})
    for turn, users in enumerate([USERS[:3], USERS[2:4], USERS[:2]]):
        for i, user in enumerate(users):
            hook.grant(f"g{i}", user, amount=10 + i + turn)
        top = board_of(api, hook.name)
        assert len(top) == len(users)
        until(lambda: highest_of(receiver) == top, "the top", seconds=NEWS_S_MAX)  # noqa: B023
        path = f"/v1/namespaces/{hook.name}"
        assert api.delete(path, params={"confirm": hook.name}).status_code < 300
        assert api.put(path, json={"accept_past": None}).status_code == 201
        until(lambda: highest_of(receiver) == {}, "all have left", seconds=NEWS_S_MAX)


def test_another_board_and_back_is_told_under_higher_versions(
    api: httpx.Client, receiver: Receiver, names: Names
) -> None:
    hook = Hook(api, names.fresh(), receiver.url, types=TYPES, board={"window": "all", "limit": LIMIT})
    hook.grant("g1")
    arrive(receiver, 1)
    for count, limit in enumerate((1, LIMIT), 2):
        assert hook.put(board={"window": "all", "limit": limit}).status_code == 200
        arrive(receiver, count)
    versions = [(one["data"]["epoch"], one["data"]["version"]) for one in receiver.messages]
    assert versions == sorted(set(versions)), "each is higher than the one before"
