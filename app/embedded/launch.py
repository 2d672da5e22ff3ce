"""Executes a command that ends when its parent ends, if wanted as another user. Run it as `python -I -S launch.py …`.

argv: the parent's pid, the signal to send when the parent ends, `uid:gid` or `-`, a capability to keep or 0, the
command and its arguments. It replaces itself by exec, so the command keeps this process's pid. It imports nothing of
the package. `preexec_fn` would do the same between fork and exec, but there a process with threads may deadlock.
"""

from __future__ import annotations

import ctypes
import os
import sys

PR_SET_PDEATHSIG, PR_SET_KEEPCAPS, PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE = 1, 8, 47, 2
PR_GET_SECUREBITS, PR_SET_SECUREBITS, NO_SETUID_FIXUP = 27, 28, 4
CAPABILITY_VERSION_3 = 0x20080522


def _checked(outcome: int, what: str) -> None:
    if outcome != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def become(libc: ctypes.CDLL, *, uid: int, gid: int, capability: int) -> None:
    """Switch to another user for good. `capability` (a number of capabilities(7), 0: none) is kept over the next exec.
    OSError if that is refused."""
    if capability:
        # access(2) looks away from a capability of a user who is not root, unless this bit is set. initdb asks by it
        # whether it may run postgres. Where the bit is refused, initdb says so itself.
        libc.prctl(PR_SET_SECUREBITS, libc.prctl(PR_GET_SECUREBITS, 0, 0, 0, 0) | NO_SETUID_FIXUP, 0, 0, 0)
        _checked(libc.prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0), "prctl(PR_SET_KEEPCAPS)")
    os.setgroups([])
    os.setgid(gid)
    os.setuid(uid)
    if capability:
        header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION_3, 0)
        mask = 1 << capability
        # Two halves of (effective, permitted, inheritable): only one bit of the first half stays.
        sets = (ctypes.c_uint32 * 6)(mask, mask, mask, 0, 0, 0)
        _checked(libc.capset(header, sets), "capset")
        _checked(libc.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability, 0, 0), "prctl(PR_CAP_AMBIENT)")


def main(argv: list[str]) -> None:
    """Switch the user, tie this process to its parent, and exec the command. Exit code 126 if that is refused."""
    parent, death_signal, user, capability, *command = argv
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        if user != "-":
            uid, gid = user.split(":")
            become(libc, uid=int(uid), gid=int(gid), capability=int(capability))
        if sys.platform == "linux":
            # After the change of user, because that would clear it.
            _checked(libc.prctl(PR_SET_PDEATHSIG, int(death_signal), 0, 0, 0), "prctl(PR_SET_PDEATHSIG)")
        if os.getppid() != int(parent):
            sys.exit(126)  # the parent died before the line above
        os.execv(command[0], command)
    except OSError as error:
        sys.stderr.write(f"cannot start {command[0]}: {error}\n")
        sys.exit(126)


if __name__ == "__main__":
    main(sys.argv[1:])
