"""Leases of imports: while one holds, no window of its namespace is closed."""

import asyncpg
from starlette.requests import Request
from starlette.responses import Response

from ..access.guard import principal_of, require_scope
from ..access.keys import Keyring, Principal
from ..drivers.postgres import Postgres
from ..http.bodies import answer, check_bodiless, check_query
from ..model.namespace import Namespace
from ..model.text import check_label
from ..store.namespace_cache import NamespaceCache
from .move_events import lock_events

#: Seconds for which a lease holds: an importer renews it several times within them, and one that was killed stands in
#: nobody's way for longer.
LEASE_S = 60


class ImportLeases:
    """Begins, renews and ends them, for admins of the namespace."""

    def __init__(self, postgres: Postgres, namespace_cache: NamespaceCache, keyring: Keyring) -> None:
        self._postgres = postgres
        self._namespace_cache = namespace_cache
        self._keyring = keyring

    async def put(self, request: Request) -> Response:
        """`PUT /v1/namespaces/{ns}/imports/{id}`: begins a lease, or renews it."""
        namespace, name, principal = await self._where(request)
        lease = namespace.id, name, principal.id, LEASE_S
        row = await self._postgres.fetch_one("renew_import_lease", *lease) or await self._begin(lease)
        return answer(request, {"id": name, "namespace": namespace.name, **row})

    async def _begin(self, lease: tuple[int, str, str, int]) -> asyncpg.Record:
        async with self._postgres.transaction() as fetch:
            await lock_events(fetch)
            await fetch("lock_namespaces", lease[:1])
            await fetch("end_lapsed_import_leases", *lease[:2])
            # Somebody else may have begun it just before.
            rows = await fetch("begin_import_lease", *lease) or await fetch("renew_import_lease", *lease)
        return rows[0]

    async def delete(self, request: Request) -> Response:
        """`DELETE /v1/namespaces/{ns}/imports/{id}`: ends it."""
        namespace, name, principal = await self._where(request)
        async with self._postgres.transaction() as fetch:
            await lock_events(fetch)
            await fetch("lock_namespaces", [namespace.id])
            await fetch("end_import_lease", namespace.id, name, principal.id)
        return Response(status_code=204)

    async def _where(self, request: Request) -> tuple[Namespace, str, Principal]:
        check_query(request)
        principal = await principal_of(request.scope, self._keyring)
        require_scope(principal, "admin", request.path_params["namespace"])
        name = request.path_params["import_id"]
        check_label(name, "{import_id}")
        namespace = await self._namespace_cache.namespace(request.path_params["namespace"])
        check_bodiless(request.scope)
        return namespace, name, principal
