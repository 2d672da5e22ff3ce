"""The client for JavaScript on a fake clock, socket and fetch; the tests themselves are JavaScript."""

import subprocess
from pathlib import Path

import pytest

from tests.support.node_program import NODE

FILES = sorted(Path(__file__).parent.glob("*.test.mjs"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_what_the_client_does_by_itself(file: Path) -> None:
    command = [NODE, "--test", "--test-reporter=spec", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout[-6_000:]
    assert "ℹ fail 0" in done.stdout
    assert "ℹ pass 0" not in done.stdout, "tests were run"
