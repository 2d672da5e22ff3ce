"""/openapi.json reads the same whether the package is a clone's `app` or the wheel's `leaderboard_server`."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("package", ["app", "leaderboard_server"])
def test_the_description_is_the_services_own_under_both_names(package: str) -> None:
    code = f"import json; from {package}.openapi import document; print(json.dumps(document()['info']))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    about = "A realtime leaderboard server on Redis whose every number can be proven from an append-only ledger."
    assert json.loads(done.stdout)["description"] == about
