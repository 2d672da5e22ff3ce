"""A Postgres that comes back older than Redis: what the logs still hold is written again."""

import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from tests.integration.test_rebuild import settle
from tests.support.random_writers import Writers
from tests.support.redis_state import differences, namespace_state

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
