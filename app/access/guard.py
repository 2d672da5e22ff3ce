"""Who asks: the request's key, and whether it opens a namespace."""

from starlette.types import Scope

from ..model.errors import Unauthorized
from ..model.namespace import Namespace
from ..wire import header
from .keys import ANONYMOUS, Keyring, Principal


async def principal_of(scope: Scope, keyring: Keyring) -> Principal:
    """Who a request's Authorization header names; ANONYMOUS without one. Unauthorized, StoreUnavailable."""
    value = header(scope, b"authorization")
    if not value:
        return ANONYMOUS
    kind, _, token = value.partition(" ")
    if kind.lower() != "bearer" or not token:
        raise Unauthorized("send Authorization: Bearer <key>")
    return keyring.cached(token) or await keyring.principal(token)


def need(principal: Principal, scope: str, namespace: str) -> None:
    """Unauthorized without a key, Forbidden with one that lacks the scope."""
    if principal is ANONYMOUS:
        raise Unauthorized("a key is needed here")
    principal.need(scope, namespace)


def check_reader(principal: Principal, namespace: Namespace) -> None:
    """Anyone reads a public namespace; a private one needs the scope `read`, one in the shadow `admin`."""
    if namespace.rules.mode == "shadow":
        need(principal, "admin", namespace.name)
    elif not namespace.is_public:
        need(principal, "read", namespace.name)
