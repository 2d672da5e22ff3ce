"""When `verify` reads the boards of a namespace: at an instant at which it is known who is off them."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from app.model.namespace import Namespace, Rules
from app.model.visibility import ERASE, HIDE
from app.verify import board_snapshot
from app.verify.board_snapshot import INSTANT_S_MAX, BoardSnapshot, read_snapshot
from app.verify.redis_values import NamespaceState
from app.verify.visibility import DesiredState, UserVisibility, Visibilities
from tests.support.virtual_time import VirtualTime

SPACE = Namespace(3, "race", 0, 1, Rules())
STATE = NamespaceState(5, {}, set(), 0, (None, None))


def erasing(version: int = 1) -> Visibilities:
    return {7: UserVisibility(7, (DesiredState("otter", version, ERASE, open=True, erased=False),))}


def hidden(version: int) -> Visibilities:
    return {7: UserVisibility(7, (DesiredState("otter", version, HIDE, open=False, erased=False),))}


class Stores:
    """Visibilities by time, and boards whose read takes a second. reads: of the boards."""

    def __init__(self, time: VirtualTime, visibilities: Callable[[float], Visibilities]) -> None:
        self.time, self.visibilities = time, visibilities
        self.link: Any = None
        self.reads = 0

    async def read_visibilities(self, stores: Any, namespace: Namespace) -> Visibilities:
        return self.visibilities(self.time.passed_s)

    async def read_state(self, link: Any, namespace: Namespace, moving: Any, spoilt: Any) -> NamespaceState:
        self.reads += 1
        await asyncio.sleep(1)
        return STATE

    async def wait_for_ledger(self, p: int, seq: int) -> None:
        pass


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[float], Visibilities]], tuple[bool, int, float]]:
    """By visibilities in time: whether there is a snapshot, how often the boards were read, and for how long."""
    time = VirtualTime(monkeypatch)

    def act(visibilities: Callable[[float], Visibilities]) -> tuple[bool, int, float]:
        stores: Any = Stores(time, visibilities)
        monkeypatch.setattr(board_snapshot, "read_visibilities", stores.read_visibilities)
        monkeypatch.setattr(board_snapshot, "read_namespace_state", stores.read_state)
        snapshot = time.run(read_snapshot(stores, SPACE, frozenset()))
        return isinstance(snapshot, BoardSnapshot), stores.reads, time.passed_s

    return act


def test_where_nobody_moves_the_boards_are_read_once(read: Any) -> None:
    assert read(lambda now: hidden(1)) == (True, 1, 1)


def test_an_erasure_is_waited_for_as_long_as_a_busy_machine_needs(read: Any) -> None:
    """Boards are read once it is over, and not before."""
    is_read, reads, passed_s = read(lambda now: erasing() if now < INSTANT_S_MAX / 2 else {})
    assert (is_read, reads) == (True, 1)
    assert INSTANT_S_MAX / 2 <= passed_s < INSTANT_S_MAX / 2 + 2


def test_boards_during_whose_read_somebody_is_hidden_are_read_again(read: Any) -> None:
    is_read, reads, passed_s = read(lambda now: hidden(int(now) if now < 5 else 5))
    assert (is_read, passed_s < 10) == (True, True)
    assert reads > 1


@pytest.mark.parametrize(
    "visibilities", [lambda now: erasing(), lambda now: hidden(int(now))], ids=["erasures", "users who are hidden"]
)
def test_what_never_stands_still_is_given_up(read: Any, visibilities: Callable[[float], Visibilities]) -> None:
    is_read, _, passed_s = read(visibilities)
    assert (is_read, INSTANT_S_MAX <= passed_s < INSTANT_S_MAX + 2) == (False, True)
