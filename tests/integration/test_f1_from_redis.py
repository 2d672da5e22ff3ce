"""Real seasons, whose second half an older Postgres lost: users' numbers are as before, also behind a FLUSHALL."""

import subprocess
import sys
import time
from typing import Any

import pytest

from tests.integration.test_f1 import SHARED
from tests.integration.test_from_redis import lose_log, unlike, wait_closed
from tests.integration.test_rebuild import settle
from tests.support.older_postgres import copy_postgres, swap_postgres
from tests.support.redis_state import differences, namespace_state

pytestmark = [
    pytest.mark.own_valkey,
    pytest.mark.full,
    pytest.mark.skipif(not SHARED.is_dir(), reason="the Formula 1 data beside the project is absent"),
]


def replay(stack: Any, seasons: range) -> None:
    """Replays seasons, and compares all standings, live frames and what the ledger says of them."""
    data = SHARED / "data" / "f1"
    done = subprocess.run(
        [
            *(sys.executable, str(SHARED / "acceptance" / "f1.py"), "--url", stack.url, "--key", stack.key),
            *("--live", "--ledger", "--grants", str(data / "grants-1991-2009.ndjson")),
            *("--standings", str(data / "standings-1991-2009.csv"), "--seasons", ",".join(map(str, seasons))),
        ],
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.stdout.splitlines()[-1].startswith("ok: "), done.stdout[-2000:] + done.stderr


@pytest.mark.timeout(300)
def test_seasons_that_postgres_lost_stand_as_before(own_stack: Any) -> None:
    replay(own_stack, range(1991, 2000))
    own_stack.wait_flushed()
    copy_postgres(own_stack)
    own_stack.wait_ready()
    replay(own_stack, range(2000, 2010))
    own_stack.wait_flushed()
    lose_log(own_stack)
    before = namespace_state(own_stack.valkey.url)
    swap_postgres(own_stack)
    own_stack.kill("persist")
    own_stack.start("persist")
    wait_closed(own_stack)
    began = time.monotonic()
    recorded = own_stack.run("rebuild", "--from-redis", "--quiet")
    assert recorded.returncode == 0, recorded
    print(f"{time.monotonic() - began:.1f} s", recorded.stdout, sep="\n")
    own_stack.wait_ready()
    assert differences(before, namespace_state(own_stack.valkey.url)) == []
    settle(own_stack)
    with own_stack.store() as store:
        store.flushall()
    assert own_stack.run("rebuild", "--quiet").returncode == 0
    own_stack.wait_ready()
    assert unlike(before, namespace_state(own_stack.valkey.url)) == []
    settle(own_stack)
