"""A Redis that comes back without what it had."""

import shutil
from pathlib import Path
from typing import Any


def copy_redis(stack: Any, name: str = "older") -> Path:
    """A copy of what Redis holds now, as a folder."""
    stack.kill("redis")
    older = Path(stack.valkey.data.with_name(name))
    shutil.copytree(stack.valkey.data, older)
    stack.start("redis")
    stack.wait_ready()
    return older


def bring_back(stack: Any, older: Path) -> None:
    """Redis starts anew with what was copied."""
    stack.kill("redis")
    shutil.rmtree(stack.valkey.data)
    shutil.copytree(older, stack.valkey.data)
    stack.start("redis")
