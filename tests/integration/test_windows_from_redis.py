"""`rebuild --from-redis`: windows that were closed since an older Postgres was copied get the scores that it lost."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from operator import itemgetter
from typing import Any

import httpx
import psycopg
import pytest

from app.verify.report import decimal_text
from tests.integration.test_from_redis import lose_log
from tests.support.checked_deployment import verify
from tests.support.older_postgres import copy_postgres, swap_postgres
from tests.support.sealed_namespace import DAY, RULES, Space
from tests.support.waits import until

NOW = datetime.now(UTC)
Amounts = dict[str, list[int]]


@contextmanager
def no_archives(stack: Any) -> Iterator[None]:
    """Windows are closed meanwhile, and stay in Redis. The persister is killed at the end."""
    with psycopg.connect(stack.postgres.url) as db:
        db.execute("LOCK TABLE archived_boards IN ACCESS EXCLUSIVE MODE")
        yield
        stack.wait_flushed()
        stack.kill("persist")


def spaces_of(stack: Any, api: httpx.Client) -> list[Space]:
    return [Space(stack, api, f"s{i}", **rules) for i, rules in enumerate(RULES)]


def grant(spaces: list[Space], user: str, amount: int, **fields: Any) -> None:
    for space in spaces:
        answer = space.grant(user, amount, category="red", **fields)
        assert answer.status_code == 201, answer.text


def edit(spaces: list[Space], number: int, amount: int) -> None:
    for space in spaces:
        answer = space.api.patch(f"{space.url}/grants/g{number}", json={"amount": amount})
        assert answer.status_code == 200, answer.text


def seal(spaces: list[Space]) -> None:
    for space in spaces:
        space.put(accept_past="P7D")
    for space in spaces:
        until(lambda space=space: is_closed(space), "the window is not closed")


def is_closed(space: Space) -> bool:
    return bool(space.sql('SELECT 1 FROM seals WHERE namespace_id = %s AND "window" = %s', space.id, DAY))


def take_back(stack: Any, api: httpx.Client) -> str:
    swap_postgres(stack)
    stack.start("persist", ready=False)
    until(lambda: api.get("/readyz").status_code == 503, "the partitions stay open")
    done = stack.run("rebuild", "--from-redis", "--quiet")
    assert done.returncode == 0, done
    stack.wait_ready()
    stack.wait_flushed()
    return str(done.stdout)


def expect(spaces: list[Space], amounts: Amounts) -> None:
    """Waits for the archives, and compares them with what the amounts of each user make, in the order of grants."""
    for space in spaces:
        until(lambda space=space: DAY in space.archived(), f"{space.name}: {DAY} does not get into the archive")
        how = space.rules.get("aggregation", "sum")
        best = min if space.rules.get("order") == "asc" else max
        make: Any = {"sum": sum, "best": best, "latest": itemgetter(-1)}[how]
        space.wait_for(DAY, {user: make(some) for user, some in amounts.items()})


def check_changed_rows(stack: Any, spaces: list[Space]) -> None:
    """A score that somebody changes in an archive is found, also where the ledger lost a part of it."""
    board = f"{DAY}:red"  # where there are boards of categories
    change = """UPDATE archive_rows r SET sort_key = sort_key + %s FROM archived_boards a, users u
                WHERE a.id = r.archive_id AND a.board IN (%s, %s) AND u.number = r.user_number AND u.name = 'zoe'"""
    stack.sql(change, 1, DAY, board)
    findings = verify(stack)[1]
    for space in spaces:
        scale = space.rules.get("scale", 0)
        changed = decimal_text(5 * 10**scale + (-1 if space.rules.get("order") == "asc" else 1), scale)
        for name in [DAY, board] if space.rules.get("category_boards") else [DAY]:
            expected = f"{space.name}, archive: {name}: 'zoe': {changed} in the archive, 5 by the ledger"
            assert expected in [line.partition(": run ")[0] for line in findings], (expected, findings)
    stack.sql(change, -1, DAY, board)
    assert verify(stack) == (0, [])


@pytest.mark.timeout(120)
@pytest.mark.parametrize("where", [pytest.param("in the gap", marks=pytest.mark.full), "behind the gap"])
def test_a_window_that_is_closed_and_still_in_redis(own_stack: Any, where: str) -> None:
    """Corrections come before its seal and behind it, of grants that the older Postgres has."""
    with own_stack.client() as api:
        spaces = spaces_of(own_stack, api)
        for user, amount in (("ann", 1), ("bob", 2), ("cleo", 4)):
            grant(spaces, user, amount)
        own_stack.wait_flushed()
        copy_postgres(own_stack)
        own_stack.wait_ready()
        grant(spaces, "ann", 10)
        grant(spaces, "zoe", 5)
        if where == "in the gap":
            with no_archives(own_stack):
                seal(spaces)
                grant(spaces, "eve", 1, at=NOW)
                own_stack.wait_flushed()
                lose_log(own_stack)
                grant(spaces, "eve", 1, at=NOW)
                edit(spaces, 2, 3)
        else:
            grant(spaces, "eve", 1, at=NOW)
            own_stack.wait_flushed()
            lose_log(own_stack)
            grant(spaces, "dora", 3)
            edit(spaces, 2, 3)
            with no_archives(own_stack):
                seal(spaces)
                edit(spaces, 3, 6)
        edited = {"bob": [3]} | ({"dora": [3], "cleo": [6]} if where == "behind the gap" else {"cleo": [4]})
        amounts: Amounts = {"ann": [1, 10], "zoe": [5], **edited}
        take_back(own_stack, api)
        expect(spaces, amounts)
        assert verify(own_stack) == (0, [])
        check_changed_rows(own_stack, spaces)
        with own_stack.store() as store:
            store.flushall()
        assert own_stack.run("rebuild", "--quiet").returncode == 0
        own_stack.wait_ready()
        expect(spaces, amounts)
        assert verify(own_stack) == (0, [])


@pytest.mark.full
@pytest.mark.timeout(120)
def test_a_window_that_left_redis_takes_in_corrections_behind_the_gap(own_stack: Any) -> None:
    """Its archive is written anew from the ledger, which does not have what is lost."""
    with own_stack.client() as api:
        spaces = spaces_of(own_stack, api)
        for user, amount in (("ann", 1), ("bob", 2)):
            grant(spaces, user, amount)
        own_stack.wait_flushed()
        copy_postgres(own_stack)
        own_stack.wait_ready()
        grant(spaces, "zoe", 5)
        for space in spaces:
            space.seal(DAY)
        grant(spaces, "eve", 1, at=NOW)
        own_stack.wait_flushed()
        lose_log(own_stack)
        grant(spaces, "eve", 1, at=NOW)
        edit(spaces, 2, 3)
        own_stack.wait_flushed()
        own_stack.kill("persist")
        report = take_back(own_stack, api)
        assert f"s0, window {DAY}: its archive is lost" in report
        expect(spaces, {"ann": [1], "bob": [3]})
        assert verify(own_stack) == (0, [])
