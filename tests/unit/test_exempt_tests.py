"""Who runs the tests on several nodes of Redis is told which ones did not run."""

import os
import subprocess
import sys

from tests.house_rules import ROOT

EXEMPT = "tests/integration/test_wheel.py"


def test_a_worker_tells_the_exempt_tests() -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-n", "1", EXEMPT]
    environment = {**os.environ, "TEST_REDIS": "sentinel"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60)
    assert f"exempt, with a single Valkey: {EXEMPT}::" in done.stdout, done.stdout + done.stderr
