"""How much of a backlog one client may hold."""

from contextlib import suppress

import pytest

from app.drivers.backlog_shares import BacklogShares
from app.model.errors import Overloaded, RateLimited


def filled(shares: BacklogShares, caller: str, cost: int) -> int:
    """How much a client gets until it is refused."""
    got = 0
    while True:
        try:
            shares.take(caller, cost)
        except RateLimited:
            return got
        got += cost


def test_one_client_never_takes_all_and_is_refused_for_taking_too_much() -> None:
    shares = BacklogShares(50_000, "grants")
    assert filled(shares, "hog", 10_000) == 20_000
    assert filled(shares, "swarm", 1) == 10_000
    assert shares.units < 50_000


def test_a_newcomer_finds_room_behind_many_who_took_all_they_could() -> None:
    shares = BacklogShares(50_000, "grants")
    for i in range(200):
        with suppress(RateLimited, Overloaded):
            shares.take(f"hog{i % 20}", 10_000)
    shares.take("newcomer", 1)
    shares.take("newcomer", 1)


def test_who_holds_little_is_not_blamed_for_a_full_backlog() -> None:
    shares = BacklogShares(100, "grants")
    shares.take("hog", 50)
    shares.take("other", 16)
    shares.take("small", 1)
    with pytest.raises(Overloaded):
        shares.take("small", 20)
    with pytest.raises(RateLimited):
        shares.take("hog", 1)


def test_what_is_given_back_is_free_again() -> None:
    shares = BacklogShares(50_000, "grants")
    got = filled(shares, "hog", 100)
    for _ in range(0, got, 100):
        shares.give("hog", 100)
    assert shares.units == 0
    assert filled(shares, "hog", 100) == got
