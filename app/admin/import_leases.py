"""Leases of imports: while one holds, no window of its namespace is closed."""

from starlette.requests import Request
from starlette.responses import Response

from ..access.guard import principal_of, require_scope
from ..access.keys import Keyring, Principal
from ..drivers.postgres import Postgres
from ..http.bodies import answer, check_bodiless, check_query
from ..model.namespace import Namespace
from ..model.text import check_label
from ..store.namespace_cache import NamespaceCache

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
        row = await self._postgres.fetch_one("put_import_lease", namespace.id, name, principal.id, LEASE_S)
        assert row is not None
        return answer(request, {"id": name, "namespace": namespace.name, "until": row["until"]})

    async def delete(self, request: Request) -> Response:
        """`DELETE /v1/namespaces/{ns}/imports/{id}`: ends it."""
        namespace, name, _ = await self._where(request)
        await self._postgres.fetch("delete_import_lease", namespace.id, name)
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
