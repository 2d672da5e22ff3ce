"""Entries that were acknowledged and are not in the history that goes on: a log that was set aside."""

from collections.abc import AsyncIterator

from ..drivers.redis import RedisConnection, ask
from ..persist.ledger_row import LedgerRow, read_row
from ..store.log_format import parse_place
from ..store.rebuilds import aside_page_call

#: Entries of a page: some ms of Redis.
ENTRIES_A_PAGE = 1_000


async def aside_rows(link: RedisConnection, p: int, epoch: int) -> AsyncIterator[LedgerRow]:
    """The entries of the log that was set aside before an epoch, in order. O(entries)."""
    place = (0, 0)
    while page := await ask(link, aside_page_call(p, epoch, place=place, count=ENTRIES_A_PAGE)):
        for stream_id, fields in page:
            yield read_row(p, stream_id, fields)
        place = parse_place(page[-1][0])
