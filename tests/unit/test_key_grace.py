"""The secret before the newest one of an API key, and its client tokens: good up to a moment."""

from typing import Any

import pytest

from app.access.keys import hash_key
from app.model.errors import Unauthorized
from app.store.changes import Changed
from app.store.namespace_cache import KeyRecord, key_text
from tests.support.client_tokens import MAKER, Issuer


def refused(issuer: Issuer, token: str) -> str:
    with pytest.raises(Unauthorized) as problem:
        issuer.principal(token)
    return problem.value.detail


def test_a_token_of_a_secret_with_a_grace_ends_with_it() -> None:
    issuer = Issuer()
    token, record = issuer.make(life_s=60), issuer.record
    assert record is not None
    fresh = hash_key(MAKER + "x")
    issuer.record = KeyRecord("maker", fresh, record.scopes, 1, record.hash, (issuer.now_s + 30) * 1_000_000)
    issuer.namespace_cache.forget(Changed(keys=frozenset({"maker"})))
    principals = [issuer.principal(token), issuer.principal(MAKER)]
    assert [issuer.keyring.cached(text) for text in (token, MAKER)] == principals
    issuer.now_s += 30
    assert [issuer.keyring.cached(text) for text in (token, MAKER)] == [None, None]
    assert not any(map(issuer.keyring.is_current, principals))
    assert all(map(issuer.keyring.has_expired, principals))
    assert "is revoked" in refused(issuer, token)
    assert "rotated" in refused(issuer, MAKER)


def test_a_key_that_changes_while_it_is_looked_up_is_not_remembered() -> None:
    issuer = Issuer()
    record = issuer.record
    assert record is not None

    async def call(_: Any) -> Any:
        issuer.namespace_cache.forget(Changed(keys=frozenset({"maker"})))
        return key_text(record)

    issuer.namespace_cache.call = call
    principal = issuer.principal(MAKER)
    assert issuer.keyring.cached(MAKER) is None
    assert not issuer.keyring.is_current(principal)
