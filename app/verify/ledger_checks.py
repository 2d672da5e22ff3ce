"""Compares the ledger with itself: its rows have no gaps, follow from each other, and agree with all derived tables."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import asyncpg

from ..model.local_days import LocalDays
from ..model.micros import from_micros
from ..model.namespace import Namespace
from ..model.zone import known_zone
from .archives import check_archives
from .connections import StoreConnections
from .report import FINDINGS_MAX, Report, decimal_text, user_label
from .search import check_search

_SPANS = (
    *("the day of", "the hour of", "the minutes of the hour of", "the hundredths of seconds of the hour of"),
    "the opening balances of the hour of",
)


async def check_partition(stores: StoreConnections, p: int, report: Report) -> None:
    """Checks that seq rises by one up to the offset, and reports dead letters whose namespace is unknown. O(rows)."""
    for row in await stores.fetch("find_ledger_gaps", p):
        what = f"it ends at seq {row['before']}" if row["is_end"] else f"seq {row['seq']} follows {row['before']}"
        report.note(f"ledger, partition {p}", f"{what}: rows are missing")
    for row in await stores.fetch("get_placeless_dead_letters", p, FINDINGS_MAX):
        what = f"the entry {row['epoch']}-{row['seq']} could not be recorded ({row['cause']}) and tells no namespace"
        report.note(f"ledger, partition {p}", f"{what}: a board may differ by it")


async def check_namespace(stores: StoreConnections, namespace: Namespace, report: Report) -> None:
    """Checks rows, standings, counts by time and archives, and reports entries that the boards counted but the ledger
    could not record. O(n log n)."""
    name, scale = namespace.name, namespace.rules.scale
    for row in await stores.fetch("find_differing_rows", namespace.id, FINDINGS_MAX):
        report.note(f"{name}, ledger", _row(row, scale))
    for row in await stores.fetch("find_differing_standings", namespace.id, FINDINGS_MAX):
        score, grants = decimal_text(row["actual"], scale), decimal_text(row["actual_grants"])
        stored = f"{user_label(row['user'])} has {score} in {grants} grants"
        expected = (
            f"the ledger adds up to {decimal_text(row['expected'], scale)} in {decimal_text(row['expected_grants'])}"
        )
        report.note(f"{name}, standings", f"{stored}, {expected}")
    (span,) = await stores.fetch("get_moment_bounds", namespace.id)
    days = day_beginnings(namespace.days, span["first"], span["last"]) if span["first"] else []
    for row in await stores.fetch("find_differing_buckets", namespace.id, FINDINGS_MAX, days):
        for what in _counts(row, scale):
            report.note(f"{name}, counts by time", what)
    for row in await stores.fetch("find_differing_live_grants", namespace.id, FINDINGS_MAX):
        what = "which does not count" if row["is_extra"] else "which counts and is missing"
        where = f"{user_label(row['user'])}, window {row['window']}"
        report.note(
            f"{name}, live grants", f"{where}: the grant of seq {row['first_seq']} as of seq {row['seq']}, {what}"
        )
    for row in await stores.fetch("find_differing_quarantined", namespace.id, FINDINGS_MAX):
        what = "is listed and does not wait so" if row["is_extra"] else "waits and is not listed so"
        report.note(f"{name}, grants in quarantine", f"{row['grant_id']!r} of seq {row['seq']} {what}")
    await check_archives(stores, namespace, report)
    await check_search(stores, namespace, report)
    for row in await stores.fetch("get_dead_letters_of_namespace", namespace.partition, namespace.id):
        if row["healed_seq"] is None:
            what, cure = _dead_letter(namespace.partition, row)
            report.note(name, what, cure=cure)


def _dead_letter(p: int, row: asyncpg.Record) -> tuple[str, str]:
    """What is wrong with an entry that counts and must not, and what mends it."""
    place = f"{row['epoch']}-{row['seq']}"
    if row["reason"] == "duplicate":
        return f"the duplicate {place} of {row['name']!r} is not taken back yet", "a persister takes it back"
    whose = f" of {user_label(row['name'])}" if row["name"] else ""
    cure = f"mend the cause and run leaderboard dead-letters retry {p}:{place}, or drop {p}:{place}"
    return f"the entry {place}{whose} could not be recorded ({row['cause']})", cure


def day_beginnings(local: LocalDays, first: datetime, last: datetime) -> list[datetime]:
    """The beginnings of the local days from shortly before `first` until shortly after `last`, in order. O(days)."""
    one, known = timedelta(days=1), local._replace(zone=known_zone(local.zone))
    days = (first.astimezone(UTC).date() + (i - 2) * one for i in range((last - first).days + 6))
    return [from_micros(starts) for starts in sorted({known.begins(day) for day in days})]


def _row(row: asyncpg.Record, scale: int) -> str:
    where = f"{user_label(row['user'])}, seq {row['seq']}"
    if row["before"] + row["score_delta"] == row["score"]:
        return (
            f"{where}: granted {decimal_text(row['entry_amount'], scale)}, counts {decimal_text(row['amount'], scale)}"
        )
    before, change, score = (decimal_text(row[column], scale) for column in ("before", "score_delta", "score"))
    return f"{where}: the score goes from {before} by {change} to {score}"


def _counts(row: asyncpg.Record, scale: int) -> Iterator[str]:
    """A sentence for each difference in one bucket of a user or of the whole namespace."""
    at: datetime = row["at"]
    who = "all users" if row["user"] is None else user_label(row["user"])
    for column, decimals in (
        ("grants", 0),
        ("amount", scale),
        ("recorded", 0),
        ("recorded_amount", scale),
        ("users", 0),
    ):
        actual, expected = (int(row[name] or 0) for name in (column, f"expected_{column}"))
        if actual != expected:
            when = f"{_SPANS[row['level']]} {at:%Y-%m-%dT%H:%M:%SZ}"
            left, right = decimal_text(actual, decimals), decimal_text(expected, decimals)
            yield f"{who}, {when}: {column.replace('_', ' ')} {left}, {right} by the ledger"
