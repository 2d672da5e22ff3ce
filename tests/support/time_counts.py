"""What the counts by time must be: worked out from the ledger row by row, with no SQL but SELECT."""

from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, NamedTuple

import psycopg

from app.model.local_days import LocalDays
from app.model.micros import from_micros, to_micros

HOUR = timedelta(hours=1)
OPENING = 4
WIDTHS = {2: timedelta(minutes=1), 3: timedelta(milliseconds=10)}


class Live(NamedTuple):
    """A grant that counts, as its last revision left it. recorded: when the grant itself was; seq: its own."""

    user: int
    granted: datetime
    recorded: datetime
    amount: int
    category: str | None
    seq: int
    opening: bool


class State(NamedTuple):
    """What an entry left a grant as, from `at` on; None: it does not count."""

    at: datetime
    grant_id: str
    grant: Live | None


def states(db: psycopg.Connection[Any], namespace: int, until: int = 2**62) -> Iterator[State]:
    """Of every entry up to a seq that is one of a grant, in order."""
    first: dict[str, tuple[datetime, int]] = {}
    rows = db.execute(
        "SELECT grant_id, user_number, granted_at, recorded_at, amount, category, seq, opening, voided FROM ledger"
        " WHERE namespace_id = %s AND seq <= %s AND kind IN ('grant', 'correction') ORDER BY seq",
        (namespace, until),
    )
    for grant_id, user, granted, recorded, value, category, seq, opening, voided in rows:
        at = recorded.astimezone(UTC)
        began, number = first.setdefault(grant_id, (at, seq))
        live = Live(user, granted.astimezone(UTC), began, value, category, number, opening)
        yield State(at, grant_id, None if voided else live)


def live(db: psycopg.Connection[Any], namespace: int) -> list[Live]:
    """All grants that count, as of the row up to which rows are counted by time: that comes behind the ledger."""
    sql = "SELECT counted_seq FROM partitions p JOIN namespaces n ON n.partition = p.partition WHERE n.id = %s"
    ((counted,),) = db.execute(sql, (namespace,)).fetchall()
    last = {grant_id: grant for _, grant_id, grant in states(db, namespace, counted)}
    return [grant for grant in last.values() if grant]


def between(grants: list[Live], since: datetime, until: datetime, by: str, user: int | None = None) -> tuple[int, int]:
    """Count and sum, in scaled units. An opening balance is in no stretch of time."""
    some = [g for g in grants if user in (None, g.user) and not g.opening]
    results = [g.amount for g in some if since <= getattr(g, by) < until]
    return len(results), sum(results)


@lru_cache(maxsize=65_536)
def bucket(local: LocalDays, hour: bool, moment: datetime) -> datetime:
    """Where the bucket of an instant begins. Kept: the same instants are asked for at every level."""
    micros = to_micros(moment)
    begins = from_micros(local.begin_of(micros))
    return begins + (moment - begins) // HOUR * HOUR if hour else begins


def trends(grants: list[Live], local: LocalDays, hour: bool) -> dict[datetime, tuple[int, int, int]]:
    """Grants, sum and users of each bucket of granted time."""
    grants_by_start: dict[datetime, list[Live]] = defaultdict(list)
    for grant in grants:
        if not grant.opening:
            grants_by_start[bucket(local, hour, grant.granted)].append(grant)
    return {
        at: (len(all_), sum(g.amount for g in all_), len({g.user for g in all_}))
        for at, all_ in grants_by_start.items()
    }


def boards(
    db: psycopg.Connection[Any], namespace: int, local: LocalDays, hour: bool
) -> dict[datetime, tuple[int, int]]:
    """What the scores of `all` came to, and of how many users, behind the last entry of each bucket."""
    states_by_start, scores, total = {}, dict[int, int](), 0
    rows = db.execute(
        "SELECT user_number, score, recorded_at FROM ledger"
        " WHERE namespace_id = %s AND user_number IS NOT NULL ORDER BY seq",
        (namespace,),
    )
    for user, score, recorded in rows:
        total -= scores.pop(user, 0)
        if score is not None:
            scores[user] = score
            total += score
        states_by_start[bucket(local, hour, recorded.astimezone(UTC))] = total, len(scores)
    return states_by_start


def changes(boards: dict[datetime, tuple[int, int]]) -> dict[datetime, tuple[int, int]]:
    """Those buckets behind which the board is another: one whose entries move no score (an edit of a source, a grant of
    nothing, a user who is hidden) need not be held, for the one before it still holds."""
    changes_by_start: dict[datetime, tuple[int, int]] = {}
    last = (0, 0)
    for at, state in sorted(boards.items()):
        if state != last:
            changes_by_start[at] = last = state
    return changes_by_start


def namespaces(db: psycopg.Connection[Any], only: str | None = None) -> Iterator[tuple[int, LocalDays]]:
    """Each namespace's id and when its days begin."""
    sql = """SELECT id, rules ->> 'timezone', coalesce(rules ->> 'day_starts', '00:00')::interval FROM namespaces
             WHERE name = coalesce(%s, name)"""
    for namespace, zone, day_offset in db.execute(sql, (only,)).fetchall():
        yield namespace, LocalDays(zone, day_offset)


def cells(grants: list[Live], local: LocalDays, level: int) -> dict[tuple[int, datetime], list[int]]:
    """By user and bucket: grants and sum by granted time, then by that of recording. Opening balances have a level of
    their own, by the hour of granted time."""
    counts: dict[tuple[int, datetime], list[int]] = defaultdict(lambda: [0, 0, 0, 0])
    for grant in grants:
        if grant.opening != (level == OPENING):
            continue
        for first, moment in ((0, grant.granted), (2, grant.recorded))[: 1 if grant.opening else 2]:
            at = bucket(local, level > 0, moment)
            if level in WIDTHS:
                at += (moment - at) // WIDTHS[level] * WIDTHS[level]
            cell = counts[grant.user, at]
            cell[first], cell[first + 1] = cell[first] + 1, cell[first + 1] + grant.amount
    return counts


def cells_in_sql(db: psycopg.Connection[Any], namespace: int, level: int) -> dict[tuple[int, datetime], list[int]]:
    """The same as Postgres counts it."""
    sql = """SELECT user_number, at, grants, amount, recorded, recorded_amount FROM user_buckets
             WHERE namespace_id = %s AND level = %s AND (grants, amount, recorded, recorded_amount) <> (0, 0, 0, 0)"""
    return {(user, at.astimezone(UTC)): one for user, at, *one in db.execute(sql, (namespace, level)).fetchall()}


def check_live(db: psycopg.Connection[Any], namespace: int) -> None:
    """Every live grant, as of the row up to which rows are counted by time."""
    sql = """SELECT n.rules ->> 'aggregation', n.rules ->> 'order', counted_seq
             FROM namespaces n JOIN partitions p ON p.partition = n.partition WHERE n.id = %s"""
    ((aggregation, order, counted),) = db.execute(sql, (namespace,)).fetchall()
    last: dict[str, Any] = {}
    first: dict[str, int] = {}
    rows = db.execute(
        "SELECT grant_id, user_number, granted_at, amount, windows, epoch, seq, voided FROM ledger"
        " WHERE namespace_id = %s AND seq <= %s AND kind IN ('grant', 'correction') ORDER BY seq",
        (namespace, counted),
    )
    for grant_id, user, granted, value, windows, *place, voided in rows:
        number = first.setdefault(grant_id, place[1])
        key = 0 if aggregation != "best" else -value if order == "asc" else value
        names = windows if aggregation == "best" else ["all"]
        last[grant_id] = [] if voided else [(user, name, key, granted, number, *place) for name in names]
    expected = sorted(row for one in last.values() for row in one)
    columns = 'user_number, "window", sort_key, granted_at, first_seq, epoch, seq'
    statement = f"SELECT {columns} FROM live_grants WHERE namespace_id = %s"
    assert sorted(db.execute(statement, (namespace,)).fetchall()) == expected


def check_counts(db: psycopg.Connection[Any], only: str | None = None) -> int:
    """Every row of every count against the ledger; how many buckets of users that were. `only`: of the namespace of
    this name, for a test that shares its stores with others; of every one otherwise."""
    return sum(_check_namespace(db, namespace, local) for namespace, local in namespaces(db, only))


def _check_namespace(db: psycopg.Connection[Any], namespace: int, local: LocalDays) -> int:
    check_live(db, namespace)
    grants = live(db, namespace)
    by_level = [cells(grants, local, level) for level in range(OPENING + 1)]
    minutes: dict[datetime, list[int]] = defaultdict(lambda: [0, 0, 0, 0])
    for (_, at), cell in by_level[2].items():
        minutes[at] = [one + other for one, other in zip(minutes[at], cell, strict=True)]
    sql = """SELECT at, grants, amount, recorded, recorded_amount FROM namespace_buckets
             WHERE namespace_id = %s AND level = 2 AND (grants, amount, recorded, recorded_amount) <> (0, 0, 0, 0)"""
    assert {at.astimezone(UTC): one for at, *one in db.execute(sql, (namespace,)).fetchall()} == minutes
    fine = "SELECT user_number, at FROM user_buckets WHERE namespace_id = %s AND level = 1 AND is_subdivided"
    dense = {(user, at.astimezone(UTC)) for user, at in db.execute(fine, (namespace,)).fetchall()}
    checked = 0
    for level, hit in enumerate(by_level):
        expected = {
            (user, at): value
            for (user, at), value in hit.items()
            if level not in WIDTHS or (user, bucket(local, True, at)) in dense
        }
        assert cells_in_sql(db, namespace, level) == expected
        checked += len(expected)
    for level in (0, 1, OPENING):
        sql = """SELECT at, grants, amount, users FROM namespace_buckets
                 WHERE namespace_id = %s AND level = %s AND grants <> 0"""
        rows = db.execute(sql, (namespace, level)).fetchall()
        openings = [grant._replace(opening=False) for grant in grants if grant.opening]
        some = openings if level == OPENING else grants
        assert {at.astimezone(UTC): tuple(one) for at, *one in rows} == trends(some, local, level > 0)
    for level in (0, 1):
        sql = "SELECT at, score, users FROM board_sums WHERE namespace_id = %s AND level = %s"
        rows = db.execute(sql, (namespace, level)).fetchall()
        trends_in_sql = {at.astimezone(UTC): (score, n) for at, score, n in rows}
        assert changes(trends_in_sql) == changes(boards(db, namespace, local, level == 1))
    return checked
