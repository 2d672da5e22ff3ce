"""Every key that belongs to a namespace is recognised as its own, whatever the names in it hold."""

import inspect

import pytest

from app.store import keys

NAMES = ["otter", "a:b", "*", "[x]?", "b:8:all", "u:8:", "{3}", "d/é", "\\", "lb:{3}:b:8:all"]
# Those whose functions take a namespace; the balances' name is a beginning, to which the user's is appended.
OF_NAMESPACE = {
    name: var for name, var in vars(keys).items() if inspect.isfunction(var) and "namespace_id" in var.__annotations__
}


def names_of(kind: str) -> list[str]:
    make = OF_NAMESPACE[kind]
    expected = list(inspect.signature(make).parameters)
    if expected == ["p", "namespace_id"]:
        return [make(3, 7) + name for name in NAMES] if make(3, 7).endswith(":") else [make(3, 7)]
    assert expected == ["p", "namespace_id", "name"], f"{kind}: say here how its names are made"
    return [make(3, 7, name) for name in NAMES]


@pytest.mark.parametrize("kind", OF_NAMESPACE)
def test_a_namespaces_key_is_distinguished_from_every_other(kind: str) -> None:
    assert {keys.namespace_of(name.encode()) for name in names_of(kind)} == {(3, 7)}


def test_what_belongs_to_no_namespace_is_nobodys() -> None:
    shared = [keys.log(3), keys.meta(3), keys.dedup(3, 7), keys.rules(3)]
    shared += [keys.DIRECTORY, keys.API_KEYS, keys.DEPLOYMENT, keys.PROFILES]
    strange = ["", "other", "lb:{3}:b:x:all", "lb:{3}:b:7x", "lb:{x}:b:7:all", " lb:{3}:b:7:all", "lb:{3}:q:7:all"]
    assert {keys.namespace_of(name.encode()) for name in (*shared, *strange)} == {None}
    assert keys.namespace_of(b"\xff\xfe") is None
