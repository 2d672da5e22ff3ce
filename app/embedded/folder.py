"""The data folder of one `leaderboard dev`: its lock, its key, and run.json."""

from __future__ import annotations

import base64
import fcntl
import json
import os
import secrets
import shutil
import time
from pathlib import Path
from types import TracebackType
from typing import Self

#: Seconds to wait for the lock: children of a killed run may still be ending.
LOCK_S_MAX = 3.0
#: Seconds between two tries to lock the folder.
_POLL_S = 0.05


#: Files and folders that a run leaves in its data folder, without the lock and the key. `reset` deletes only these.
REMAINS = ("postgres", "postgres.password", "redis", "logs", "run.json")


class FolderError(Exception):
    """The data folder cannot be used. The text is shown to the user."""


class DataFolder:
    """Holds the folder's lock while entered. Children that inherit `lock_fd` hold it until they end."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self.lock_fd = -1

    def __enter__(self) -> Self:
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self.lock_fd = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise FolderError(f"cannot use the data folder {self.path}: {error.strerror}") from None
        try:
            self._lock()
        except FolderError:
            os.close(self.lock_fd)
            raise
        self.forget_run()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.forget_run()
        os.ftruncate(self.lock_fd, 0)
        os.close(self.lock_fd)

    def reset(self) -> None:
        """Deletes what earlier runs left here, for good: scores, ledger, logs. The key stays. FolderError."""
        for name in REMAINS:
            path = self.path / name
            try:
                if path.is_dir() and not path.is_symlink():
                    shutil.rmtree(path)
                else:
                    path.unlink(missing_ok=True)
            except OSError as error:
                raise FolderError(f"cannot delete {path}: {error.strerror}") from None

    def api_key(self, given: str | None = None) -> str:
        """The API key of this run: the given one, or else the stored one. The folder keeps it, so its file and run.json
        agree. The first call without one makes it."""
        file = self.path / "api_key"
        stored = file.read_text().strip() if file.exists() else ""
        key = given or stored or f"lb_dev_{secrets.token_hex(16)}"
        if key != stored:
            self._write(file, key + "\n")
        return key

    def webhook_key(self) -> Path:
        """The file with the key that encrypts the secrets of webhooks. The first call makes it."""
        return self._random_key("webhook_key")

    def token_key(self) -> Path:
        """The file with the key that signs client tokens. The first call makes it."""
        return self._random_key("token_key")

    def _random_key(self, name: str) -> Path:
        file = self.path / name
        if not file.exists():
            self._write(file, base64.b64encode(secrets.token_bytes(32)).decode() + "\n")
        return file

    def write_run(self, run: dict[str, object]) -> None:
        """Write run.json atomically. Only its owner can read it, because it holds the key."""
        self._write(self.path / "run.json", json.dumps(run, indent=2) + "\n")

    def forget_run(self) -> None:
        """Remove run.json, if it is there."""
        (self.path / "run.json").unlink(missing_ok=True)

    def _lock(self) -> None:
        deadline = time.monotonic() + LOCK_S_MAX
        while True:
            try:
                fcntl.flock(self.lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError:
                holder = os.pread(self.lock_fd, 32, 0).decode("ascii", "replace").strip()
                if _alive(holder) or time.monotonic() > deadline:
                    who = f" (pid {holder})" if holder else ""
                    raise FolderError(
                        f"the data folder {self.path} is in use by another leaderboard dev{who}"
                    ) from None
                time.sleep(_POLL_S)
        os.ftruncate(self.lock_fd, 0)
        os.pwrite(self.lock_fd, b"%d\n" % os.getpid(), 0)

    def _write(self, file: Path, text: str) -> None:
        new = file.with_name(f"{file.name}.new")
        new.unlink(missing_ok=True)
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as target:
            target.write(text)
            target.flush()
            os.fsync(target.fileno())
        new.replace(file)


def check_ours(path: Path) -> None:
    """FolderError if a folder is not empty and has no lock file of a `leaderboard dev`: it has another purpose."""
    if path.is_dir() and any(path.iterdir()) and not (path / "lock").is_file():
        raise FolderError(f"{path.absolute()} is not the data folder of a leaderboard dev: nothing was deleted")


def _alive(pid: str) -> bool:
    try:
        os.kill(int(pid), 0)
    except (ValueError, ProcessLookupError):
        return False
    except PermissionError:
        return True
    return True
