"""The user Postgres runs as where we are root, for it refuses to be root itself."""

from __future__ import annotations

import os
import pwd
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

# capabilities(7): enter and read anything; the same, and execute and write.
CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH = 1, 2
UNPRIVILEGED = "nobody"


class NoAccountError(Exception):
    """No user to drop to can reach what it needs; its text is for the user."""


@dataclass(frozen=True, slots=True)
class Account:
    """A user to become; `capability` (0: none) is kept to pass folders closed to it, such as /root."""

    name: str
    uid: int
    gid: int
    capability: int = 0


def choose(owned: Path, executables: Iterable[Path], folder: Path) -> Account | None:
    """The account for a server whose data lies in `owned`; None where we are not root and need none.

    `owned` decides where it exists, so a cluster keeps its user. The account must be able to run `executables` and to
    enter `folder`; where modes forbid it, one capability that root holds is passed on instead of loosening them.
    """
    if os.geteuid() != 0:
        return None
    entry = _owner(owned) or _named(UNPRIVILEGED)
    programs = [path.resolve() for path in executables]
    closed = [
        path for path in (folder.resolve(), *(program.parent for program in programs)) if not _enters(path, entry)
    ]
    unrunnable = [program for program in programs if not _permits(program, entry, 0o1)]
    if not closed and not unrunnable:
        return entry
    wanted = (CAP_DAC_OVERRIDE,) if unrunnable else (CAP_DAC_READ_SEARCH, CAP_DAC_OVERRIDE)
    held = _capabilities()
    for capability in wanted:
        if held >> capability & 1:
            return Account(entry.name, entry.uid, entry.gid, capability)
    raise NoAccountError(
        f"Postgres must run as {entry.name!r} here, who cannot reach {(closed + unrunnable)[0]}: "
        "choose another --data-dir, or run as a plain user"
    )


def _owner(path: Path) -> Account | None:
    try:
        found = path.stat()
        return Account(pwd.getpwuid(found.st_uid).pw_name, found.st_uid, found.st_gid) if found.st_uid else None
    except (OSError, KeyError):
        return None


def _named(name: str) -> Account:
    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        raise NoAccountError(f"Postgres refuses to run as root, and there is no user {name!r} to run it as") from None
    return Account(name, entry.pw_uid, entry.pw_gid)


def _permits(path: Path, account: Account, bit: int) -> bool:
    found = path.stat()
    if found.st_uid == account.uid:
        return bool(found.st_mode >> 6 & bit)
    return bool((found.st_mode >> 3 if found.st_gid == account.gid else found.st_mode) & bit)


def _enters(folder: Path, account: Account) -> bool:
    return all(_permits(path, account, 0o1) for path in (folder, *folder.parents))


def _capabilities() -> int:
    """The capabilities this process holds, as bits; 0 where the system does not tell."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1], 16) for line in lines if line.startswith("CapPrm:")), 0)
