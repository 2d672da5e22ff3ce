"""Nineteen seasons of real points, replayed against the running system and compared with the official standings."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

SHARED = Path(__file__).parents[3] / "shared"


@pytest.mark.long
@pytest.mark.skipif(not SHARED.is_dir(), reason="the Formula 1 data beside the project is absent")
def test_every_official_standing_is_matched(live_server: Any) -> None:
    data = SHARED / "data" / "f1"
    done = subprocess.run(
        [
            *(sys.executable, str(SHARED / "acceptance" / "f1.py"), "--url", live_server.url, "--key", live_server.key),
            *("--live", "--ledger", "--grants", str(data / "grants-1991-2009.ndjson")),
            *("--standings", str(data / "standings-1991-2009.csv")),
        ],
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert done.stdout.splitlines()[-1:] == ["ok: 7650 standings rows matched"], done.stdout[-2000:] + done.stderr
