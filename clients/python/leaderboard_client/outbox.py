"""An outbox: a grant is written into a table of your Postgres, in the transaction that earns it, and sent afterwards.

So a grant is recorded exactly if your transaction is, whatever dies in between. It is plain SQL: run `schema()` once,
run `insert()` in your transaction, and have a worker call `send_some` in a transaction of its own. psycopg and asyncpg
both work; nothing here opens a connection.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import msgspec

from .answers import BatchResult
from .calls import encode
from .errors import Problem
from .grant import Grant

#: Rows of one round: the server takes 1,000 grants at a time, and these are locked for as long as a call takes.
ROWS_MAX = 500
Row = Sequence[Any]
_decode = msgspec.json.Decoder(Grant).decode


class Sender(Protocol):
    """A client that blocks."""

    def grants(self, grants: Sequence[Grant], /) -> BatchResult:
        """Up to 1,000 grants, each with its namespace."""


class AsyncSender(Protocol):
    """A client for asyncio."""

    async def grants(self, grants: Sequence[Grant], /) -> BatchResult:
        """Up to 1,000 grants, each with its namespace."""


@dataclass(frozen=True, slots=True)
class Round:
    """What became of some rows. settled: were counted, now or before; refused: stay in the table with an `error`; open:
    are sent again. problem: why all of them are open."""

    settled: int = 0
    refused: int = 0
    open: int = 0
    problem: Problem | None = None

    @property
    def is_idle(self) -> bool:
        """Whether to wait a moment before the next round: there was nothing to send, or nothing could be sent."""
        return self.settled + self.refused == 0


class Outbox:
    """The statements of a table. table: its name, which is put into them as it is; style: how your driver writes
    parameters: `%s` for psycopg, `$1` for asyncpg."""

    def __init__(self, table: str = "leaderboard_outbox", *, style: Literal["%s", "$1"] = "%s") -> None:
        if not table.replace("_", "").replace(".", "").isalnum():
            raise ValueError("table: letters, digits, _ and a dot")
        self._table = table
        self._style = style

    def schema(self) -> str:
        """Makes the table, if it is not there."""
        return f"""
CREATE TABLE IF NOT EXISTS {self._table} (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  body jsonb NOT NULL,
  error text  -- Why the leaderboard refused it. Such a row stays: mend it, and set this to NULL, or delete it.
)"""

    def insert(self) -> str:
        """Adds a grant, by the parameters of `values`. Run it in the transaction that earns the grant."""
        return self._text(f"INSERT INTO {self._table} (body) VALUES (?::text::jsonb)")

    @staticmethod
    def values(namespace: str, grant: Grant) -> tuple[str]:
        """The parameters of `insert`. The grant gets the time of now if it has none, since it is sent later."""
        return (encode(grant.stamped(namespace)).decode(),)

    def send_some(
        self,
        client: Sender,
        fetch: Callable[[str, tuple[Any, ...]], Sequence[Row]],
        execute: Callable[[str, tuple[Any, ...]], object],
    ) -> Round:
        """Sends some rows and takes them out, in your transaction: commit it afterwards. fetch: runs a statement and
        gives its rows; execute: runs one. Start as many workers as you like: each row is taken by one of them."""
        rows = fetch(*self._take())
        if not rows:
            return Round()
        try:
            answer = client.grants([_decode(body) for _, body in rows])
        except Problem as problem:
            return Round(open=len(rows), problem=problem)
        round_, statements = self._settle(rows, answer)
        for statement in statements:
            execute(*statement)
        return round_

    async def send_some_async(
        self,
        client: AsyncSender,
        fetch: Callable[[str, tuple[Any, ...]], Awaitable[Sequence[Any]]],
        execute: Callable[[str, tuple[Any, ...]], Awaitable[object]],
    ) -> Round:
        """The same for asyncio."""
        rows = await fetch(*self._take())
        if not rows:
            return Round()
        try:
            answer = await client.grants([_decode(body) for _, body in rows])
        except Problem as problem:
            return Round(open=len(rows), problem=problem)
        round_, statements = self._settle(rows, answer)
        for statement in statements:
            await execute(*statement)
        return round_

    def _take(self) -> tuple[str, tuple[Any, ...]]:
        """The oldest rows that no other worker has."""
        return (
            self._text(
                f"SELECT id, body::text FROM {self._table} WHERE error IS NULL "
                "ORDER BY id LIMIT ?::integer FOR UPDATE SKIP LOCKED"
            ),
            (ROWS_MAX,),
        )

    def _settle(self, rows: Sequence[Row], answer: BatchResult) -> tuple[Round, list[tuple[str, tuple[Any, ...]]]]:
        """What became of the rows, and the statements that say so."""
        settled, refused, open_ = [], {}, 0
        for (number, _body), result in zip(rows, answer.results, strict=True):
            if result.error is None:
                settled.append(number)
            elif result.error.retryable:
                open_ += 1
            else:
                refused[number] = f"{result.error.code}: {result.error.detail}"
        statements: list[tuple[str, tuple[Any, ...]]] = []
        if settled:
            statements.append((self._text(f"DELETE FROM {self._table} WHERE id = ANY(?::bigint[])"), (settled,)))
        update = self._text(f"UPDATE {self._table} SET error = ? WHERE id = ?::bigint")
        statements += [(update, (error, number)) for number, error in refused.items()]
        return Round(len(settled), len(refused), open_), statements

    def _text(self, statement: str) -> str:
        """A statement in the driver's style."""
        first, *rest = statement.split("?")
        marks = ["%s"] * len(rest) if self._style == "%s" else [f"${i + 1}" for i in range(len(rest))]
        return first + "".join(mark + part for mark, part in zip(marks, rest, strict=True))
