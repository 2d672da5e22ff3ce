"""Grandchildren whose parent was killed: adopted, killed and reaped, so that none is left behind."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time
from collections.abc import Collection
from pathlib import Path

PR_SET_CHILD_SUBREAPER = 36
#: Seconds in which left processes are killed and reaped: the user waits for the prompt.
KILL_S_MAX = 0.5
#: Seconds between two looks at what is left meanwhile.
_POLL_S = 0.01


def adopt() -> bool:
    """Have the orphans of our descendants handed to this process rather than to init; false where only init can."""
    return sys.platform == "linux" and int(ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)) == 0


def reap(known: Collection[int]) -> None:
    """Reap the ended orphans, which are our children not in `known`; those are left to whoever waits for them."""
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
    while (left := _children() - set(known)) and time.monotonic() < deadline:
        for pid in left:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        time.sleep(_POLL_S)
        reap(known)


def _children() -> set[int]:
    """The processes whose parent we are now; none where there is no /proc to tell."""
    found = set()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            # pid (name, which may hold anything) state parent …
            parent = int(stat.read_bytes().rpartition(b")")[2].split()[1])
        except (OSError, IndexError):
            continue
        if parent == os.getpid():
            found.add(int(stat.parent.name))
    return found
