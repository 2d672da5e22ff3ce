"""A primary of Postgres and a standby that follows it over the wire, as processes on loopback."""

import os
import time
from pathlib import Path

import psycopg

from app.embedded import PostgresProcess, free_port
from tests.support.template import THROWAWAY, fill

#: Seconds for the standby to follow, or to become the primary.
FOLLOW_S_MAX = 30.0


class PostgresPair:
    """Both begin as copies of one cluster. `url` names both hosts, the primary first."""

    def __init__(self, stores: Path, primary: PostgresProcess, folder: Path) -> None:
        fill(stores, folder)
        self.primary = primary
        address = f"host=127.0.0.1 port={primary.port} user=leaderboard password={_password(folder)}"
        options = THROWAWAY | {"primary_conninfo": address, "wal_retrieve_retry_interval": "100ms"}
        self.standby = PostgresProcess(folder, free_port(), options=options)
        signal_file = self.standby.data / "standby.signal"
        signal_file.touch()
        owner = self.standby.data.stat()
        os.chown(signal_file, owner.st_uid, owner.st_gid)
        user, _, rest = self.standby.url.rpartition("@")
        self.url = f"{user}@127.0.0.1:{primary.port},{rest}"

    def wait_followed(self) -> None:
        """Waits until the standby has what the primary has by now."""
        with psycopg.connect(self.primary.url) as db:
            (place,) = db.execute("SELECT pg_current_wal_lsn()").fetchone() or ("",)
        deadline = time.monotonic() + FOLLOW_S_MAX
        with psycopg.connect(self.standby.url, autocommit=True) as db:
            while db.execute("SELECT pg_last_wal_replay_lsn() >= %s::pg_lsn", (place,)).fetchone() != (True,):
                assert time.monotonic() < deadline, "the standby does not follow"
                time.sleep(0.02)

    def promote(self) -> None:
        """Makes the standby the primary."""
        with psycopg.connect(self.standby.url, autocommit=True) as db:
            assert db.execute("SELECT pg_promote(true, %s)", (int(FOLLOW_S_MAX),)).fetchone() == (True,)

    def stop(self) -> None:
        """Ends the standby; the primary is its owner's."""
        self.standby.stop()


def _password(folder: Path) -> str:
    return (folder / "postgres.password").read_text().strip()
