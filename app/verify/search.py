"""Compares by what users are found with their ids and names."""

from ..model.namespace import Namespace
from ..store.search_rows import differing_search_rows
from .connections import StoreConnections
from .report import Report, repair_cure, user_label


async def check_search(stores: StoreConnections, namespace: Namespace, report: Report) -> None:
    """Reports users of a namespace whom a search does not find. O(users × log n)."""
    async for page in differing_search_rows(stores.fetch, namespace.id):
        for row in page:
            what = f"a search does not find {user_label(row['name'])} by id and name as they are"
            report.note(namespace.name, what, cure=repair_cure(namespace.name))
