"""A Postgres that comes back older than Redis: what the logs still hold is written again."""

import time
from typing import Any

import pytest

from tests.integration.test_rebuild import settle
from tests.support.checked_deployment import verify
from tests.support.older_postgres import copy_postgres, swap_postgres
from tests.support.random_writers import Writers
from tests.support.sealed_namespace import DAY, MONTH, RULES, Space
from tests.support.waits import until

pytestmark = pytest.mark.own_valkey


def test_archives_that_an_older_copy_lacks_are_written_anew(own_stack: Any) -> None:
    with own_stack.client() as api:
        spaces = [Space(own_stack, api, f"s{i}", **rules) for i, rules in enumerate(RULES)]
        for space in spaces:
            space.put(accept_past="P7D")
        copy_postgres(own_stack)
        own_stack.wait_ready()
        for space in spaces:
            for user, amount in (("ann", 3), ("bob", 2), ("cleo", 3), ("bob", 1), ("ann", -1)):
                answer = space.grant(user, amount, query="?backfill=true", category="red")
                assert answer.status_code in (201, 202), answer.text
        for space in spaces:
            until(lambda space=space: {DAY, MONTH} <= space.archived(), "the windows are not archived")
        before = [entries(space) for space in spaces]
        swap_postgres(own_stack)
        own_stack.wait_ready()
        for space in spaces:
            until(lambda space=space: {DAY, MONTH} <= space.archived(), "the windows are not archived again")
        assert [entries(space) for space in spaces] == before
        assert verify(own_stack) == (0, [])


def entries(space: Space) -> list[Any]:
    """What a client reads of boards whose windows are closed."""
    return [space.board(window)["entries"] for window in (DAY, MONTH)]


@pytest.mark.full
def test_an_older_copy_gets_the_rest_from_the_logs_under_load(own_stack: Any) -> None:
    with Writers(own_stack, 3, has_state=False):
        time.sleep(2)
        copy_postgres(own_stack)
        time.sleep(4)
        swap_postgres(own_stack)
        time.sleep(3)
    own_stack.wait_ready()
    own_stack.wait_flushed()
    settle(own_stack)
