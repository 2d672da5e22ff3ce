"""Whose names changed lately: it is bounded, and what is not known any more may have changed."""

import pytest

from app.store.recent_changes import RecentChanges


def test_it_tells_who_changed_since() -> None:
    held = RecentChanges()
    first = held.step
    held.follow(2, ("ann", "bob"))
    second = held.step
    held.follow(3, ("ann",))
    assert [held.has_changed((user,), first) for user in ("ann", "bob", "cid")] == [True, True, False]
    assert [held.has_changed((user,), second) for user in ("ann", "bob", "cid")] == [True, False, False]
    assert not held.has_changed(("ann", "bob"), held.step)
    held.follow(4, None)
    assert [held.has_changed(users, second) for users in (("cid",), ())] == [True, False]
    assert not held.has_changed(("cid",), held.step)


def test_a_counter_that_falls_takes_no_position_back() -> None:
    held = RecentChanges()
    held.follow(7, ("ann",) * 7)
    before = held.step
    held.follow(2, None)
    held.follow(9, ("bob",) * 7)
    assert held.step > before
    assert held.has_changed(("cid",), before)


def test_beyond_the_bound_anybody_may_have_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.store.recent_changes.USERS_MAX", 2)
    held = RecentChanges()
    held.follow(1, ("ann",))
    second = held.step
    held.follow(4, ("bob", "cid", "bob"))
    assert [held.has_changed((user,), second) for user in ("ann", "bob", "cid")] == [False, True, True]
    held.follow(5, ("dan",))
    assert held.has_changed(("ann",), 0)
    assert held.has_changed(("cid",), second), "it is forgotten who that was"
    assert held.has_changed(("ann",), second)
    third = held.step
    held.follow(6, ("eve",))
    assert not held.has_changed(("ann", "dan"), third)
