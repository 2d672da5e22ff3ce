"""What can be wrong in Postgres: rows of the ledger, and the sums, counts and lists that are kept beside them."""

from functools import partial
from typing import NamedTuple

from tests.support.checked_deployment import Checked, Fault


class Statement(NamedTuple):
    """SQL that makes something wrong, and the beginning of the line that names it. Braces stand for what
    `_words_of` knows of the deployment."""

    name: str
    sql: str
    line: str


_BY_TIME = "n, counts by time: {user}, the {stretch}: {found}"
_HOUR, _DAY = "hour of {hour}", "day of {day}T00:00:00Z"
_ANN, _EVE, _ALL = "'ann'", "'eve'", "all users"


def _by_time(user: str, stretch: str, difference: str) -> str:
    return _BY_TIME.format(user=user, stretch=stretch, found=difference)


ROWS = [
    Statement(
        "lose_row",
        "DELETE FROM ledger WHERE partition = {p} AND seq = 6",
        "ledger, partition {p}: seq 7 follows 5: rows are missing",
    ),
    Statement(
        "lose_last_row",
        "DELETE FROM ledger WHERE partition = {p} AND seq = (SELECT max(seq) FROM ledger)",
        "ledger, partition {p}: it ends at seq ",
    ),
    Statement(
        "change_row",
        "UPDATE ledger SET amount = 30 WHERE partition = {p} AND seq = 7",
        "n, ledger: 'finn', seq 7: granted 1, counts 30",
    ),
    # The row agrees with itself; the boards say otherwise.
    Statement(
        "change_whole_row",
        "UPDATE ledger SET entry_amount = 30, amount = 30, score_delta = 30, score = 30 "
        "WHERE partition = {p} AND seq = 7",
        "n: 'finn', board all: 1 in Redis, 30 by the ledger",
    ),
    Statement(
        "change_score_of_row",
        "UPDATE ledger SET score = 8 WHERE partition = {p} AND seq = 3",
        "n, ledger: 'ann', seq 3: the score goes from 5 by 2 to 8",
    ),
]
STANDINGS = [
    Statement(
        "change_standing",
        "UPDATE standings SET score = score + 1 WHERE user_number = {ann}",
        "n, standings: 'ann' has 8 in 2 grants, the ledger adds up to 7 in 2",
    ),
    Statement(
        "lose_standing",
        "DELETE FROM standings WHERE user_number = {eve}",
        "n, standings: 'eve' has nothing in nothing grants, the ledger adds up to 6 in 1",
    ),
]
SEARCH = [
    Statement(
        "lose_row_of_search",
        "DELETE FROM searchable_users WHERE user_number = {eve}",
        "n: a search does not find 'eve' by id and name as they are",
    ),
    Statement(
        "change_row_of_search",
        "UPDATE searchable_users SET folded_name = 'another' WHERE user_number = {ann}",
        "n: a search does not find 'ann' by id and name as they are",
    ),
]
BUCKETS = [
    Statement(
        "change_hour",
        "UPDATE user_buckets SET grants = grants + 1 WHERE level = 1 AND user_number = {ann}",
        _by_time(_ANN, _HOUR, "grants 3, 2 by the ledger"),
    ),
    Statement(
        "change_day_of_recording",
        "UPDATE user_buckets SET recorded_amount = 8 WHERE level = 0 AND user_number = {ann}",
        _by_time(_ANN, _DAY, "recorded amount 8, 7 by the ledger"),
    ),
    Statement(
        "lose_hour",
        "DELETE FROM user_buckets WHERE level = 1 AND user_number = {eve}",
        _by_time(_EVE, _HOUR, "amount 0, 6 by the ledger"),
    ),
    Statement(
        "change_trend",
        "UPDATE namespace_buckets SET users = users - 1 WHERE level = 0",
        _by_time(_ALL, _DAY, "users 5, 6 by the ledger"),
    ),
    Statement(
        "add_opening_balance",
        "INSERT INTO user_buckets VALUES ({ann}, 1, 4, '{hour}', 1, 3, 0, 0, 1)",
        _by_time(_ANN, f"opening balances of the {_HOUR}", "grants 1, 0 by the ledger"),
    ),
    Statement(
        "change_minute",
        "UPDATE namespace_buckets SET grants = grants + 1 WHERE ctid = "
        "(SELECT ctid FROM namespace_buckets WHERE level = 2 LIMIT 1)",
        _by_time(_ALL, f"minutes of the {_HOUR}", "grants "),
    ),
]
QUARANTINE = [
    Statement("lose_quarantined", "DELETE FROM quarantined_grants", "n, grants in quarantine: 'odd' of seq "),
    Statement(
        "add_quarantined",
        "INSERT INTO quarantined_grants SELECT namespace_id, seq, grant_id FROM ledger WHERE grant_id = 'g4'",
        "n, grants in quarantine: 'g4' of seq 5 is listed and does not wait so",
    ),
    Statement(
        "change_quarantined",
        "UPDATE quarantined_grants SET source = 'other'",
        "n, grants in quarantine: 'odd' of seq ",
    ),
]


def _words_of(c: Checked) -> dict[str, object]:
    return {"p": c.p, "hour": c.hour, "day": c.day, "ann": c.number("ann"), "eve": c.number("eve")}


def _plant(statement: Statement, c: Checked) -> str:
    words = _words_of(c)
    c.sql(statement.sql.format(**words))
    return statement.line.format(**words)


LEDGER_FAULTS = [Fault(one.name, partial(_plant, one)) for one in (*ROWS, *STANDINGS, *SEARCH, *BUCKETS, *QUARANTINE)]
