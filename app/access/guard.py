"""Authentication and rights. Every right is checked here, by a namespace's name, before the namespace is looked up. So
a caller without the right does not learn whether the namespace exists."""

from typing import Any, Never

from starlette.types import Scope

from ..drivers.caller import CALLER, stranger
from ..http.bodies import header
from ..http.connections import CONNECTION
from ..model.errors import Forbidden, NamespaceNotFound, Unauthorized
from ..model.namespace import Namespace
from ..store.namespace_cache import NamespaceCache
from .client import address_of
from .keys import ANONYMOUS, Keyring, Principal

#: Scopes of a key that a refusal lists: a line of text.
SCOPES_SHOWN_MAX = 5
_BEARER = "bearer "
_BEARER_CHARACTERS = len(_BEARER)
_NO_KEY = "a key is needed here: send Authorization: Bearer <key>; `leaderboard keys create` makes one"
#: The field that a problem names. A viewer of live boards has its own (live/subscriber).
_HEADER = "Authorization"
_NO_STATE: dict[str, Any] = {}


def known_principal(scope: Scope, keyring: Keyring) -> Principal | None:
    """The principal of a request, as `principal_of` returns it; None if the key must be looked up first."""
    value = header(scope, b"authorization")
    if not value:
        CALLER.set(stranger(address_of(scope)))
        return ANONYMOUS
    principal = keyring.cached(value[_BEARER_CHARACTERS:])
    if principal is None or value[:_BEARER_CHARACTERS].lower() != _BEARER:
        return None
    return _accepted(scope, principal)


async def principal_of(scope: Scope, keyring: Keyring) -> Principal:
    """The principal that a request's Authorization header names; ANONYMOUS without one. Unauthorized, StoreUnavailable.

    Sets CALLER: from here on the task works for the request's key, or for its address while no key is accepted.
    """
    known = known_principal(scope, keyring)
    if known is not None:
        return known
    value = header(scope, b"authorization")
    token = value[_BEARER_CHARACTERS:]
    if value[:_BEARER_CHARACTERS].lower() != _BEARER or not token:
        raise Unauthorized("must be: Bearer <key>", field=_HEADER)
    CALLER.set(stranger(address_of(scope)))
    try:
        principal = await keyring.principal(token)
    except Unauthorized as problem:
        problem.field = _HEADER
        raise
    return _accepted(scope, principal)


def no_key() -> Unauthorized:
    """The problem of a request without a key, where one is needed."""
    return Unauthorized(_NO_KEY, field=_HEADER)


def require_scope(principal: Principal, scope: str, namespace: str) -> None:
    """Unauthorized without a key, Forbidden with one whose scopes do not cover the name."""
    if not principal.may(scope, namespace):
        _refuse(principal, scope, namespace)


def require_any_scope(principal: Principal, *scopes: str) -> None:
    """Unauthorized without a key, Forbidden with one that has none of these scopes for the whole deployment."""
    if not any(principal.may_all(scope) for scope in scopes):
        _refuse(principal, scopes[0], "*")


def check_own_user(principal: Principal, user: str) -> None:
    """Forbidden for a client token of another user: of grants it reads its own user's only."""
    if principal.user not in (None, user):
        raise Forbidden("a client token reads the grants of its own user only")


def check_no_token(principal: Principal, what: str) -> None:
    """Forbidden for every client token. what: what only a key gets."""
    if principal.token is not None:
        raise Forbidden(f"a client token does not read {what}: this needs a key")


def may_read(principal: Principal, namespace: Namespace) -> bool:
    """Whether a principal may read the boards of a namespace. Everybody may read a public one. A private one needs the
    scope `read`, one in shadow mode the scope `admin`."""
    if namespace.rules.mode == "shadow":
        return principal.may("admin", namespace.name)
    return namespace.is_public or principal.may("read", namespace.name)


def check_reader(principal: Principal, namespace: Namespace) -> None:
    """Unauthorized or Forbidden unless a principal may read a namespace. The text is the same as for a namespace that
    does not exist."""
    if not may_read(principal, namespace):
        # Only a key that may read this name may learn that the namespace is in shadow mode.
        shadow = namespace.rules.mode == "shadow" and principal.may("read", namespace.name)
        _refuse(principal, "admin" if shadow else "read", namespace.name)


async def readable_namespace(principal: Principal, namespace_cache: NamespaceCache, name: str) -> Namespace:
    """A namespace by name, for a principal who reads its boards. Unauthorized, Forbidden; NamespaceNotFound only for a
    key that may read this name; StoreUnavailable."""
    namespace = await _named(principal, namespace_cache, name)
    may_read_live = namespace.is_public or principal.may("read", name)
    if namespace.rules.mode == "shadow" and may_read_live and not may_read(principal, namespace):
        # It may have been cut over since: who is refused reads nothing by which this process would learn of that.
        await namespace_cache.refresh_lately()
        namespace = await _named(principal, namespace_cache, name)
    check_reader(principal, namespace)
    return namespace


async def _named(principal: Principal, namespace_cache: NamespaceCache, name: str) -> Namespace:
    """A namespace by name. NamespaceNotFound only for a key that may read this name, else as for a refused one."""
    try:
        return await namespace_cache.namespace(name)
    except NamespaceNotFound:
        require_scope(principal, "read", name)
        raise


def caller_of(principal: Principal) -> str:
    """The name by which a principal waits in turn. A client token's user waits like a client without a key, in a line
    of its own: so no user takes what its key needs, and no key gets more by having many users."""
    return principal.id if principal.token is None else stranger(f"{principal.id}/{principal.user}")


def _accepted(scope: Scope, principal: Principal) -> Principal:
    CALLER.set(caller_of(principal))
    if principal.token is not None:
        return principal  # Its bodies count for its address.
    connection = scope.get("state", _NO_STATE).get(CONNECTION)
    if connection is not None and connection.api_key_id != principal.id:
        connection.accept(principal.id)
    return principal


def _refuse(principal: Principal, scope: str, pattern: str) -> Never:
    """Raises Unauthorized or Forbidden. The text depends only on the request and the key, not on what exists."""
    if principal is ANONYMOUS:
        raise no_key()
    if principal.token is not None and scope != "read":
        raise Forbidden(f"a client token only reads; this needs a key with the scope {scope}:{pattern}")
    who = "key" if principal.token is None else "token"
    needed = f"the {who} needs the scope {scope}:{pattern}, or {scope} with a pattern that covers it"
    raise Forbidden(f"{needed}; {_scopes_text(principal)}")


def _scopes_text(principal: Principal) -> str:
    more = len(principal.scopes) - SCOPES_SHOWN_MAX
    return f"it has {', '.join(principal.scopes[:SCOPES_SHOWN_MAX])}" + (f" and {more} more" if more > 0 else "")
