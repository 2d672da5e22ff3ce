"""A deployment in which one part fails: namespaces by their partition, faults that are planted and mended."""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any

import httpx
import psycopg

from app.model.namespace import partition_of
from tests.support.waits import until

PARTITIONS = 16
EMPTY = frozenset({0, PARTITIONS - 1})  # partitions that hold no namespace: what is spoilt there is nobody's
#: Deadlocks that a planted fault may meet, one after the other: each takes a second.
DEADLOCKS_MAX = 10
_numbers = count()


class Isolation:
    """`sick` and `well` are namespaces of two partitions; both are fresh."""

    def __init__(self, stack: Any, client: httpx.Client, direct: Any) -> None:
        self.stack, self.client, self.direct = stack, client, direct
        self.spaces: list[str] = []
        self.sick = self.space()
        self.p = partition_of(self.sick, None, PARTITIONS)
        self.well = self.space(beside=self.p)

    def space(self, beside: int | None = None, **rules: Any) -> str:
        """A fresh namespace, of another partition than `beside` and than those that stay empty."""
        name = f"iso-{next(_numbers)}"
        while partition_of(name, None, PARTITIONS) in EMPTY | {beside}:
            name = f"iso-{next(_numbers)}"
        answer = self.client.put(f"/v1/namespaces/{name}", json={"accept_past": None} | rules)
        assert answer.status_code == 201, answer.text
        self.spaces.append(name)
        return name

    def grant(self, space: str, grant_id: str, amount: int = 5, user: str = "otter", **fields: Any) -> dict[str, Any]:
        body = {"grant_id": grant_id, "user_id": user, "amount": amount} | fields
        answer = self.client.post(f"/v1/namespaces/{space}/grants", json=body)
        assert answer.status_code == 201, answer.text
        return dict(answer.json())

    def sql(self, text: str, *args: Any) -> list[Any]:
        return list(self.stack.sql(text, *args))

    def recorded(self, space: str) -> list[Any]:
        """The ledger's rows of a namespace: kind, grant_id, user, change, score."""
        return self.sql(
            "SELECT l.kind, l.grant_id, u.name, l.score_delta, l.score FROM ledger l LEFT JOIN users u "
            "ON u.number = l.user_number JOIN namespaces n ON n.id = l.namespace_id WHERE n.name = %s ORDER BY l.seq",
            space,
        )

    def ids(self, space: str) -> list[str]:
        return [row[1] for row in self.recorded(space) if row[0] == "grant"]

    def letters(self) -> list[tuple[int, str]]:
        """The dead letters that are open: partition and cause."""
        return self.sql(
            "SELECT partition, cause FROM dead_letters WHERE reason <> 'duplicate' AND healed_seq IS NULL "
            "ORDER BY 1, seq"
        )

    def ready(self) -> dict[str, Any]:
        return dict(self.client.get("/readyz").json())

    def degraded(self) -> str:
        return "\n".join(self.ready()["degraded"])

    def goes_on(self, space: str) -> None:
        """A grant of a namespace reaches the ledger."""
        name = f"goes-on-{next(_numbers)}"
        self.grant(space, name, user="goes-on")
        until(lambda: name in self.ids(space), f"the ledger of {space} waits: {self.degraded()}")

    def well_goes_on(self) -> None:
        """A grant of the healthy namespace reaches the ledger."""
        self.goes_on(self.well)

    @contextmanager
    def raising(self, state: str, condition: str, event: str = "INSERT", table: str = "ledger") -> Iterator[None]:
        """Rows that meet a condition on `new` or `old` are refused with an SQLSTATE."""
        with self.trigger(f"RAISE EXCEPTION 'planted' USING ERRCODE = '{state}'", condition, event, table):
            yield

    @contextmanager
    def trigger(self, does: str, condition: str, event: str = "INSERT", table: str = "ledger") -> Iterator[None]:
        row = "old" if event == "DELETE" else "new"
        self._define(
            "CREATE FUNCTION planted() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
            f"IF {condition} THEN {does}; END IF; RETURN {row}; END $$; "
            f"CREATE TRIGGER planted BEFORE {event} ON {table} FOR EACH ROW EXECUTE FUNCTION planted()"
        )
        try:
            yield
        finally:
            self._define(f"DROP TRIGGER planted ON {table}; DROP FUNCTION planted")

    def _define(self, statements: str) -> None:
        """All or none of some statements. They lock each partition's table, in another order than those who read them:
        whom Postgres chooses to end such a deadlock begins again."""
        for _ in range(DEADLOCKS_MAX):
            try:
                self.sql(statements)
            except psycopg.errors.DeadlockDetected:
                continue
            return
        raise AssertionError(f"{DEADLOCKS_MAX} deadlocks, one after the other: {statements}")

    def leave(self) -> None:
        """Nothing is left for the tests that follow: what was set aside, and the namespaces whose rows tell of it."""
        self.stack.wait_flushed(60)
        for space in self.spaces:
            assert self.client.delete(f"/v1/namespaces/{space}?confirm={space}").status_code in (204, 404)
        self.sql("UPDATE dead_letters SET created_at = NULL, healed_seq = coalesce(healed_seq, seq)")

    def mended(self) -> None:
        """The ledger has everything, and no fault is reported any more."""
        self.stack.wait_flushed(60)
        until(lambda: "partition" not in self.degraded(), f"what is mended is told on: {self.degraded()}")


@contextmanager
def isolation(stack: Any) -> Iterator[Isolation]:
    """Two fresh namespaces of a system; nothing of them is left behind it."""
    with stack.client() as client, stack.store() as direct:
        iso = Isolation(stack, client, direct)
        yield iso
        iso.leave()
