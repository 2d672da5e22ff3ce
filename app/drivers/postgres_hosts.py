"""The hosts of a Postgres URL: every connection goes to the one that takes writes."""

from time import monotonic
from typing import Any

import asyncpg

from ..model.postgres_url import target_of, urls_of_hosts
from .postgres_connection import PostgresConnection
from .store_contact import address_of

#: How a host fails that another one may stand in for: it is away, it starts or ends, it is a standby.
_PASSED_OVER = (
    *(OSError, TimeoutError, asyncpg.PostgresConnectionError),
    *(asyncpg.CannotConnectNowError, asyncpg.TargetServerAttributeNotMatched),
)


class NoWritableHost(ConnectionError):
    """Some host answers, and none takes writes. The text names each with its reason."""


class PostgresHosts:
    """The hosts of one URL. The one that took the last connection is asked first, so that a host that is away costs a
    process its share of the time once."""

    def __init__(self, url: str) -> None:
        self._urls = urls_of_hosts(url)
        self._target: Any = target_of(url)
        self._last = 0

    async def connect(self, *_: Any, timeout: float, **options: Any) -> asyncpg.Connection:
        """A connection to a host that takes writes, within `timeout` seconds for all hosts. options: as
        `asyncpg.connect` takes them. NoWritableHost; where none answers the last one's error; asyncpg's other errors.
        O(hosts)."""
        until = monotonic() + timeout
        options["connection_class"] = PostgresConnection
        failures: dict[int, BaseException] = {}
        order = [*range(self._last, len(self._urls)), *range(self._last)]
        for tried, host in enumerate(order):
            seconds = max(0.001, (until - monotonic()) / (len(order) - tried))
            try:
                connection: asyncpg.Connection = await asyncpg.connect(
                    self._urls[host], timeout=seconds, target_session_attrs=self._target, **options
                )
            except _PASSED_OVER as error:
                failures[host] = error
            else:
                self._last = host
                return connection
        raise self._failure(failures)

    def _failure(self, failures: dict[int, BaseException]) -> BaseException:
        last = list(failures.values())[-1]
        if not any(isinstance(error, asyncpg.TargetServerAttributeNotMatched) for error in failures.values()):
            return last
        reasons = (f"{address_of(self._urls[host])} {_reason(error)}" for host, error in sorted(failures.items()))
        return NoWritableHost(f"no host of Postgres takes writes: {', '.join(reasons)}")


def _reason(error: BaseException) -> str:
    if isinstance(error, asyncpg.TargetServerAttributeNotMatched):
        return "is a standby"
    if isinstance(error, asyncpg.CannotConnectNowError):
        return f"is not ready ({error})"
    return "does not answer"
