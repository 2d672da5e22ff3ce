"""Reads rows in portions, and makes batches of grants of each portion."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum
from typing import NamedTuple

from .import_grant_ids import GrantIds
from .import_mapping import GrantMapping, MappedGrant
from .import_refusals import Refusal
from .import_times import moment_of
from .source_row import RowRefused, SourceFault, SourceRow

#: Rows of a batch: the server plans so many in some 50 ms, and a refusal is found soon.
BATCH_ROWS_MAX = 1_000
#: Bytes of a batch: within what the server takes of lines.
BATCH_BYTES_MAX = 8 << 20
#: Rows that are put into the order of time before they are sent: a call of Redis then meets few boards. Two portions
#: are in memory, some 70 MB.
PORTION_ROWS = 20_000
#: Bytes of a portion's rows and of their grants, where they are large: a row may have much that no grant is made of.
PORTION_BYTES_MAX = 64 << 20


class Order(Enum):
    """The order in which the grants of a portion are sent.

    ABOUT_TIME: of time, by the text: times of several zones are a little out of order, which costs little. EXACT_TIME:
    of time; those of one moment as they were read. AS_READ: as they were read."""

    ABOUT_TIME, EXACT_TIME, AS_READ = range(3)


class Item(NamedTuple):
    """A row that became a grant. own_id: the id that the importer made for it, else empty."""

    row: SourceRow
    own_id: str
    grant: MappedGrant


@dataclass(slots=True)
class Portion:
    """Some rows one after the other. rows: of the source up to its end; position: how far the source is read there, in
    its own measure; names: of namespaces."""

    rows: int = 0
    position: int = 0
    items: list[Item] = field(default_factory=list)
    names: set[str] = field(default_factory=set)
    refusals: list[Refusal] = field(default_factory=list)
    left_out: int = 0


@dataclass(slots=True)
class Batch:
    """Grants that are sent together. portion: whose last one it is, else None."""

    items: list[Item] = field(default_factory=list)
    ids: set[str] = field(default_factory=set)
    portion: Portion | None = None


class PortionReader:
    """Reads the rows behind those that are done. The mapping sees all: later ids depend on earlier rows."""

    def __init__(
        self, rows: Iterator[SourceRow], mapping: GrantMapping, done: int, ids: GrantIds | None = None
    ) -> None:
        """ids: where the ids of all rows are noted."""
        self._ids = ids
        self._rows = rows
        self._mapping = mapping
        self._done = done
        self._number = 0

    def read(self, rows_max: int) -> Portion | None:
        """The next rows; None at the end. Runs in a thread. SourceFault. O(rows), the first time those done, too."""
        portion, size = Portion(), 0
        for row in self._rows:
            self._number += 1
            is_done = self._number <= self._done
            portion.rows = self._number
            try:
                grant = self._mapping.grant(row)
                if self._ids is not None and self._mapping.grant_id:
                    self._ids.add(self._mapping.grant_id, row.line)
            except RowRefused as refusal:
                if self._ids is not None:
                    self._ids.add(self._mapping.grant_id, row.line)
                if not is_done:
                    portion.refusals.append(Refusal(row, refusal.code, refusal.reason, self._mapping.own_id))
                    size += len(row.text)
            else:
                if is_done:
                    continue
                if grant is None:
                    portion.left_out += 1
                    continue
                portion.items.append(Item(row, self._mapping.own_id, grant))
                portion.names.add(grant.namespace)
                size += len(row.text) + len(grant.body)
            if len(portion.items) + len(portion.refusals) >= rows_max or size >= PORTION_BYTES_MAX:
                return portion
        if self._number < self._done:
            raise SourceFault(
                f"has only {self._number:,} rows, of {self._done:,} that were imported before: is it another source, or"
                " cut off? Give --restart to begin anew"
            )
        return portion if portion.rows > self._done else None


def batches_of(portion: Portion, order: Order) -> Iterator[Batch]:
    """The grants of a portion; of two with one id the first one goes before the other. The last batch has the portion.
    O(rows × log rows)."""
    items = portion.items if order is Order.AS_READ else _by_time(portion.items, is_exact=order is Order.EXACT_TIME)
    batch, size = Batch(), 0
    for item in items:
        if len(batch.items) >= BATCH_ROWS_MAX or size >= BATCH_BYTES_MAX:
            yield batch
            batch, size = Batch(), 0
        batch.items.append(item)
        batch.ids.add(item.grant.name)
        size += len(item.grant.body)
    batch.portion = portion
    yield batch


def _by_time(items: list[Item], *, is_exact: bool) -> list[Item]:
    seen: set[str] = set()
    firsts: list[Item] = []
    others: list[Item] = []
    for item in items:
        (others if item.grant.name in seen else firsts).append(item)
        seen.add(item.grant.name)
    return [*sorted(firsts, key=_moment if is_exact else _text), *others]


def _text(item: Item) -> str:
    return item.grant.granted_at


def _moment(item: Item) -> datetime:
    """Where one counts from two of the same moment, the one that was read first goes first. A row without a time gets
    that of its arrival: the order among such rows stays."""
    moment = moment_of(item.grant.granted_at)
    if moment is None:
        return datetime.max.replace(tzinfo=UTC)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
