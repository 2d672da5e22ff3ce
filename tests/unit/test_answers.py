"""What is asked of Redis for an answer that is kept, and for one that the client holds."""

import asyncio
from typing import Any

from app.model.namespace import Namespace, Rules
from app.read.answers import Answers, Question
from app.read.fresh import Kept
from app.store import keys
from app.store.boards import VERSIONS, board_call
from app.store.names import Names

SPACE = Namespace(7, "race", 3, 1, Rules())


class Store:
    """A Redis in which one board stands at a version."""

    def __init__(self) -> None:
        self.version = 5
        self.rows_read = self.versions_read = self.made = 0

    async def call(self, call: Any) -> Any:
        if call == ("HKEYS", keys.NAMED):
            return []
        if call[1] == VERSIONS.sha:
            self.versions_read += 1
            return [b"1", b"%d" % self.version]
        self.rows_read += 1
        return [b"1", b"9", b"%d" % self.version, 0, 0, None, None]

    async def make(self, reply: Any) -> dict[str, Any]:
        self.made += 1
        return {"version": self.version}


def names_of(store: Store) -> Names:
    names = Names()
    names.call = store.call
    return names


def ask(store: Store, answers: Answers, tag: bytes = b"", parts: tuple[Any, ...] = ("page",)) -> Kept:
    scope: Any = {"type": "http", "headers": [(b"if-none-match", tag)] if tag else []}
    question = Question("all", parts, board_call(SPACE, "all", ["page", 0, 10]), store.make)
    return asyncio.run(answers.give(scope, SPACE, question))


def test_whoever_holds_an_answer_costs_no_row() -> None:
    store = Store()
    answers = Answers(store, names_of(store))  # type: ignore[arg-type]
    tag = dict(ask(store, answers).headers)[b"etag"]
    assert (store.rows_read, store.versions_read, store.made) == (1, 0, 1)
    same = ask(store, answers, tag)
    assert (same.status, same.body, dict(same.headers)[b"etag"]) == (304, b"", tag)
    assert (store.rows_read, store.versions_read, store.made) == (1, 1, 1)
    store.version = 6
    changed = ask(store, answers, tag)
    assert (changed.status, changed.body) == (200, b'{"version":6}')
    assert (store.rows_read, store.versions_read, store.made) == (2, 2, 2)


def test_an_answer_is_made_once_a_version() -> None:
    store = Store()
    answers = Answers(store, names_of(store))  # type: ignore[arg-type]
    assert ask(store, answers) is ask(store, answers)
    assert ask(store, answers, parts=("other",)) is not ask(store, answers)
    assert store.made == 2


def test_what_is_kept_is_bounded(monkeypatch: Any) -> None:
    monkeypatch.setattr("app.read.answers._BYTES_MAX", 40)
    store = Store()
    answers = Answers(store, names_of(store))  # type: ignore[arg-type]
    for n in range(10):
        ask(store, answers, parts=(n,))
    assert len(answers._held) <= 3
