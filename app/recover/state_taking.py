"""What the parts of taking the state back from Redis share: the two states, what was changed since, and the report."""

from collections import Counter
from collections.abc import AsyncIterator, Collection, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TypeVar

from ..drivers.postgres import Fetch, Postgres, connect, queries
from ..drivers.redis import RedisConnection, RedisRefused
from ..model.namespace import Namespace
from ..store.redis_state import HighestVersions, PublishedName

T = TypeVar("T")
#: The advisory lock of who takes the state back.
STATE_LOCK = 0x6C62_0007
#: Seconds that Postgres may take to answer who has it.
_LOCK_S_MAX = 5.0
#: Rows of one transaction: a fraction of a second, and each raises the version of the state at its end.
ROWS_A_TRANSACTION_MAX = 200


@dataclass(slots=True)
class StateReport:
    """What came back from Redis. counts: objects by kind; sentences: what an operator has to know or to do; behind: why
    Postgres was the older one; None: it was not, and nothing was done."""

    behind: str | None = None
    counts: Counter[str] = field(default_factory=Counter)
    sentences: list[str] = field(default_factory=list)

    def lines(self) -> Iterator[str]:
        """The report, a line each."""
        if self.behind is None:
            yield "state: Postgres has all that Redis was told of"
            return
        counts = ", ".join(f"{kind} {count:,}" for kind, count in sorted(self.counts.items()) if count)
        yield f"state: taken back from Redis: {counts or 'nothing'}"
        yield from (f"  {sentence}" for sentence in self.sentences)


@dataclass(frozen=True, slots=True, kw_only=True)
class StateTaking:
    """One run. names: each namespace that Redis knows, by name; changed: what was changed on this Postgres since it was
    restored, as the journal has it (kind, id, namespace); whole: the partitions that Redis has lost nothing of: what
    any other one lacks tells nothing."""

    postgres: Postgres
    link: RedisConnection
    partitions: int
    names: dict[str, PublishedName]
    highest: HighestVersions
    whole: Collection[int]
    changed: Collection[tuple[str, str, int]]
    restored_micros: int
    report: StateReport

    @property
    def namespaces(self) -> list[Namespace]:
        """Those that are not deleted in Redis, by name."""
        return [name.namespace for _, name in sorted(self.names.items()) if name.namespace is not None]

    def is_whole(self, namespace_id: int) -> bool:
        """Whether Redis has lost nothing that it was told of a namespace (0: of the deployment, which is in each
        partition). False for one that is deleted. O(namespaces)."""
        if not namespace_id:
            return bool(self.whole)
        return any(one.id == namespace_id and one.partition in self.whole for one in self.namespaces)

    def is_changed(self, kind: str, number: int | str, namespace_id: int = 0) -> bool:
        """Whether it was changed on this Postgres since it was restored. O(1)."""
        return (kind, str(number), namespace_id) in self.changed

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Fetch]:
        """A transaction of Postgres. StoreUnavailable."""
        async with self.postgres.transaction() as fetch:
            yield fetch


@asynccontextmanager
async def take_alone(postgres_url: str) -> AsyncIterator[None]:
    """Keeps other processes from taking the state back meanwhile: what one has read is what it finds. RedisRefused
    where another one does; asyncpg's errors."""
    connection = await connect(postgres_url, _LOCK_S_MAX)
    try:
        if not await connection.fetchval(queries()["lock_state_taking"], STATE_LOCK):
            raise RedisRefused("another rebuild --from-redis takes the state back: wait for it, and run this again")
        yield
    finally:
        connection.terminate()


def slices(values: Sequence[T]) -> Iterator[Sequence[T]]:
    """Values of one transaction each."""
    return (values[i : i + ROWS_A_TRANSACTION_MAX] for i in range(0, len(values), ROWS_A_TRANSACTION_MAX))
