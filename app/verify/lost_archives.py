"""Compares the archived scores of users of whom the ledger lost something: lost cells count beside their grants."""

from collections.abc import Mapping
from typing import Any

from ..model.namespace import Namespace
from ..model.user_cells import CellBuilder
from ..store.boards import base_of
from ..store.user_cells import read_lost_cells, read_user_cells
from .connections import StoreConnections

#: Users that are compared at once. It bounds the memory.
_USERS_A_PAGE = 1_000
#: A seq behind all entries.
_END_SEQ = 2**63 - 1

BoardsOfUsers = dict[int, set[str]]  # by user number
KeysAndTies = dict[tuple[str, int], tuple[int, int]]  # board and user number → sort key and tie place


async def find_differing_lost_scores(
    stores: StoreConnections, namespace: Namespace, limit: int
) -> list[Mapping[str, Any]]:
    """What `find_differing_archive_scores` leaves out, as rows like its own: `limit` of them, and those of a page more.
    Each page of users is of one instant. O(such users × their windows × their entries × log n)."""
    rows: list[Mapping[str, Any]] = []
    after = 0
    while len(rows) < limit:
        async with stores.connection.transaction(isolation="repeatable_read", readonly=True):
            page = await stores.fetch("get_page_of_users_with_lost_cells", namespace.id, after, _USERS_A_PAGE)
            if not page:
                break
            after, names = page[-1]["number"], {row["number"]: row["name"] for row in page}
            for window, users in (await _archived_boards(stores, namespace, list(names))).items():
                rows += await _differing_rows(stores, namespace, window, users, names)
    return rows


async def _archived_boards(
    stores: StoreConnections, namespace: Namespace, numbers: list[int]
) -> dict[str, BoardsOfUsers]:
    """Of some users the boards with lost cells, by archived window. Whoever has a dead letter, or is to follow in the
    archive, is left out."""
    seals = await stores.fetch("get_all_seals", namespace.id)
    windows = {row["window"]: BoardsOfUsers() for row in seals if row["is_archived"]}
    for number, cells in await read_lost_cells(stores.connection, namespace, numbers, [_END_SEQ] * len(numbers)):
        for cell in cells:
            window = base_of(cell[2:]) if cell.startswith("b:") else ""
            if window in windows:
                windows[window].setdefault(number, set()).add(cell[2:])
    letters = await stores.fetch("get_dead_letters_of_namespace", namespace.partition, namespace.id)
    unsure = {row["number"] for row in letters if row["healed_seq"] is None}
    updates = await stores.fetch("get_pending_archive_updates_of_users", namespace.id, numbers)
    pending = {(row["window"], row["user_number"]) for row in updates}
    for window, users in windows.items():
        for number in [one for one in users if one in unsure or (window, one) in pending]:
            del users[number]
    return {window: users for window, users in windows.items() if users}


async def _differing_rows(
    stores: StoreConnections, namespace: Namespace, window: str, users: BoardsOfUsers, names: Mapping[int, str]
) -> list[Mapping[str, Any]]:
    numbers = list(users)
    archived = await stores.fetch("get_archive_rows_of_users", namespace.id, window, numbers)
    actual: KeysAndTies = {
        (row["board"], row["user_number"]): (row["sort_key"], int(row["tie_place"])) for row in archived
    }
    expected = await _expected_scores(stores, namespace, window, numbers)
    rows: list[Mapping[str, Any]] = []
    for number, boards in users.items():
        for board in sorted(boards):
            key, tie = actual.get((board, number), (None, 0))
            expected_key, expected_tie = expected.get((board, number), (None, 0))
            if key != expected_key or (namespace.by_moment and tie != expected_tie):
                keys = {"actual": key, "expected": expected_key}
                ties = {"actual_tie_place": tie, "expected_tie_place": expected_tie}
                rows.append({"board": board, "number": number, "user": names[number], **keys, **ties})
    return rows


async def _expected_scores(
    stores: StoreConnections, namespace: Namespace, window: str, numbers: list[int]
) -> KeysAndTies:
    """The scores of some users on the boards of a window by the ledger, and with what it lost."""
    builder, seqs = CellBuilder(namespace, only=window), [_END_SEQ] * len(numbers)
    users = await read_user_cells(stores.connection, namespace, builder, numbers, seqs, window)
    return {
        (cell[2:], number): (namespace.sign * score, user.cells.get(f"o:{cell[2:]}", 0))
        for number, user in users.items()
        for cell, score in user.cells.items()
        if cell.startswith("b:")
    }
