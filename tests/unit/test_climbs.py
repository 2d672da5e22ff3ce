"""The count of climbs counts what it says, and no question to a board climbs more than twice."""

from pathlib import Path

import pytest

from tests.call_graph import Callback, Code
from tests.climbs import board_handlers

UPPER = """
from .lower import Reader, count

class Handler:
    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def get(self) -> int:
        def read(n: int) -> int:
            return n

        return self._reader.read(read) + count(len)

    def plain(self) -> int:
        return self._reader.direct()

def build() -> Handler:
    reader = Reader(_notice)
    reader.on_change.append(_changed)
    reader.subscribe(_subscribed)
    return Handler(reader)

def _notice() -> None: ...

def _changed() -> None: ...

def _subscribed() -> None: ...
"""
LOWER = """
from collections.abc import Callable

class Reader:
    on_change: list[Callable[[], None]]

    def __init__(self, notice: Callable[[], None]) -> None:
        self._notice = notice

    def read(self, work: Callable[[int], int]) -> int:
        self._notice()
        return self._twice(work)

    def _twice(self, work: Callable[[int], int]) -> int:
        return work(1) + work(2)

    def subscribe(self, listener: Callable[[], None]) -> None:
        self.on_change.append(listener)

    def direct(self) -> int:
        for listener in self.on_change:
            listener()
        return own(self._one)

    def _one(self) -> int:
        return 1

def own(work: Callable[[], int]) -> int:
    return work()

def count(of: object) -> int:
    return 0
"""


@pytest.fixture
def code(tmp_path: Path) -> Code:
    (tmp_path / "small").mkdir()
    for name, text in (("__init__", ""), ("upper", UPPER), ("lower", LOWER)):
        (tmp_path / "small" / f"{name}.py").write_text(text)
    return Code(tmp_path, "small")


def test_a_closure_and_what_a_constructor_is_given_are_climbs(code: Code) -> None:
    reached, callbacks = code.reached("small.upper.Handler.get")
    read, lower = "small.upper.Handler.get.read", "small.lower.Reader"
    assert reached == {
        *("small.upper.Handler.get", read, "small.upper._notice"),
        *(f"{lower}.read", f"{lower}._twice", "small.lower.count"),
    }
    assert callbacks == {
        Callback(f"{lower}.read", "_notice", "small.upper._notice", True),
        Callback(f"{lower}._twice", "work", read, True),
    }


def test_a_callback_within_a_module_is_no_climb(code: Code) -> None:
    reached, callbacks = code.reached("small.upper.Handler.plain")
    assert "small.upper.Handler.get.read" not in reached, "what others hand over is theirs"
    assert callbacks == {
        Callback("small.lower.Reader.direct", "on_change", "small.upper._changed", True),
        Callback("small.lower.Reader.direct", "on_change", "small.upper._subscribed", True),
        Callback("small.lower.own", "work", "small.lower.Reader._one", False),
    }


def test_no_question_to_a_board_climbs_more_than_twice() -> None:
    code = Code()
    climbs = {
        path: sorted(callback for callback in code.reached(handler)[1] if callback.is_climb)
        for path, handler in board_handlers(code)
    }
    assert len(climbs) == 7
    assert {path: climb for path, climb in climbs.items() if len(climb) > 2} == {}
