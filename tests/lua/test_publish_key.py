"""An API key is published once a secret: no later secret and no revocation is taken back, whoever comes late."""

from typing import Any

import pytest

from app.store import keys
from app.store.namespace_cache import (
    PUBLISH_KEY,
    SET_IF_NEWER,
    KeyRecord,
    is_key_published,
    key_text,
    parse_key,
)
from tests.lua.test_full_memory import full

#: As the release before wrote it.
OLD = b'1 {"id":"k","hash":"h0","scopes":["read:*"]}'


def record(version: int, **more: Any) -> KeyRecord:
    return KeyRecord("k", f"h{version}", ("read:*",), version, **more)


def publish(partition: Any, version: int, **more: Any) -> int:
    return int(partition.eval(PUBLISH_KEY, [keys.API_KEYS], ["k", key_text(record(version, **more))]))


def known(partition: Any) -> KeyRecord | None:
    return parse_key(partition.store.hget(keys.API_KEYS, "k"))


def test_the_latest_secret_stays(partition: Any) -> None:
    assert [publish(partition, version) for version in (0, 2, 1, 2, 10, 9)] == [1, 1, 0, 1, 1, 0]
    assert known(partition) == record(10)


def test_a_name_that_looks_like_a_version_is_none(partition: Any) -> None:
    name = '"secret_version":99 {"secret_version":99'
    publish(partition, 1, name=name)
    assert publish(partition, 2, name=name) == 1
    assert known(partition) == record(2, name=name)


def test_the_release_before_revokes_a_key_with_a_later_secret_for_good(partition: Any) -> None:
    partition.store.hset(keys.API_KEYS, "k", OLD)
    assert publish(partition, 1) == 1
    assert partition.eval(SET_IF_NEWER, [keys.API_KEYS], ["k", "2 null"]) == 1
    assert publish(partition, 2) == 0
    assert known(partition) is None


def test_the_record_of_the_release_before_is_the_first_secret(partition: Any) -> None:
    assert parse_key(OLD) == record(0)
    assert is_key_published(OLD, record(0), is_revoked=False)
    assert not is_key_published(OLD, record(1), is_revoked=False)


@pytest.mark.parametrize(
    ("value", "version", "is_revoked", "expected"),
    [
        (None, 0, False, False),
        (None, 0, True, False),
        (key_text(record(2)), 1, False, True),
        (key_text(record(1)), 2, False, False),
        (key_text(record(1)), 1, True, False),
        (b"2 null", 1, True, True),
        (b"2 null", 5, False, True),
    ],
)
def test_what_redis_has_been_told(value: bytes | None, version: int, is_revoked: bool, expected: bool) -> None:
    assert is_key_published(value, record(version), is_revoked=is_revoked) is expected


def test_a_new_secret_is_published_to_a_full_store(partition: Any) -> None:
    publish(partition, 0)
    with full(partition.store):
        assert publish(partition, 1) == 1
    assert known(partition) == record(1)
