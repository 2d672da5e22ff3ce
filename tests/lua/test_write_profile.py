"""A user's name in a namespace and its count are written in one step, on every store."""

from typing import Any

import pytest

from app.model.profile import NamespaceProfile, Profile
from app.store import keys
from app.store.changes import RING_MAX, WRITE_PROFILE, missed_call, read_missed_users
from app.store.profile_cache import CHANGES_FIELD, forget_name_call, forget_own_name_call, name_call, own_name_call
from tests.lua.test_full_memory import full

P, NS = 3, 7
OWN = keys.profiles_in(P, NS)


def run(partition: Any, call: Any) -> int:
    """A call of write_profile.lua; the store has no script by its name."""
    return int(partition.send(WRITE_PROFILE, call[2:]))


def users_since(partition: Any, before: int, now: int, key: str, field: str) -> Any:
    call = missed_call(before, now, key, field)
    assert call is not None
    return read_missed_users(partition.store.hmget(key, call[2:]), before)


def _write_own(user: str, version: int, profile: Profile, erased: int = 0) -> Any:
    own = NamespaceProfile(display_name=profile.display_name)
    return own_name_call(P, namespace_id=NS, user=user, version=version, profile=own, erased=erased)


def _forget_own(user: str, version: int) -> Any:
    return forget_own_name_call(P, namespace_id=NS, user=user, version=version)


def test_each_change_tells_whose_it_is(partition: Any) -> None:
    changed = ["ann", "a b:ü", "ann", "\U0001f469", "profiles", "changes:1"]
    for version, user in enumerate(changed, 1):
        assert run(partition, _write_own(user, version, Profile(display_name=f"n{version}"))) == version
    assert users_since(partition, 0, 6, OWN, CHANGES_FIELD) == tuple(changed)
    assert users_since(partition, 3, 5, OWN, CHANGES_FIELD) == tuple(changed[3:5])
    assert partition.store.hget(OWN, "ann").startswith(b"3 {")


def test_a_later_version_stays_and_is_counted(partition: Any) -> None:
    run(partition, name_call("ann", 5, Profile(display_name="five")))
    assert run(partition, name_call("ann", 4, Profile(display_name="four"))) == 2
    assert b'"five"' in partition.store.hget(keys.PROFILES, "ann")
    run(partition, name_call("ann", 5, Profile(display_name="again")))
    assert b'"again"' in partition.store.hget(keys.PROFILES, "ann")


def test_what_the_deployment_is_told_of_is_recorded_elsewhere(partition: Any) -> None:
    """Changes of its profiles are announced to every partition: their hash has no list of them."""
    run(partition, name_call("ann", 1, Profile(display_name="Ann")))
    run(partition, name_call("bob", 2, Profile(display_name="Bob")))
    assert run(partition, forget_name_call("ann", 3)) == 3
    listed = partition.store.hgetall(keys.PROFILES)
    assert listed.keys() == {b"bob", CHANGES_FIELD.encode(), f"{CHANGES_FIELD}:erased".encode()}


def test_a_namespace_counts_its_own(partition: Any) -> None:
    run(partition, _write_own("ann", 1, Profile(display_name="Queen")))
    run(partition, _write_own("bob", 2, Profile(display_name="King")))
    assert run(partition, _forget_own("ann", 3)) == 3
    assert users_since(partition, 0, 3, OWN, CHANGES_FIELD) is None
    assert users_since(partition, 1, 2, OWN, CHANGES_FIELD) == ("bob",)
    assert not partition.store.hexists(OWN, "ann")
    assert not partition.store.exists(keys.PROFILES)


def test_the_latest_are_kept_and_no_more(partition: Any) -> None:
    for version in range(1, RING_MAX + 3):
        run(partition, _write_own(f"u{version}", version, Profile()))
    assert missed_call(0, RING_MAX + 2, OWN) is None
    assert users_since(partition, 2, RING_MAX + 2, OWN, CHANGES_FIELD) == tuple(
        f"u{version}" for version in range(3, RING_MAX + 3)
    )
    assert partition.store.hlen(OWN) == RING_MAX + 2 + RING_MAX + 1


def test_in_a_full_store_a_name_changes_and_goes_and_none_is_written_by_half(partition: Any) -> None:
    run(partition, _write_own("ann", 1, Profile(display_name="Ann")))
    run(partition, _write_own("bob", 2, Profile(display_name="Bob")))
    with full(partition.store) as bounded:
        assert run(partition, _write_own("ann", 3, Profile(display_name="Anna"))) == 3
        assert run(partition, _forget_own("bob", 4)) == 4
        if bounded:
            with pytest.raises(Exception, match="maxmemory"):
                run(partition, _write_own("cid", 5, Profile(display_name="Cid")))
    assert partition.store.hget(OWN, CHANGES_FIELD) == b"4"
    assert [name for name in partition.store.hkeys(OWN) if name.isalpha()] == [b"ann"]
    assert users_since(partition, 2, 3, OWN, CHANGES_FIELD) == ("ann",)
    assert users_since(partition, 3, 4, OWN, CHANGES_FIELD) is None


def test_no_change_names_a_user_whose_profile_was_deleted(partition: Any) -> None:
    for version, user in enumerate(("b", "a b", "b", "c"), 1):
        run(partition, _write_own(user, version, Profile(display_name="Bob")))
    assert run(partition, _forget_own("b", 5)) == 5
    changes = partition.store.hgetall(OWN)
    assert {name: text for name, text in changes.items() if name.startswith(CHANGES_FIELD.encode())} == {
        b"\x01": b"5",
        b"\x01:2": b"2 a b",
        b"\x01:4": b"4 c",
        b"\x01:erased": b"5",
    }
    assert run(partition, _write_own("b", 6, Profile(display_name="Another"))) == 6
    assert users_since(partition, 4, 6, OWN, CHANGES_FIELD) is None, "what was taken away has no name"


def test_a_profile_of_before_an_erasure_is_not_written_behind_it(partition: Any) -> None:
    """Nor is that of another user who has none yet, unless its writer read it behind the erasure."""
    calls: list[tuple[Any, Any]] = [(name_call, forget_name_call)]
    calls.append((_write_own, _forget_own))
    for write, forget in calls:
        run(partition, write("ann", 1, Profile(display_name="Ann")))
        run(partition, write("bob", 2, Profile(display_name="Bob")))
        run(partition, forget("ann", 5))
        run(partition, forget("cid", 3))  # the latest stays
        before = partition.dump()
        assert run(partition, write("ann", 1, Profile(display_name="Ann"))) == -1
        assert run(partition, write("dan", 5, Profile(), 4)) == -1
        assert partition.dump() == before
        assert run(partition, write("bob", 4, Profile(display_name="Rob"))) > 0
        assert run(partition, write("dan", 5, Profile(), 5)) > 0
        assert run(partition, write("ann", 6, Profile(display_name="Anna"))) > 0
