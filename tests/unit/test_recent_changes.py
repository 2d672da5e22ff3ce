"""Whose names changed lately: it is bounded, and what is not known any more may have changed."""

import pytest

from app.store.recent_changes import RecentChanges


def test_it_tells_who_changed_since() -> None:
    changes = RecentChanges()
    first = changes.step
    changes.follow(2, ("ann", "bob"))
    second = changes.step
    changes.follow(3, ("ann",))
    assert [changes.has_changed((user,), first) for user in ("ann", "bob", "cid")] == [True, True, False]
    assert [changes.has_changed((user,), second) for user in ("ann", "bob", "cid")] == [True, False, False]
    assert not changes.has_changed(("ann", "bob"), changes.step)
    changes.follow(4, None)
    assert [changes.has_changed(users, second) for users in (("cid",), ())] == [True, False]
    assert not changes.has_changed(("cid",), changes.step)


def test_a_counter_that_falls_takes_no_position_back() -> None:
    changes = RecentChanges()
    changes.follow(7, ("ann",) * 7)
    before = changes.step
    changes.follow(2, None)
    changes.follow(9, ("bob",) * 7)
    assert changes.step > before
    assert changes.has_changed(("cid",), before)


def test_beyond_the_bound_anybody_may_have_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.store.recent_changes.USERS_MAX", 2)
    changes = RecentChanges()
    changes.follow(1, ("ann",))
    second = changes.step
    changes.follow(4, ("bob", "cid", "bob"))
    assert [changes.has_changed((user,), second) for user in ("ann", "bob", "cid")] == [False, True, True]
    changes.follow(5, ("dan",))
    assert changes.has_changed(("ann",), 0)
    assert changes.has_changed(("cid",), second), "it is forgotten who that was"
    assert changes.has_changed(("ann",), second)
    third = changes.step
    changes.follow(6, ("eve",))
    assert not changes.has_changed(("ann", "dan"), third)
