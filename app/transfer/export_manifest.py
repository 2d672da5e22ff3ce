"""What an export says of itself: which cut of the ledger it is, of what, how many rows, and their digest."""

from datetime import datetime

import msgspec

from ..store.ledger_snapshot import LedgerSnapshot, PartitionCut
from .export_rows import Selection


class CutPlace(msgspec.Struct, frozen=True):
    """The last entry of a partition that the export can hold."""

    partition: int
    epoch: int
    seq: int


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """Beside the file as `<file>.manifest.json`, or on stderr. cut: of each partition in which the namespaces lie;
    lost_users: by namespace, of how many users the ledger lost something that only boards and standings tell."""

    export: str
    deployment: str
    at: datetime
    namespaces: list[str]
    rows: int
    sha256: str
    cut: list[CutPlace]
    lost_users: dict[str, int]


async def manifest_of(what: str, snapshot: LedgerSnapshot, selection: Selection, *, rows: int, sha256: str) -> Manifest:
    """The manifest of an export that is done."""
    namespaces = selection.namespaces
    lost = await snapshot.fetch("count_users_with_lost_cells", list(namespaces))
    return Manifest(
        export=what,
        deployment=snapshot.deployment,
        at=snapshot.at,
        namespaces=sorted(namespace.name for namespace in namespaces.values()),
        rows=rows,
        sha256=sha256,
        cut=[_place(snapshot.cuts[p]) for p in selection.partitions],
        lost_users={namespaces[row["namespace_id"]].name: row["users"] for row in lost},
    )


def _place(cut: PartitionCut) -> CutPlace:
    return CutPlace(*cut)
