"""Keeps two imports from writing one file: each would leave the other's rows out."""

import fcntl
from errno import EACCES, EAGAIN
from typing import IO, Any


def is_free(file: IO[Any]) -> bool:
    """Takes the lock of an open file, for as long as it is open. False if another process, or this one by another
    opening, has it. A file system that knows no locks has no say."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno not in (EAGAIN, EACCES)
    return True
