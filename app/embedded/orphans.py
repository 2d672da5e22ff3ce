"""Grandchildren whose parent was killed: this process adopts, kills and reaps them."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time
from collections.abc import Collection
from pathlib import Path

PR_SET_CHILD_SUBREAPER = 36
#: Seconds in which orphans are killed and reaped. The user waits for the prompt meanwhile.
KILL_S_MAX = 0.5
#: Seconds between two looks at the orphans that remain.
_POLL_S = 0.01


def adopt() -> bool:
    """Make this process the parent of its descendants' orphans, instead of init. False if the system cannot do that."""
    return sys.platform == "linux" and int(ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)) == 0


def reap(known: Collection[int]) -> None:
    """Reap the ended children that are not in `known`: these are the orphans. Other code waits for the known ones."""
    while True:
        try:
            ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return
        if ended is None or ended.si_pid in known:
            return
        os.waitpid(ended.si_pid, 0)


def kill(known: Collection[int]) -> None:
    """Kill and reap every child not in `known`, within half a second."""
    deadline = time.monotonic() + KILL_S_MAX
    while (orphans := _children() - set(known)) and time.monotonic() < deadline:
        for pid in orphans:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        time.sleep(_POLL_S)
        reap(known)


def _children() -> set[int]:
    """The ids of this process's children; empty on systems without /proc."""
    children = set()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            # pid (name, of any characters) state parent …
            parent = int(stat.read_bytes().rpartition(b")")[2].split()[1])
        except (OSError, IndexError):
            continue
        if parent == os.getpid():
            children.add(int(stat.parent.name))
    return children
