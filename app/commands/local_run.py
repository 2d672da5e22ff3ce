"""The stores of a `leaderboard dev` on this machine, for commands that were given none."""

import json
import os
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

from ..settings import read_settings

#: What each member of run.json is as a variable. A command of HTTP reads the first two, one of the stores the others.
_VARIABLES = {
    "http": "LEADERBOARD_URL",
    "api_key": "LEADERBOARD_API_KEY",
    "redis": "LEADERBOARD_REDIS_URL",
    "postgres": "LEADERBOARD_POSTGRES_URL",
}
#: Commands that are parts of a deployment themselves: what they use must be said.
PARTS = frozenset(("dev", "serve", "persist", "migrate"))


def use_local_run(environment: MutableMapping[str, str]) -> Path | None:
    """Adds the addresses and the key of the `leaderboard dev` whose run.json stands in the data folder.

    Only where the environment has none of them, and the file is the caller's own: somebody else's folder may not say
    which stores a command changes. Returns the file that was read, None if nothing was added.
    """
    if any(name in environment for name in _VARIABLES.values()):
        return None
    path = read_settings(environment).data_dir / "run.json"
    run = _read(path)
    if not all(isinstance(run.get(member), str) for member in _VARIABLES):
        return None
    environment.update((name, run[member]) for member, name in _VARIABLES.items())
    return path


def _read(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_uid != os.geteuid():
            return {}
        run = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return run if isinstance(run, dict) else {}
