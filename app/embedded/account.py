"""The user that Postgres runs as if we are root: Postgres refuses to run as root."""

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
    """No other user can reach the files that Postgres needs. The text is shown to the user."""


@dataclass(frozen=True, slots=True)
class Account:
    """A user to run as. `capability` (0: none) lets it enter folders that are closed to it, such as /root."""

    name: str
    uid: int
    gid: int
    capability: int = 0


def choose(owned: Path, executables: Iterable[Path], folder: Path) -> Account | None:
    """The account for a server with its data in `owned`; None if we are not root, because then none is needed.

    If `owned` exists, its owner is the account, so a cluster keeps its user. The account must be able to run
    `executables` and to enter `folder`. Where modes forbid that, the account gets one of root's capabilities, and the
    modes stay as they are. NoAccountError if root has no such capability.
    """
    if os.geteuid() != 0:
        return None
    entry = _owner(owned) or _named(UNPRIVILEGED)
    programs = [path.resolve() for path in executables]
    closed = [
        path for path in (folder.resolve(), *(program.parent for program in programs)) if not _can_enter(path, entry)
    ]
    unrunnable = [program for program in programs if not _permits(program, entry, 0o1)]
    if not closed and not unrunnable:
        return entry
    sufficient = (CAP_DAC_OVERRIDE,) if unrunnable else (CAP_DAC_READ_SEARCH, CAP_DAC_OVERRIDE)
    own_bits = _capabilities()
    for capability in sufficient:
        if own_bits >> capability & 1:
            return Account(entry.name, entry.uid, entry.gid, capability)
    raise NoAccountError(
        f"Postgres must run as {entry.name!r} here, who cannot reach {(closed + unrunnable)[0]}: "
        "choose another --data-dir, or run as a plain user"
    )


def _owner(path: Path) -> Account | None:
    try:
        stat = path.stat()
        return Account(pwd.getpwuid(stat.st_uid).pw_name, stat.st_uid, stat.st_gid) if stat.st_uid else None
    except (OSError, KeyError):
        return None


def _named(name: str) -> Account:
    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        raise NoAccountError(f"Postgres refuses to run as root, and there is no user {name!r} to run it as") from None
    return Account(name, entry.pw_uid, entry.pw_gid)


def _permits(path: Path, account: Account, bit: int) -> bool:
    stat = path.stat()
    if stat.st_uid == account.uid:
        return bool(stat.st_mode >> 6 & bit)
    return bool((stat.st_mode >> 3 if stat.st_gid == account.gid else stat.st_mode) & bit)


def _can_enter(folder: Path, account: Account) -> bool:
    return all(_permits(path, account, 0o1) for path in (folder, *folder.parents))


def _capabilities() -> int:
    """The capabilities of this process, as bits; 0 where the system has no /proc."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1], 16) for line in lines if line.startswith("CapPrm:")), 0)
