"""The calls to Redis for a cached answer, and for one that the client has."""

import asyncio
import gc
import tracemalloc
from typing import Any

import pytest

from app.drivers.caller import CALLER, stranger
from app.model.namespace import Namespace, Rules
from app.model.views import Page
from app.read.board_bodies import BoardEntry
from app.read.conditional import RenderedAnswer
from app.read.response_cache import CachedQuestion, CachedResponse, CacheMiss, ResponseCache, ResponseShelf
from app.store import keys
from app.store.boards import READ_BOARD_VERSIONS, board_call
from app.store.profile_cache import NO_PROFILE, ProfileCache, ProfilesVersion
from tests.unit.test_profile_cache import Hash

SPACE = Namespace(7, "race", 3, 1, Rules())


class Store:
    """A Redis in which one board stands at a version."""

    def __init__(self) -> None:
        self.version = 5
        self.rows_read = self.versions_read = self.made = 0
        self.users: list[str] = []
        self.names = ProfileCache(self.call)

    async def call(self, call: Any) -> Any:
        if call == ("HKEYS", keys.NAMESPACES_WITH_PROFILES):
            return []
        if call[1] == READ_BOARD_VERSIONS.sha:
            self.versions_read += 1
            return [b"1", b"%d" % self.version]
        self.rows_read += 1
        return [b"1", b"9", b"%d" % self.version, 0, 0, None, None]

    async def make(self, reply: Any) -> dict[str, Any]:
        self.made += 1
        if not self.users:
            return {"version": self.version}
        names = await self.names.of(self.users)
        rows = [(user, names.get(user, NO_PROFILE)) for user in self.users]
        return {"entries": [BoardEntry(1, 1, user, 5, name.display_name, name.avatar) for user, name in rows]}


def names_of(store: Store) -> ProfileCache:
    return ProfileCache(store.call)


def ask(store: Store, answers: ResponseCache, tag: bytes = b"", parts: tuple[Any, ...] = ("page",)) -> RenderedAnswer:
    scope: Any = {"type": "http", "headers": [(b"if-none-match", tag)] if tag else []}
    question = CachedQuestion("all", parts, board_call(SPACE, "all", Page(0, 10)))

    async def give() -> RenderedAnswer:
        rendered = await answers.look(scope, SPACE, question)
        return (
            answers.keep(scope, rendered, await store.make(rendered.reply))
            if isinstance(rendered, CacheMiss)
            else rendered
        )

    return asyncio.run(give())


def test_a_client_with_the_answer_costs_no_row() -> None:
    store = Store()
    answers = ResponseCache(store, names_of(store))  # type: ignore[arg-type]
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
    answers = ResponseCache(store, names_of(store))  # type: ignore[arg-type]
    assert ask(store, answers) is ask(store, answers)
    assert ask(store, answers, parts=("other",)) is not ask(store, answers)
    assert store.made == 2


def fill(answers: ResponseCache, store: Store, count: int, caller: str = "k") -> None:
    CALLER.set(caller)
    for n in range(count):
        ask(store, answers, parts=(f"question {n}", n))


def test_one_answer_is_kept_for_a_question_the_newest() -> None:
    store = Store()
    answers = ResponseCache(store, names_of(store))  # type: ignore[arg-type]
    for version in range(100):
        store.version = version
        ask(store, answers)
    assert sum(map(len, answers._shelves)) == 1
    assert ask(store, answers).body == b'{"version":99}'
    assert store.made == 100


def test_what_is_kept_is_counted_with_all_that_it_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.read.response_cache.BYTES_MAX", 1_000_000)
    store, people = Store(), 50
    store.users = [f"user-{i:0120d}" for i in range(people)]
    answers = ResponseCache(store, names_of(store))  # type: ignore[arg-type]
    fill(answers, store, 10)
    gc.collect()
    tracemalloc.start()
    try:
        fill(answers, store, 500)
        gc.collect()
        # Other tests may have left threads that take memory meanwhile.
        ours = [tracemalloc.Filter(True, path) for path in ("*/app/*", __file__)]
        size = sum(one.size for one in tracemalloc.take_snapshot().filter_traces(ours).traces)
    finally:
        tracemalloc.stop()
    assert 10 < len(answers._shelves[0]) < 500
    assert size < 1_000_000


def test_answers_without_a_key_push_out_none_with_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.read.response_cache.BYTES_MAX", 50_000)
    store = Store()
    answers = ResponseCache(store, names_of(store))  # type: ignore[arg-type]
    fill(answers, store, 5)
    mine = [one.rendered for one in answers._shelves[0]._responses.values()]
    CALLER.set(stranger("192.0.2.1"))
    for n in range(1_000):
        ask(store, answers, parts=("theirs", n))
    assert [one.rendered for one in answers._shelves[0]._responses.values()] == mine
    assert len(answers._shelves[1]) < 50


def test_the_least_recently_used_goes_first_one_by_one() -> None:
    shelf = ResponseShelf(10_000)
    for n in range(4):
        shelf.put((n,), CachedResponse(RenderedAnswer(b"", []), "", 1, 1, False, (), "", ProfilesVersion(0, 0)))
    assert shelf.get((0,))
    shelf.put((4,), CachedResponse(RenderedAnswer(b"x" * 1_000, []), "", 1, 1, False, (), "", ProfilesVersion(0, 0)))
    assert [shelf.get((n,)) is not None for n in range(5)] == [True, False, True, True, True]


def test_somebody_elses_name_has_no_answer_compared() -> None:
    store, profiles = Store(), Hash()
    store.users = ["ann", "bob"]
    profiles.fields = {"ann": "Ann"}
    profiles.names.notice(1)
    profiles.names._namespaces = frozenset()
    store.names = profiles.names
    answers = ResponseCache(store, profiles.names)  # type: ignore[arg-type]
    first = ask(store, answers)
    for number in range(2, 102):
        profiles.names.notice(number, ("zoe",))
        assert ask(store, answers) is first
    assert (store.made, profiles.calls) == (1, [("ann", "bob")])
    profiles.names.notice(102)
    assert ask(store, answers) is first, "anybody's may have changed: it is compared, and is the same"
    assert (store.made, len(profiles.calls)) == (1, 2)
    profiles.fields["bob"] = "Bob"
    profiles.names.notice(103, ("zoe", "bob", "zoe"))
    assert b'"Bob"' in ask(store, answers).body


def test_a_name_counts_where_it_is_shown() -> None:
    store, profiles = Store(), Hash()
    store.users = ["ann", "bob"]
    profiles.fields = {"ann": "Ann"}
    profiles.names.notice(1)
    profiles.names._namespaces = frozenset()
    store.names = profiles.names
    answers = ResponseCache(store, profiles.names)  # type: ignore[arg-type]
    tag = dict(ask(store, answers).headers)[b"etag"]
    # Somebody else's name: the answer stays as it is, here and for whoever holds it.
    profiles.fields["zoe"] = "Zoe"
    profiles.names.notice(2)
    assert ask(store, answers, tag).status == 304
    assert dict(ask(store, answers).headers)[b"etag"] == tag
    assert store.made == 1
    # A server that has no answer yet finds the same tag.
    elsewhere = ResponseCache(store, profiles.names)  # type: ignore[arg-type]
    assert ask(store, elsewhere, tag).status == 304
    profiles.fields["bob"] = "Bob"
    profiles.names.notice(3)
    changed = ask(store, answers, tag)
    assert (changed.status, b'"Bob"' in changed.body) == (200, True)
    assert dict(changed.headers)[b"etag"] != tag
