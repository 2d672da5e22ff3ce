"""Views that clients may watch."""

from typing import Any

import pytest

from app.live.views import LiveView, StatsView, check_view, cut_rows, read_view
from app.model.errors import Invalid
from app.model.views import Around, Top, Users


@pytest.mark.parametrize(
    ("view", "field", "detail"),
    [
        (Top(0), "$.view.limit", "must be an integer from 1 to 100"),
        (Top(101), "$.view.limit", "must be an integer from 1 to 100"),
        (Around("ann", -1), "$.view.radius", "must be an integer from 0 to 25"),
        (Around("ann", 26), "$.view.radius", "must be an integer from 0 to 25"),
        (Around("a\nb"), "$.view.user", "must not contain control characters"),
        (Users(()), "$.view.users", "must be a list of 1 to 50 members"),
        (Users(tuple(f"u{i}" for i in range(51))), "$.view.users", "must be a list of 1 to 50 members"),
        (Users(("a\nb",)), "$.view.users", "must not contain control characters"),
    ],
)
def test_a_view_beyond_its_bounds_is_refused(view: LiveView, field: str, detail: str) -> None:
    with pytest.raises(Invalid) as refused:
        check_view(view)
    assert (refused.value.field, refused.value.detail) == (field, detail)


@pytest.mark.parametrize("view", [Top(1), Top(100), Around("ann", 0), Around("ann", 25), Users(("ann",)), StatsView()])
def test_a_view_within_its_bounds_is_taken(view: LiveView) -> None:
    assert check_view(view) == view


def test_users_are_sorted_and_each_named_once() -> None:
    assert check_view(Users(("b", "a", "b"))) == Users(("a", "b"))


def test_every_top_is_cut_out_of_one_read() -> None:
    rows = list(range(10))
    assert {read_view(view, 10) for view in (Top(1), Top(3), Top(10))} == {Top(10)}
    assert [cut_rows(view, rows) for view in (Top(1), Top(3))] == [(0,), (0, 1, 2)]
    other: Any = Around("ann", 2)
    assert (read_view(other, 10), cut_rows(other, rows)) == (other, tuple(rows))
