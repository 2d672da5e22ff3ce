"""Mutants of what keeps an older Postgres from being believed."""

from tests.mutants.mutant import Mutant

OLDER_POSTGRES = [
    Mutant(
        "a Postgres that was changed since is known by the token of a change",
        "app/store/state_history.py",
        "if tokens.get(note.version, note.token) != note.token:",
        "if False:",
        ("tests/unit/test_state_history.py", "tests/integration/test_older_postgres.py"),
    ),
    Mutant(
        "a persister gives up its partitions while Postgres is the older one",
        "app/persist/worker.py",
        "share = 0 if await self._refuses_state(session) else",
        "share =",
        ("tests/integration/test_older_postgres.py",),
    ),
    Mutant(
        "what was changed on an older Postgres is told from what it had",
        "app/recover/state_taking.py",
        "return (kind, str(number), namespace_id) in self.changed",
        "return False",
        ("tests/integration/test_state_from_redis.py",),
    ),
    Mutant(
        "who was erased since is erased again",
        "app/recover/state_from_redis.py",
        "    await take_erasures(taking)\n",
        "",
        ("tests/integration/test_users_from_redis.py::test_erased_users_are_not_published_again",),
    ),
]
