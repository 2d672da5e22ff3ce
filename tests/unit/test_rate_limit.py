"""How often a key may do something."""

import pytest

from app.access import rate_limit
from app.access.rate_limit import RateLimit
from app.model.errors import RateLimited


def taken(limit: RateLimit, key_id: str, tries: int) -> int:
    """How many of so many tries are let through."""
    through = 0
    for _ in range(tries):
        try:
            limit.take(key_id)
        except RateLimited:
            continue
        through += 1
    return through


def test_a_burst_and_then_a_steady_pace() -> None:
    now = [0.0]
    limit = RateLimit(2, 10, "changes", lambda: now[0])
    assert taken(limit, "k", 100) == 10
    now[0] = 3
    assert taken(limit, "k", 100) == 6
    now[0] = 1_000
    assert taken(limit, "k", 100) == 10


def test_each_key_has_its_own() -> None:
    limit = RateLimit(1, 5, "changes", lambda: 0.0)
    assert taken(limit, "a", 10) == 5
    assert taken(limit, "b", 10) == 5


def test_a_refusal_says_when_to_come_back() -> None:
    limit = RateLimit(0.25, 1, "changes", lambda: 0.0)
    limit.take("k")
    with pytest.raises(RateLimited) as refusal:
        limit.take("k")
    assert refusal.value.retry_after_s == 4


def test_what_is_kept_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rate_limit, "KEYS_MAX", 3)
    limit = RateLimit(1, 5, "changes", lambda: 0.0)
    for i in range(10):
        limit.take(str(i))
    assert list(limit._buckets) == ["7", "8", "9"]
