"""All that is kept of one person, as one JSON object: profile, scores, and every revision of every grant."""

from typing import BinaryIO

import msgspec

from ..store.ledger_snapshot import LedgerSnapshot
from .export_rows import Row, Selection, profile_row, revision_row, standing_row
from .export_tables import TABLES, What

_encode = msgspec.json.Encoder().encode


async def write_person(snapshot: LedgerSnapshot, selection: Selection, user: str, number: int, file: BinaryIO) -> None:
    """Writes `{"user_id", "at", "profiles": […], "standings": […], "revisions": […]}`, each with the columns of the
    export of that name. A profile without a namespace is the deployment's. O(the user's entries), a grant at a time."""
    names = {id: namespace.name for id, namespace in selection.namespaces.items()}
    file.write(b'{"user_id":%b,"at":%b' % (_encode(user), _encode(snapshot.at)))
    profiles = await snapshot.fetch("export_profiles_of_user", number)
    own = [row for row in profiles if row["namespace_id"] == 0 or row["namespace_id"] in names]
    _write(file, "profiles", [profile_row(names.get(row["namespace_id"]), row) for row in own])
    standings = [
        row for row in await snapshot.fetch("export_standings_of_user", number) if row["namespace_id"] in names
    ]
    rows = [standing_row(selection.namespaces[row["namespace_id"]], row) for row in standings]
    _write(file, "standings", rows)
    file.write(b',"revisions":[')
    comma = b"\n"
    for standing in standings:
        async for some in snapshot.rows("export_revisions_of_user", standing["namespace_id"], number):
            for row in some:
                file.write(comma + _encode(TABLES["revisions"].members(revision_row(selection.namespaces, row))))
                comma = b",\n"
    file.write(b"\n]}\n")


def _write(file: BinaryIO, what: What, rows: list[Row]) -> None:
    file.write(b',"%b":%b' % (what.encode(), _encode([TABLES[what].members(row) for row in rows])))
