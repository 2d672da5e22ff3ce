"""A Postgres that comes back older than Redis: what the logs still hold is written again."""

import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from tests.integration.test_rebuild import settle
from tests.support.checked_deployment import verify
from tests.support.random_writers import Writers
from tests.support.sealed_namespace import DAY, MONTH, RULES, Space
from tests.support.waits import until

pytestmark = pytest.mark.own_valkey


def copy_postgres(stack: Any) -> Path:
    """A copy of what Postgres holds now, as a folder. Writers go on meanwhile."""
    data = Path(stack.postgres.data)
    older = data.with_name("older_ledger")
    stack.kill("postgres")
    subprocess.run(["cp", "-a", data, older], check=True)  # with its owner
    stack.start("postgres")
    return older


def bring_back(stack: Any, older: Path) -> None:
    """Postgres starts anew with what was copied."""
    data = Path(stack.postgres.data)
    stack.kill("postgres")
    shutil.rmtree(data)
    subprocess.run(["cp", "-a", older, data], check=True)
    stack.start("postgres")


def test_archives_that_an_older_copy_lacks_are_written_anew(own_stack: Any) -> None:
    with own_stack.client() as api:
        spaces = [Space(own_stack, api, f"s{i}", **rules) for i, rules in enumerate(RULES)]
        for space in spaces:
            space.put(accept_past="P7D")
        older = copy_postgres(own_stack)
        own_stack.wait_ready()
        for space in spaces:
            for user, amount in (("ann", 3), ("bob", 2), ("cleo", 3), ("bob", 1), ("ann", -1)):
                answer = space.grant(user, amount, query="?backfill=true", category="red")
                assert answer.status_code in (201, 202), answer.text
        for space in spaces:
            until(lambda space=space: {DAY, MONTH} <= space.archived(), "the windows are not archived")
        before = [entries(space) for space in spaces]
        bring_back(own_stack, older)
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
        older = copy_postgres(own_stack)
        time.sleep(4)
        bring_back(own_stack, older)
        time.sleep(3)
    own_stack.wait_ready()
    own_stack.wait_flushed()
    settle(own_stack)
