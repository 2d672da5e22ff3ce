"""A process's view of names: what it asks, what it keeps, and for how long."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from app.model.namespace import Namespace, Rules
from app.store import keys
from app.store.changes import EVERYTHING, RING_MAX, Changed
from app.store.profile_cache import CHANGES_FIELD, NO_PROFILE, DisplayProfile, ProfileCache


class Hash:
    """`lb:profiles`, and who asked for what of it. `meanwhile`: what happens while an answer is on its way."""

    def __init__(self) -> None:
        self.fields: dict[str, str] = {}
        self.calls: list[Sequence[Any]] = []
        self.meanwhile: Callable[[], None] = lambda: None
        self.names = ProfileCache(self.call)

    async def call(self, call: Sequence[Any]) -> Any:
        assert call[:2] == ("HMGET", keys.PROFILES)
        self.calls.append(call[2:])
        results = [self.fields.get(user) for user in call[2:]]
        await asyncio.sleep(0)
        self.meanwhile()
        return [
            None if text is None else b'7 {"display_name":"%s","timezone":null}' % text.encode() for text in results
        ]

    def of(self, *users: str) -> dict[str, DisplayProfile]:
        return dict(asyncio.run(self._of(users)))

    async def _of(self, users: Sequence[str]) -> Any:
        return await self.names.of(users)


def test_nothing_is_read_while_nobody_has_a_profile() -> None:
    profiles = Hash()
    assert profiles.of("a", "b") == {}
    profiles.names.notice(0)
    assert (profiles.of("a"), profiles.calls) == ({}, [])


def test_a_name_is_read_once_until_one_changes() -> None:
    profiles = Hash()
    profiles.fields = {"a": "Ann"}
    profiles.names.notice(1)
    assert profiles.of("a", "b") == {"a": DisplayProfile("Ann")}
    assert profiles.of("b", "a", "c") == {"a": DisplayProfile("Ann")}
    assert profiles.calls == [("a", "b"), ("c",)]
    profiles.fields = {"b": "Bea"}
    assert profiles.of("a") == {"a": DisplayProfile("Ann")}
    profiles.names.notice(2)
    assert profiles.of("a", "b") == {"b": DisplayProfile("Bea")}


def test_what_changed_on_the_way_is_not_kept() -> None:
    profiles = Hash()
    profiles.fields = {"a": "Ann"}
    profiles.names.notice(1)
    profiles.meanwhile = lambda: profiles.names.notice(2)
    assert profiles.of("a") == {"a": DisplayProfile("Ann")}
    profiles.fields = {"a": "Anna"}
    assert profiles.of("a") == {"a": DisplayProfile("Anna")}


def test_what_is_kept_is_bounded(monkeypatch: Any) -> None:
    monkeypatch.setattr("app.store.profile_cache.CACHED_MAX", 2)
    profiles = Hash()
    profiles.names.notice(1)
    for user in "abc":
        profiles.of(user)
    assert len(profiles.names._profiles) == 1
    assert profiles.of("c", "d") == {}
    assert profiles.calls[-1] == ("d",)


def test_who_has_a_profile_without_a_name_has_one() -> None:
    profiles = Hash()
    profiles.names.notice(1)

    async def call(call: Any) -> Any:
        return [b'3 {"display_name":null,"avatar":null,"timezone":null,"opt_out":false}', None]

    profiles.names.call = call
    assert profiles.of("a", "b") == {"a": NO_PROFILE}


def test_zones_are_read_of_users_who_have_one() -> None:
    profiles = Hash()
    profiles.names.notice(1)

    async def call(call: Any) -> Any:
        return [b'3 {"timezone":"Europe/Rome","opt_out":false}', None, b'4 {"display_name":"Ann"}']

    profiles.names.call = call
    assert asyncio.run(profiles.names.zones_of(["a", "b", "c"])) == {"a": "Europe/Rome"}


class Space:
    """`lb:profiles:namespaces` and one namespace's names, and how often either was asked."""

    def __init__(self, named: bool, **own: str) -> None:
        self.own, self.calls = own, list[str]()
        self.named = [b"7"] if named else []
        self.names = ProfileCache(self.call)
        self.names.notice(1)
        self.counter, self.ring = 4, dict[int, str]()

    def change(self, user: str) -> None:
        """A name of the namespace's own."""
        self.counter += 1
        self.ring[self.counter % RING_MAX] = f"{self.counter} {user}"

    async def call(self, call: Sequence[Any]) -> Any:
        self.calls.append(call[1])
        if call[1] == keys.NAMESPACES_WITH_PROFILES:
            return self.named
        if call[1] == keys.PROFILES:
            return [b'1 {"display_name":"Ann","avatar":"a"}' if user == "ann" else None for user in call[2:]]
        assert call[1] in (keys.profiles_in(3, 7), keys.profiles_in(3, 8))
        if call[2] == CHANGES_FIELD:
            return b"%d" % self.counter
        if call[2].startswith(CHANGES_FIELD):
            profiles = (self.ring.get(int(field.partition(":")[2])) for field in call[2:])
            return [None if text is None else text.encode() for text in profiles]
        return [self.own[user].encode() if user in self.own else None for user in call[2:]]

    def shown(self, *users: str) -> dict[str, DisplayProfile]:
        return dict(asyncio.run(self._shown(users)))

    async def _shown(self, users: Sequence[str]) -> Any:
        return await self.names.display_profiles(Namespace(7, "race", 3, 1, Rules()), users)


def test_a_name_of_the_namespace_wins_and_null_is_the_deployments() -> None:
    space = Space(True, ann='1 {"display_name":null,"avatar":"b","opt_out":false}', bob='1 {"display_name":"Bob"}')
    assert space.shown("ann", "bob", "cid") == {"ann": DisplayProfile("Ann", "b"), "bob": DisplayProfile("Bob")}


def test_a_namespace_without_names_of_its_own_costs_no_further_call() -> None:
    space = Space(False)
    assert space.shown("ann") == space.shown("ann") == {"ann": DisplayProfile("Ann", "a")}
    assert space.calls == [keys.PROFILES, keys.NAMESPACES_WITH_PROFILES], (
        "which have any is asked once, until namespaces change"
    )
    space.named = [b"7"]
    space.names.forget_namespaces(Changed(frozenset(("another",))))
    assert space.shown("ann") == {"ann": DisplayProfile("Ann", "a")}, "a change with a name is no such change"
    space.names.forget_namespaces(EVERYTHING)
    space.own = {"ann": '1 {"display_name":"Queen"}'}
    assert space.shown("ann") == {"ann": DisplayProfile("Queen", "a")}


def test_the_version_is_of_both() -> None:
    space, here, there = Space(True), Namespace(7, "race", 3, 1, Rules()), Namespace(8, "other", 3, 1, Rules())
    first, other = [asyncio.run(space.names.version_in(namespace)) for namespace in (here, there)]
    assert asyncio.run(space.names.version_in(here)) == first
    space.change("ann")
    assert asyncio.run(space.names.version_in(here)) != first
    assert asyncio.run(space.names.version_in(there)) == other
    space.names.notice(2, ("bob",))
    assert asyncio.run(space.names.version_in(there)) != other
    assert space.names.has_changed(there, ["ann", "bob"], other)
    assert not space.names.has_changed(there, ["ann"], other)
    assert space.names.has_changed(here, ["ann"], first)
    assert not space.names.has_changed(here, ["cid"], first)


def test_changes_of_a_namespaces_own_names_are_known_by_user(monkeypatch: Any) -> None:
    space, here = Space(True), Namespace(7, "race", 3, 1, Rules())
    first = asyncio.run(space.names.version_in(here))
    space.change("ann")
    count = len(space.calls)
    assert asyncio.run(space.names.version_in(here)) != first
    assert len(space.calls) - count == 2, "the counter, and whose it was"
    assert not space.names.has_changed(here, ["bob"], first)
    space.counter += 1  # by an older server, without a name
    second = asyncio.run(space.names.version_in(here))
    assert space.names.has_changed(here, ["bob"], first)
    space.counter = 2  # Redis lost it, and begins anew
    third = asyncio.run(space.names.version_in(here))
    assert space.names.has_changed(here, ["bob"], second)
    monkeypatch.setattr("app.store.profile_cache.NAMED_MAX", 1)
    space.names._namespaces = frozenset((7, 8))
    there = Namespace(8, "other", 3, 1, Rules())
    asyncio.run(space.names.version_in(there))
    assert space.names.has_changed(here, ["bob"], third), "it is not followed any more"
    asyncio.run(space.names.version_in(here))
    assert space.names.has_changed(here, ["bob"], third)


def test_a_changed_name_drops_that_one_alone() -> None:
    profiles = Hash()
    profiles.fields = {"a": "Ann", "b": "Bea"}
    profiles.names.notice(1)
    profiles.of("a", "b", "c")
    for number in range(2, 102):
        profiles.fields["z"] = f"Zoe {number}"
        profiles.names.notice(number, ("z",))
        assert profiles.of("a", "b", "c") == {"a": DisplayProfile("Ann"), "b": DisplayProfile("Bea")}
    assert profiles.calls == [("a", "b", "c")]
    profiles.fields["c"] = "Cid"
    profiles.names.notice(103, ("z", "c"))
    assert profiles.of("a", "b", "c") == {
        "a": DisplayProfile("Ann"),
        "b": DisplayProfile("Bea"),
        "c": DisplayProfile("Cid"),
    }
    assert profiles.calls == [("a", "b", "c"), ("c",)]


def test_on_the_way_only_who_changed_is_not_kept() -> None:
    profiles = Hash()
    profiles.fields = {"a": "Ann", "b": "Bea"}
    profiles.names.notice(1)
    profiles.meanwhile = lambda: profiles.names.notice(2, ("a",))
    profiles.of("a", "b")
    profiles.meanwhile = lambda: None
    profiles.fields["a"] = "Anna"
    assert profiles.of("a", "b") == {"a": DisplayProfile("Anna"), "b": DisplayProfile("Bea")}
    assert profiles.calls == [("a", "b"), ("a",)]


def test_zones_hold_until_one_of_these_users_has_another() -> None:
    zones = {b"a": b"UTC"}

    async def act() -> None:
        calls = []

        async def call(call: Sequence[Any]) -> Any:
            calls.append(call)
            results = [zones.get(user.encode()) for user in call[2:]]
            return [None if zone is None else b'7 {"timezone":"%s"}' % zone for zone in results]

        names = ProfileCache(call)
        names.notice(1)
        read = await names.zones(["a", "b"])
        assert (await names.still_hold(read), len(calls)) == (True, 1)
        names.notice(2)
        assert (await names.still_hold(read), len(calls)) == (True, 2), "somebody else's profile"
        zones[b"b"] = b"Asia/Tokyo"
        names.notice(3, ("c",))
        calls.clear()
        assert (await names.still_hold(await names.zones(["c"])), len(calls)) == (True, 1)
        names.notice(4, ("b",))
        assert not await names.still_hold(read)

    asyncio.run(act())
