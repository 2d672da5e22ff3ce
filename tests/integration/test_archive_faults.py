"""Archives that say what open boards do not, and faults in them that verification must name."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.support.checked_deployment import verify
from tests.support.sealed_namespace import DAY, MONTH, Space
from tests.support.waits import until

IT = f"(SELECT id FROM archived_boards WHERE board = '{DAY}')"
RED = f"(SELECT id FROM archived_boards WHERE board = '{DAY}:red')"
SPACE = "(SELECT DISTINCT namespace_id FROM archived_boards)"
TABLES = [
    *("archived_boards", "archive_rows", "hidden_archive_users", "archive_revisions", "ledger"),
    "pending_archive_updates",
]
ORDER = ["archive_revisions", "archive_rows", "archived_boards"]


def number(user: str) -> str:
    return f"(SELECT number FROM users WHERE name = '{user}')"


def signed(board: str) -> str:
    """The hash and its record made anew."""
    rows = "string_agg(user_number || ' ' || -sort_key, E'\n' ORDER BY user_number)"
    return f"""UPDATE archived_boards SET hash = (SELECT sha256(({rows})::bytea) FROM archive_rows WHERE
        archive_id = {board})
               WHERE id = {board};
               UPDATE archive_revisions r SET hash = a.hash FROM archived_boards a WHERE a.id = r.archive_id"""


# Scores: ann 5, bob 3, cleo 3 and, hidden, dora 4; the order is ascending, so that bob and cleo are the first.
FAULTS = {
    f"UPDATE archived_boards SET sort_keys_sum = sort_keys_sum - 1 WHERE id = {IT}": f"{DAY}: sum of "
    f"scores 16, its rows come to 15",
    f"UPDATE archived_boards SET squares_sum = 0 WHERE id = {IT}": f"{DAY}: sum of squares 0, its rows come to 59",
    f"UPDATE archived_boards SET board_size = 5 WHERE id = {IT}": f"{DAY}: users 5, its rows come to 4",
    f"UPDATE archived_boards SET hash = '' WHERE id = {IT}": f"{DAY}: it is not what its hash was made of",
    f"DELETE FROM archive_revisions WHERE archive_id = {IT}": f"{DAY}: its last revision is not recorded as it is",
    f"UPDATE archive_rows SET better_users = 0 WHERE archive_id = {IT} AND user_number = {number('ann')}": (
        f"{DAY}: 'ann': users above 0, 3 by the scores there"
    ),
    f"UPDATE archive_rows SET better_scores = 3 WHERE archive_id = {IT} AND user_number = {number('ann')}": (
        f"{DAY}: 'ann': scores above 3, 2 by the scores there"
    ),
    f"UPDATE archive_rows SET position = 9 WHERE archive_id = {IT} AND user_number = {number('ann')}": (
        f"{DAY}: 'ann': position 9, 4 by the scores there"
    ),
    f"""UPDATE archive_rows SET position = position + 10 WHERE archive_id = {IT} AND sort_key = -3;
        UPDATE archive_rows SET position = 13 - position WHERE archive_id = {IT} AND sort_key = -3""": (
        f"{DAY}: 'bob': position 1, 2 by the scores there"
    ),
    f"UPDATE archive_rows SET sort_key = -6 WHERE archive_id = {IT} AND user_number = {number('ann')}; {signed(IT)}": (
        f"{DAY}: 'ann': 6 in the archive, 5 by the ledger"
    ),
    f"DELETE FROM archive_rows WHERE archive_id = {IT} AND user_number = {number('ann')}; {signed(IT)}": (
        f"{DAY}: 'ann': nothing in the archive, 5 by the ledger"
    ),
    f"DELETE FROM hidden_archive_users WHERE archive_id = {IT}": f"{DAY}: 'dora' is shown, though hidden",
    f"INSERT INTO hidden_archive_users VALUES ({SPACE}, {IT}, {number('ann')})": (
        f"{DAY}: 'ann' is marked as hidden and is not, or does not stand there"
    ),
    f"INSERT INTO hidden_archive_users VALUES ({SPACE}, {RED}, {number('dora')})": (
        f"{DAY}:red: 'dora' is marked as hidden and is not, or does not stand there"
    ),
    "; ".join(
        f"DELETE FROM {table} WHERE {'id' if table == 'archived_boards' else 'archive_id'} = {IT}" for table in ORDER
    ): (f"{DAY}: it is gone, though its window is sealed"),
    "; ".join(
        f"DELETE FROM {table} WHERE {'id' if table == 'archived_boards' else 'archive_id'} = {RED}" for table in ORDER
    ): (f"{DAY}:red: it is gone, though its window is sealed"),
    f"UPDATE ledger SET amount = 7 WHERE entry_amount = 5 AND user_number = {number('ann')}": (
        f"{MONTH}: 'ann': 5 in the archive, 7 by the ledger"
    ),
}


@pytest.fixture
def sealed(own_stack: Any) -> Iterator[Space]:
    with own_stack.client() as api:
        rules = {"order": "asc", "category_boards": True, "bounded_sums": True}
        space = Space(own_stack, api, "n", **rules)
        for user, amount in (("ann", 5), ("bob", 3), ("cleo", 3), ("dora", 4)):
            space.grant(user, amount, category="red" if user == "ann" else None)
        assert api.post("/v1/users/dora/hide").status_code in (200, 202)
        space.seal(DAY, MONTH)
        own_stack.wait_flushed()
        yield space


def test_a_histogram_of_nothing_is_empty_in_an_archive_too(live_server: Any, api: httpx.Client, names: Any) -> None:
    space = Space(live_server, api, names.fresh(), bounded_sums=True)
    space.grant("ann", 5)
    space.seal(DAY)
    answer = api.get(f"{space.url}/boards/{DAY}/stats?min_score=100&histogram=5").json()
    assert (answer["count"], answer["histogram"]) == (0, [])


@pytest.mark.timeout(120)
def test_each_fault_in_an_archive_is_named(sealed: Space) -> None:
    """One after the other; mended, nothing of it is found any more."""
    for table in TABLES:
        sealed.sql(f"CREATE TABLE kept_{table} AS TABLE {table}")
    for fault, value in FAULTS.items():
        for statement in fault.split(";"):
            sealed.sql(statement)
        code, lines = verify(sealed.stack)
        assert code == 1, fault
        assert f"n, archive: {value}" in lines, (fault, lines)
        mend(sealed)
    assert verify(sealed.stack) == (0, [])


def mend(space: Space) -> None:
    for table in ("archive_revisions", "archive_rows", "hidden_archive_users", "archived_boards", "ledger"):
        space.sql(f"DELETE FROM {table}")
    for table in ("archived_boards", "archive_revisions", "archive_rows", "hidden_archive_users", "ledger"):
        space.sql(f"INSERT INTO {table} OVERRIDING SYSTEM VALUE TABLE kept_{table}")


@pytest.mark.timeout(120)
def test_what_is_still_to_follow_is_no_fault_and_what_was_not_followed_is(sealed: Space) -> None:
    sealed.stack.stop("persist")
    sealed.sql("UPDATE ledger SET amount = 6, entry_amount = 6, score_delta = 6, score = 6 WHERE entry_amount = 5")
    sealed.sql(
        f"""INSERT INTO pending_archive_updates SELECT namespace_id, w, user_number, partition, seq
            FROM ledger, unnest(windows) AS w
            WHERE user_number = {number("ann")} AND w IN (SELECT "window" FROM seals)"""
    )
    finding = f"n, archive: {DAY}: 'ann': 5 in the archive, 6 by the ledger"
    assert not [line for line in verify(sealed.stack)[1] if line.startswith("n, archive: ")]
    sealed.sql("DELETE FROM pending_archive_updates")
    assert finding in verify(sealed.stack)[1]
    sealed.stack.start("persist")


@pytest.mark.timeout(120)
def test_a_place_among_equals_by_a_name_that_was_erased_is_no_fault(sealed: Space) -> None:
    """cleo stood before bob; the name that stands there now would stand behind."""
    assert sealed.api.delete("/v1/users/cleo").status_code in (200, 202, 204)
    until(lambda: not sealed.sql("SELECT FROM users WHERE name = 'cleo'"), "cleo is not erased")
    assert verify(sealed.stack) == (0, [])
