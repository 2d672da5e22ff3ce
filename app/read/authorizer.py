"""Reads by the rules and rights in force."""

from collections.abc import Awaitable, Callable
from typing import NamedTuple, TypeVar

from starlette.types import Scope

from ..access.guard import check_reader, known_principal, principal_of, readable_namespace, require_scope
from ..access.keys import Keyring, Principal
from ..model.namespace import Namespace
from ..store.namespace_cache import NamespaceCache

#: Reads of a question while its namespace's rules change under it; the last read is the answer.
READS_MAX = 4

T = TypeVar("T")


class Admission(NamedTuple):
    """A read under way. forgets: the keyring's number when it began."""

    namespace: Namespace
    principal: Principal
    forgets: int


class ReadAuthorizer:
    """Who may read which namespace."""

    def __init__(self, namespace_cache: NamespaceCache, keyring: Keyring) -> None:
        self._namespace_cache = namespace_cache
        self._keyring = keyring

    async def check_key(self, scope: Scope) -> None:
        """Unauthorized where a request's key is unknown: that is no fault of one board of many. StoreUnavailable."""
        await principal_of(scope, self._keyring)

    async def admit(self, scope: Scope, name: str) -> None:
        """Whether a request may read a namespace, before its body is read. Unauthorized, Forbidden, NamespaceNotFound,
        StoreUnavailable."""
        await readable_namespace(await principal_of(scope, self._keyring), self._namespace_cache, name)

    async def read(self, scope: Scope, name: str, read: Callable[[Namespace], Awaitable[T]]) -> T:
        """Reads what a public namespace shows to everybody, as `read_as` does."""
        return await self.read_as(scope, name, lambda namespace, _: read(namespace))

    async def read_as(
        self, scope: Scope, name: str, read: Callable[[Namespace, Principal], Awaitable[T]], *, by_key: bool = False
    ) -> T:
        """Reads a namespace by the rules in force: where they changed meanwhile, once more by the new ones.

        by_key: only with the scope `read` for the name, of a public namespace too.

        Unauthorized, Forbidden, NamespaceNotFound, StoreUnavailable.
        """
        for _ in range(READS_MAX):
            visit = await self.enter(scope, name, by_key=by_key)
            result = await read(visit.namespace, visit.principal)
            if self.holds(visit):
                break
        return result

    async def enter(self, scope: Scope, name: str, *, by_key: bool = False) -> Admission:
        """A namespace and who reads it, as `read_as` does."""
        forgets = self._keyring.forgets
        principal = known_principal(scope, self._keyring) or await principal_of(scope, self._keyring)
        if by_key:
            require_scope(principal, "read", name)
        namespace = self._namespace_cache.cached(name)
        if namespace is None:
            namespace = await readable_namespace(principal, self._namespace_cache, name)
        else:
            check_reader(principal, namespace)
        return Admission(namespace, principal, forgets)

    def holds(self, visit: Admission) -> bool:
        """Whether rules and rights are still those that a visit began with; else what was read is read again."""
        is_same_key = visit.forgets == self._keyring.forgets or self._keyring.holds(visit.principal)
        return is_same_key and self._namespace_cache.cached(visit.namespace.name) is visit.namespace

    async def read_as_writer(self, scope: Scope, name: str, read: Callable[[Namespace], Awaitable[T]]) -> T:
        """Reads what only they see who write: with the scope `write` for the name, by the rules in force.

        Unauthorized, Forbidden, NamespaceNotFound, StoreUnavailable.
        """
        for _ in range(READS_MAX):
            principal = await principal_of(scope, self._keyring)
            require_scope(principal, "write", name)
            namespace = await self._namespace_cache.namespace(name)
            result = await read(namespace)
            if self._namespace_cache.cached(namespace.name) is namespace and self._keyring.holds(principal):
                break
        return result
