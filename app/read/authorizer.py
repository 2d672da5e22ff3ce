"""Reads with the rules and rights in force. If they change during a read, the read is repeated with the new ones."""

from collections.abc import Iterable
from typing import Literal, NamedTuple

from starlette.types import Scope

from ..access.guard import known_principal, may_read, principal_of, readable_namespace, require_scope
from ..access.keys import Keyring, Principal
from ..model.namespace import Namespace
from ..store.namespace_cache import NamespaceCache

#: Attempts at one answer while rules or rights change; the last one is answered.
ATTEMPTS_MAX = 4


class Admission(NamedTuple):
    """Permission to read a namespace. key_changes: the keyring's number when it was given."""

    namespace: Namespace
    principal: Principal
    key_changes: int


class Survey:
    """Permission to read many namespaces, each of which is checked by itself. step: the namespace cache's when it
    was given."""

    def __init__(self, principal: Principal, step: int) -> None:
        self.principal = principal
        self.step = step
        self.namespaces: list[Namespace] = []

    def add(self, namespaces: Iterable[Namespace]) -> None:
        """Names namespaces that the answer depends on."""
        self.namespaces += namespaces


class ReadAuthorizer:
    """Checks who may read which namespace."""

    def __init__(self, namespace_cache: NamespaceCache, keyring: Keyring) -> None:
        self.namespace_cache = namespace_cache
        self.keyring = keyring

    async def check_key(self, scope: Scope) -> None:
        """Unauthorized if a request's key is unknown: then the whole request fails, not one board of many.
        StoreUnavailable."""
        await principal_of(scope, self.keyring)

    async def check(self, scope: Scope, name: str) -> None:
        """Whether a request may read a namespace, before its body is read. Unauthorized, Forbidden, NamespaceNotFound,
        StoreUnavailable."""
        await readable_namespace(await principal_of(scope, self.keyring), self.namespace_cache, name)

    def admissions(self, scope: Scope, name: str, required: Literal["read", "write"] | None = None) -> "Admissions":
        """The attempts at a read of one namespace: `async for admission in …:` reads and keeps the last answer.

        required: a scope that the key must have for the name. None: everybody may read a public namespace. `write`: for
        answers that only writers see, also of a namespace in shadow mode.

        Each attempt raises Unauthorized, Forbidden, NamespaceNotFound, StoreUnavailable.
        """
        return Admissions(self, scope, name, required)

    def surveys(self, scope: Scope) -> "Surveys":
        """The attempts at a read of many namespaces: `async for survey in …:` adds the namespaces that it reads to the
        survey, and keeps the last answer. Each attempt raises Unauthorized, StoreUnavailable."""
        return Surveys(self, scope)


class Admissions:
    """See `ReadAuthorizer.admissions`."""

    __slots__ = ("_admission", "_attempts", "_authorizer", "_name", "_required", "_scope")

    def __init__(
        self, authorizer: ReadAuthorizer, scope: Scope, name: str, required: Literal["read", "write"] | None
    ) -> None:
        self._authorizer = authorizer
        self._scope = scope
        self._name = name
        self._required = required
        self._admission: Admission | None = None
        self._attempts = 0

    def __aiter__(self) -> "Admissions":
        return self

    async def __anext__(self) -> Admission:
        admission = self._admission
        if admission is not None and (self._attempts == ATTEMPTS_MAX or self._is_current(admission)):
            raise StopAsyncIteration
        self._attempts += 1
        keyring, namespace_cache = self._authorizer.keyring, self._authorizer.namespace_cache
        key_changes = keyring.changes
        principal = known_principal(self._scope, keyring) or await principal_of(self._scope, keyring)
        if self._required is not None:
            require_scope(principal, self._required, self._name)
        namespace = namespace_cache.cached(self._name)
        if self._required == "write":
            namespace = namespace or await namespace_cache.namespace(self._name)
        elif namespace is None or not may_read(principal, namespace):
            namespace = await readable_namespace(principal, namespace_cache, self._name)
        self._admission = admission = Admission(namespace, principal, key_changes)
        return admission

    def _is_current(self, admission: Admission) -> bool:
        """Whether rules and rights are still those of an attempt."""
        keyring, namespace_cache = self._authorizer.keyring, self._authorizer.namespace_cache
        is_same_key = admission.key_changes == keyring.changes or keyring.is_current(admission.principal)
        return is_same_key and namespace_cache.cached(self._name) is admission.namespace


class Surveys:
    """See `ReadAuthorizer.surveys`."""

    __slots__ = ("_attempts", "_authorizer", "_scope", "_survey")

    def __init__(self, authorizer: ReadAuthorizer, scope: Scope) -> None:
        self._authorizer = authorizer
        self._scope = scope
        self._survey: Survey | None = None
        self._attempts = 0

    def __aiter__(self) -> "Surveys":
        return self

    async def __anext__(self) -> Survey:
        if self._survey is not None and (self._attempts == ATTEMPTS_MAX or self._is_current(self._survey)):
            raise StopAsyncIteration
        self._attempts += 1
        step = self._authorizer.namespace_cache.step
        self._survey = Survey(await principal_of(self._scope, self._authorizer.keyring), step)
        return self._survey

    def _is_current(self, survey: Survey) -> bool:
        """Whether neither the key nor one of the namespaces may have changed."""
        changed = self._authorizer.namespace_cache.changed_since(survey.step)
        return not changed.has_key(survey.principal.id) and not any(
            changed.has_namespace(namespace.name) for namespace in survey.namespaces
        )
