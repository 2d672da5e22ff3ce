"""Arguments for the named queries of searches, on the tables of `known_tables`."""

from typing import Any

from tests.support.known_ledger import GRANTS, SPACE

_BEGINNING = (SPACE, "u1", "u2", "u1", -1)

SEARCH_SAMPLES: dict[str, tuple[Any, ...]] = {
    "search_users": (SPACE, "u1", "u2", "name 1", "name 2", "", 0, 100, 20, False),
    "find_searchable_users": (*_BEGINNING, 100, 20, False),
    "get_search_reach": (*_BEGINNING, 100),
    "get_search_key": (SPACE, 5, False),
    "find_unsearchable_users": ([0], [1], [GRANTS - 300], [1], [GRANTS]),
    "add_searchable_users": ([5, 6], [SPACE, SPACE], ["u5", "u6"]),
    "update_searchable_users": ([5, 6], ["u5", "u6"], [0, 0], 100),
    "get_due_search_updates": (4, [0, 1], 100),
    "settle_search_updates": ([5, 6], [1, 2], [None, SPACE]),
    "add_search_updates": ([5, 6],),
    "is_search_filled": (),
    "fill_search": (100,),
    "end_search_fill": (),
    "delete_searchable_users": (5,),
    "delete_searchable_users_of_namespaces": ([SPACE], 100),
    "get_search_rows": (SPACE, 0, 100),
}
