"""The clock of Redis as a server knows it, with clocks that are turned by hand."""

import pytest

from app.model.errors import StoreUnavailable
from app.store.clock import StoreClock

NOW = 1_800_000_000_000_000
SECOND = 1_000_000


class Hands:
    """The server's own clock, its monotonic one, and Redis'."""

    def __init__(self, ahead: int = 0) -> None:
        self.own, self.passed, self.store = NOW + ahead, 0, NOW
        self.clock = StoreClock(lambda: self.own, lambda: self.passed * 1_000)

    def pass_by(self, micros: int) -> None:
        self.own, self.passed, self.store = self.own + micros, self.passed + micros, self.store + micros

    def ask(self, there: int = 0, back: int = 0) -> None:
        requests = self.clock.elapsed()
        self.pass_by(there)
        reply = [str(self.store // SECOND).encode(), str(self.store % SECOND).encode()]
        self.pass_by(back)
        self.clock.learn(reply, requests)


def test_it_is_the_servers_own_until_redis_has_answered() -> None:
    hands = Hands(7 * SECOND)
    assert (hands.clock(), hands.clock.offset_s, hands.clock.problem()) == (NOW + 7 * SECOND, 0.0, None)
    hands.clock.learn(ConnectionError("away"), 0)
    assert hands.clock() == NOW + 7 * SECOND
    hands.ask()
    assert (hands.clock(), hands.clock.offset_s) == (NOW, 7.0)


def test_the_servers_own_clock_may_jump_meanwhile() -> None:
    hands = Hands()
    hands.ask()
    hands.own += 40 * 86_400 * SECOND
    hands.pass_by(3 * SECOND)
    assert hands.clock() == hands.store
    hands.own -= 80 * 86_400 * SECOND
    assert hands.clock() == hands.store


def test_a_slow_answer_moves_nothing_and_a_wrong_clock_is_set_by_the_next() -> None:
    hands = Hands()
    hands.ask()
    hands.ask(there=900_000)
    hands.ask(back=900_000)
    assert hands.clock() == hands.store
    hands.store += 5 * SECOND  # Redis moved to another machine
    hands.ask(there=200, back=300)
    assert hands.store - 300 <= hands.clock() <= hands.store + 200


def test_it_stands_still_rather_than_go_back_a_little() -> None:
    """Of two grants that a client sends one after the other, the second is later, or of the same moment."""
    hands = Hands()
    hands.ask(there=900_000)  # It may have come at once: half of that is all one knows.
    first = hands.clock()
    assert first == hands.store + 450_000
    hands.ask()
    hands.pass_by(10)
    assert hands.clock() == first
    hands.pass_by(450_000)
    assert hands.clock() == hands.store > first


def test_a_clock_that_was_far_ahead_goes_back() -> None:
    hands = Hands()
    hands.ask()
    hands.clock()
    hands.store -= 5 * SECOND
    hands.ask()
    assert hands.clock() == hands.store


@pytest.mark.parametrize("ahead", [3, -3, 0.9, -0.9])
def test_a_difference_past_a_second_is_logged(ahead: float) -> None:
    hands = Hands(round(ahead * SECOND))
    hands.ask()
    if abs(ahead) < 1:
        assert hands.clock.problem() is None
    else:
        way = "ahead of" if ahead > 0 else "behind"
        assert hands.clock.problem() == f"the clock of this server is 3.0 s {way} that of Redis"
    hands.clock.check()


@pytest.mark.parametrize("ahead", [31, -31])
def test_past_half_a_minute_no_write_is_taken_until_it_is_set_right(ahead: int) -> None:
    hands = Hands(ahead * SECOND)
    hands.ask()
    with pytest.raises(StoreUnavailable, match=r"31\.0 s .* takes no writes beyond 30 s"):
        hands.clock.check()
    hands.own = hands.store
    hands.clock.check()
    assert hands.clock.problem() is None


def test_the_time_is_read_again_after_a_while() -> None:
    hands = Hands()
    assert hands.clock.is_due(hands.clock.elapsed())
    hands.ask()
    assert not hands.clock.is_due(hands.clock.elapsed())
    hands.pass_by(49_999)
    assert not hands.clock.is_due(hands.clock.elapsed())
    hands.pass_by(1)
    assert hands.clock.is_due(hands.clock.elapsed())
