"""The rows by which users of a namespace are found, compared with what they should be."""

from collections.abc import AsyncIterator

import asyncpg

from ..drivers.postgres import Fetch
from ..model.profile import fold_name
from ..model.visibility import is_erased

#: Users that one query compares: some tens of ms.
_USERS_A_PAGE = 2_000


async def differing_search_rows(fetch: Fetch, namespace_id: int) -> AsyncIterator[list[asyncpg.Record]]:
    """Users of a namespace with a grant who have no row, or one that is not by their id and name, page by page; a page
    may be empty. Left out are those who are to be updated anyway; none while older users still get their rows. What
    `fetch` raises. O(users × log n)."""
    if not (await fetch("is_search_filled"))[0]["is_filled"]:
        return
    after = 0
    while rows := await fetch("get_search_rows", namespace_id, after, _USERS_A_PAGE):
        yield [row for row in rows if not row["is_pending"] and not _is_right(row)]
        after = rows[-1]["number"]


def _is_right(row: asyncpg.Record) -> bool:
    if row["is_erased"]:  # While an erasure is under way there may be a row; searches do not show it.
        return row["folded_id"] is None or not is_erased(row["name"])
    return bool(row["is_name_right"]) and row["folded_id"] == fold_name(row["name"])
