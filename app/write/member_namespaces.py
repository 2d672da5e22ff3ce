"""The namespaces of a batch's members."""

from collections.abc import Mapping
from typing import Any

from ..model.errors import NamespaceNotFound, Problem
from ..model.grant import Grant, NamedGrant
from ..model.namespace import Namespace
from ..store.namespace_cache import NamespaceCache
from .receipts import refused_member
from .write_options import WriteOptions


async def namespace_of(cache: NamespaceCache, grant: Grant, options: WriteOptions) -> Namespace:
    """The namespace that a grant names. Unauthorized, Forbidden, NamespaceNotFound."""
    assert isinstance(grant, NamedGrant)
    options.check(grant.namespace)
    try:
        return await cache.namespace(grant.namespace)
    except NamespaceNotFound as problem:
        problem.field = "$.namespace"
        raise


async def namespaces_of(
    cache: NamespaceCache, grants: Mapping[int, Grant], options: WriteOptions, results: list[Any]
) -> dict[int, Namespace]:
    """The namespace of each member; those without one get their problem in `results`. An unknown name is looked up
    once."""
    namespaces: dict[int, Namespace] = {}
    unknown: dict[str, Problem] = {}
    for i, grant in grants.items():
        assert isinstance(grant, NamedGrant)
        try:
            if grant.namespace in unknown:
                raise unknown[grant.namespace]
            namespaces[i] = await namespace_of(cache, grant, options)
        except Problem as problem:
            unknown[grant.namespace] = problem
            results[i] = refused_member(grant.grant_id, problem)
    return namespaces
