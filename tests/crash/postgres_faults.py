"""A Postgres that comes back without what it had."""

from __future__ import annotations

import shutil

from tests.crash.faults import AWAY_S, Fault
from tests.crash.field import Field
from tests.support.older_postgres import copy_postgres, swap_postgres

#: Entries that come between the copy and its return.
ENTRIES = 100


class OlderPostgres(Fault):
    name = "Postgres comes back as an older copy; the logs have all that it lacks"
    promise = (
        "nothing is lost; where users were hidden since, 503 `recovering` until `leaderboard rebuild --from-redis`"
    )

    def inject(self, field: Field) -> None:
        folder = field.stack.folder
        for name in ("dump", "newer"):
            shutil.rmtree(folder / name, ignore_errors=True)
        copy_postgres(field.stack)
        field.more(ENTRIES)
        field.wait_recorded()
        swap_postgres(field.stack)
        field.wait(AWAY_S)

    def heal(self, field: Field) -> None:
        done = field.stack.run("rebuild", "--from-redis", "--quiet")
        assert done.returncode == 0, done
        field.stack.wait_ready()
