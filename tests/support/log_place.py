"""Where an entry stands in a partition's log: each start of Redis begins another epoch."""

from typing import Any

from app.store import fields, keys


def log_place(direct: Any, p: int, seq: int) -> str:
    """Its id, in the present epoch."""
    return f"{int(direct.hget(keys.meta(p), fields.EPOCH))}-{seq}"
