"""Arguments for the queries of export and compare, on the tables of `known_tables`."""

from typing import Any

from tests.support.known_ledger import BEST_SPACE, SPACE

AT, EARLIEST = "2026-01-12T00:00:00Z", "1900-01-01T00:00:00Z"

TRANSFER_SAMPLES: dict[str, tuple[Any, ...]] = {
    "export_grants": (0, [SPACE], 0, EARLIEST),
    "export_revisions": (0, [SPACE], 0, EARLIEST),
    "export_standings": ([SPACE],),
    "export_profiles": ([0, SPACE], True),
    "export_open_boards": (SPACE,),
    "export_archived_boards": (SPACE, None),
    "get_archived_windows": (SPACE,),
    "count_users_with_lost_cells": ([SPACE, BEST_SPACE],),
    "export_profiles_of_user": (100,),
    "export_standings_of_user": (100,),
    "export_revisions_of_user": (SPACE, 100),
    "fill_compare_users": (1,),
    "get_compare_figures": (1, 10),
    "get_compare_tops": (10, 40),
    "get_compare_differences": (10,),
    "get_compare_missing": (True, 10),
    "get_compare_conflicts": (10,),
    "get_compare_histogram": (),
    "record_comparison": (SPACE, "all", None, "legacy.csv", AT, 0, 1, 5, 0, 1, 0, "{}", "cli"),
    "get_latest_comparison": (SPACE,),
    "record_cutover": (SPACE, "cut_over", "cli", "{}"),
    "get_last_cutover": (SPACE,),
    "get_move": (SPACE,),
}
