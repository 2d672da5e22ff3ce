"""How far a verification has come: numbers on a bar, lines that a log can hold, nothing where nothing is wanted."""

from io import StringIO

import pytest
from rich.console import Console

from app.verify.progress import NullProgress, ProgressBar, ProgressLines, progress


def walk(progress: NullProgress) -> None:
    with progress:
        progress.begin(4000)
        progress.at("race")
        progress.step(1000)
        progress.step(2000)


def test_a_bar_fills_with_the_users_compared() -> None:
    out = StringIO()
    bar = ProgressBar(Console(file=out, force_terminal=True, width=100))
    walk(bar)
    (task,) = bar._columns.tasks
    assert (task.completed, task.total, task.description) == (3000, 4000, "race")
    assert "3000/4000" in out.getvalue()


def test_lines_come_now_and_then_and_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    now = iter([10.0, 10.0, 11.0, 16.0, 16.0, 17.0])
    monkeypatch.setattr("app.verify.progress.monotonic", lambda: next(now))
    out = StringIO()
    walk(ProgressLines(out))
    assert out.getvalue().splitlines() == [
        "checking race; 4,000 users to be compared",
        "3,000 of 4,000 users compared, at race; 500 a second, 2 s left",
        "3,000 of 4,000 users compared, at race; 429 a second, 2 s left",
    ]


def test_nothing_is_said_at_the_end_where_nobody_was_compared() -> None:
    out = StringIO()
    with ProgressLines(out) as lines:
        lines.begin(0)
        lines.at("ledger, partition 0")
    assert out.getvalue() == "checking ledger, partition 0; 0 users to be compared\n"


def test_where_nobody_knows_how_many_there_are_no_number_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    now = iter([10.0, 10.0, 16.0, 16.0])
    monkeypatch.setattr("app.verify.progress.monotonic", lambda: next(now))
    out = StringIO()
    lines = ProgressLines(out, "imported", "rows")
    lines.at("stdin")
    lines.step(3000)
    assert out.getvalue().splitlines() == ["checking stdin", "3,000 rows imported, at stdin; 500 a second"]


def test_what_was_done_before_counts_and_is_not_in_the_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    now = iter([10.0, 10.0, 16.0, 16.0])
    monkeypatch.setattr("app.verify.progress.monotonic", lambda: next(now))
    out = StringIO()
    lines = ProgressLines(out, "imported", "rows")
    lines.resume(6000)
    lines.begin(9000)
    lines.at("a.csv")
    lines.step(600)
    assert out.getvalue().splitlines() == [
        "6,000 of 9,000 rows imported, at a.csv",
        "6,600 of 9,000 rows imported, at a.csv; 100 a second, 24 s left",
    ]


def test_a_bar_goes_on_where_it_was() -> None:
    bar = ProgressBar(Console(file=StringIO(), force_terminal=True, width=100), "rows")
    with bar:
        bar.begin(9000)
        bar.resume(6000)
        bar.step(600)
    (task,) = bar._columns.tasks
    assert (task.completed, task.total) == (6600, 9000)


def test_users_who_came_meanwhile_are_among_all() -> None:
    out = StringIO()
    with ProgressLines(out) as lines:
        lines.begin(3)
        lines.at("race")
        lines.step(4)
    assert out.getvalue().splitlines()[-1] == "4 of 4 users compared, at race"


def test_one_user_is_no_users() -> None:
    out = StringIO()
    with ProgressLines(out) as lines:
        lines.begin(1)
        lines.at("race")
        lines.step(1)
    assert out.getvalue().splitlines() == ["checking race; 1 user to be compared", "1 of 1 user compared, at race"]


def test_it_is_as_loud_as_requested(capsys: pytest.CaptureFixture[str]) -> None:
    walk(progress(quiet=True))
    assert capsys.readouterr() == ("", "")
    walk(progress(quiet=False))
    out, err = capsys.readouterr()
    assert (out, err.splitlines()[-1]) == ("", "3,000 of 4,000 users compared, at race")
