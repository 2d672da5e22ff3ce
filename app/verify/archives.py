"""Compares archives with the ledger, with themselves, and with the hidden users. Each comparison is one statement, or
one transaction that sees one instant, so that it sees each concurrent write whole or not at all."""

from collections.abc import Iterator
from typing import Any

from ..model.namespace import Namespace
from ..model.tie_break import describe_tie_place
from .connections import StoreConnections
from .lost_archives import find_differing_lost_scores
from .report import FINDINGS_MAX, Report, decimal_text, user_label

#: A row of a query, or the like.
Row = Any


async def check_archives(stores: StoreConnections, namespace: Namespace, report: Report) -> None:
    """Checks scores, positions, sums, hashes and hidden users. O(n log n)."""
    ns, rules = namespace.id, namespace.rules
    scores = namespace.sign, namespace.aggregation.name, rules.category_boards
    checks = (
        (await stores.fetch("find_differing_archive_scores", ns, *scores, FINDINGS_MAX, namespace.by_moment), _score),
        (await find_differing_lost_scores(stores, namespace, FINDINGS_MAX), _score),
        (await stores.fetch("find_differing_archive_positions", ns, FINDINGS_MAX), _row),
        (await stores.fetch("find_differing_archives", ns, namespace.sign, FINDINGS_MAX), _whole),
        (await stores.fetch("find_differing_hidden_archive_users", ns, FINDINGS_MAX), _hidden_mark),
    )
    for rows, words in checks:
        for row in rows:
            for what in words(namespace, row):
                report.note(f"{namespace.name}, archive", f"{row['board']}: {what}")


def _score(namespace: Namespace, row: Row) -> Iterator[str]:
    if row["number"] is None:
        yield "it is gone, though its window is sealed"
        return
    actual, expected = (key if key is None else namespace.sign * key for key in (row["actual"], row["expected"]))
    scale = namespace.rules.scale
    if actual != expected:
        archive, ledger = decimal_text(actual, scale), decimal_text(expected, scale)
        yield f"{user_label(row['user'])}: {archive} in the archive, {ledger} by the ledger"
    else:
        since, ledger = (describe_tie_place(int(row[name])) for name in ("actual_tie_place", "expected_tie_place"))
        yield f"{user_label(row['user'])}: in line by {since} in the archive, by {ledger} by the ledger"


def _row(_: Namespace, row: Row) -> Iterator[str]:
    for column, words in (("position", "position"), ("better_users", "users above"), ("better_scores", "scores above")):
        if row[column] != row[f"expected_{column}"]:
            yield f"{user_label(row['user'])}: {words} {row[column]}, {row[f'expected_{column}']} by the scores there"


def _whole(namespace: Namespace, row: Row) -> Iterator[str]:
    scale = namespace.rules.scale
    for column, words, sign, decimals in (
        ("board_size", "users", 1, 0),
        ("sort_keys_sum", "sum of scores", namespace.sign, scale),
        ("squares_sum", "sum of squares", 1, 2 * scale),
    ):
        actual, expected = (sign * int(row[name]) for name in (column, f"expected_{column}"))
        if actual != expected:
            yield f"{words} {decimal_text(actual, decimals)}, its rows come to {decimal_text(expected, decimals)}"
    if not row["is_signed"]:
        yield "it is not what its hash was made of"
    if not row["is_recorded"]:
        yield "its last revision is not recorded as it is"


def _hidden_mark(_: Namespace, row: Row) -> Iterator[str]:
    if row["is_marked"]:
        yield f"{user_label(row['user'])} is marked as hidden and is not, or does not stand there"
    else:
        yield f"{user_label(row['user'])} is shown, though hidden"
