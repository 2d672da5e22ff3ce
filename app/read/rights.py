"""Reads by the rules and rights in force."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from starlette.types import Scope

from ..access.guard import check_reader, principal_of
from ..access.keys import Keyring
from ..model.namespace import Namespace
from ..store.directory import Directory

_READS_MAX = 4

T = TypeVar("T")


class Door:
    """Who may read which namespace."""

    def __init__(self, directory: Directory, keyring: Keyring) -> None:
        self._directory = directory
        self._keyring = keyring

    async def read(self, scope: Scope, name: str, read: Callable[[Namespace], Awaitable[T]]) -> T:
        """Reads a namespace by the rules in force: where they changed meanwhile, once more by the new ones.

        Unauthorized, Forbidden, NamespaceNotFound, StoreUnavailable.
        """
        for _ in range(_READS_MAX):
            principal = await principal_of(scope, self._keyring)
            namespace = await self._directory.namespace(name)
            check_reader(principal, namespace)
            result = await read(namespace)
            if self._directory.cached(namespace.name) is namespace:
                break
        return result
