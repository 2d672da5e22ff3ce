"""An acceptance script of others, on each kind of Redis: `python -m tests.acceptance FOLDER`.

FOLDER holds `acceptance/f1.py`, which replays seasons through a running server, and its data in `data/f1`. It runs on a
single Valkey, on a cluster of three masters and three replicas, and behind three Sentinels; then `leaderboard verify`.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.conftest import Stack
from tests.support.redis_topologies import KINDS

#: Seconds in which one replay must end: 20 on a quiet machine.
REPLAY_S_MAX = 300


def script_of(folder: Path) -> Path:
    """The script in a folder."""
    return folder / "acceptance" / "f1.py"


def replay(folder: Path, kind: str) -> str:
    """Replays the seasons on one kind of Redis. Returns what failed; "": nothing."""
    with tempfile.TemporaryDirectory() as place:
        here = Path(place)
        here.chmod(0o755)
        stack = Stack(here, redis=KINDS[kind](here / "nodes"))
        stack.extra["LEADERBOARD_CHORES_S"] = "0.5"
        try:
            stack.up()
            done = subprocess.run(replay_command(folder, stack), capture_output=True, text=True, timeout=REPLAY_S_MAX)
            if done.returncode:
                return done.stdout + done.stderr
            print(f"{kind or 'single'}: {done.stdout.splitlines()[-1]}", flush=True)
            stack.wait_flushed()
            verified = stack.run("verify")
            return "" if verified.returncode == 0 else verified.stdout + verified.stderr
        finally:
            stack.down()


def replay_command(folder: Path, stack: Stack, *, live: bool = True) -> list[str]:
    """How the script in a folder is called. live: whether it follows live boards, too."""
    (grants,) = (folder / "data" / "f1").glob("grants-*.ndjson")
    (standings,) = (folder / "data" / "f1").glob("standings-*.csv")
    return [
        *(sys.executable, str(script_of(folder)), "--url", stack.url, "--key", stack.key),
        *("--grants", str(grants), "--standings", str(standings), "--ledger"),
        *(["--live"] if live else []),
    ]


def main() -> int:
    """Every kind in turn; the first failure ends it."""
    arguments = argparse.ArgumentParser(prog="python -m tests.acceptance", description=__doc__)
    arguments.add_argument("folder", type=Path)
    arguments.add_argument("--only", choices=KINDS)
    given = arguments.parse_args()
    for kind in KINDS if given.only is None else [given.only]:
        if fault := replay(given.folder, kind):
            print(f"{kind or 'single'}: {fault}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
