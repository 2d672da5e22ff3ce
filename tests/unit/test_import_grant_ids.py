"""Which grants of the server a source names."""

from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

from app.transfer.import_batches import PortionReader
from app.transfer.import_grant_ids import GrantIds, ServerGrant
from app.transfer.import_mapping import GrantMapping, MappingOptions
from app.transfer.source_row import SourceRow

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)


def grant(i: int) -> ServerGrant:
    return ServerGrant(BEGAN + timedelta(seconds=i), f"g{i}", 1)


def test_what_no_row_names_is_missing(tmp_path: Path) -> None:
    with closing(GrantIds(tmp_path)) as ids:
        for i in range(5_000):
            ids.add(f"g{i}", i)
            ids.add(f"g{i}", i)
        for i in range(4_990, 5_010):
            ids.look_up(grant(i))
        assert sorted(ids.missing()) == [grant(i) for i in range(5_000, 5_010)]
        assert (ids.named, ids.unnamed) == (10_000, 0)


def test_rows_that_are_left_out_or_refused_are_named_all_the_same(tmp_path: Path) -> None:
    rows = [
        SourceRow(2, {"id": "in", "user_id": "u", "amount": "1", "at": "2026-01-05T00:00:00Z"}, b"a"),
        SourceRow(3, {"id": "before", "user_id": "u", "amount": "1", "at": "2025-01-05T00:00:00Z"}, b"b"),
        SourceRow(4, {"id": "bad-time", "user_id": "u", "amount": "1", "at": "yesterday"}, b"c"),
        SourceRow(5, None, b"d", "is no row"),
        SourceRow(6, {"id": "in-2", "user_id": "u", "amount": "1", "at": "2026-01-03T00:00:00Z"}, b"e"),
    ]
    options = MappingOptions({"grant_id": "id", "granted_at": "at"}, namespace="n", since=BEGAN)
    mapping = GrantMapping(options)
    with closing(GrantIds(tmp_path)) as ids:
        # Two rows are done by an import that was killed, and are named again.
        portion = PortionReader(iter(rows), mapping, 2, ids).read(100)
        assert portion is not None
        assert [item.grant.grant_id for item in portion.items] == ["in-2"]
        assert (ids.named, ids.unnamed, ids.line) == (4, 1, 5)
        for name in ("in", "before", "bad-time", "in-2", "other"):
            ids.look_up(ServerGrant(BEGAN, name, 1))
        assert [one.grant_id for one in ids.missing()] == ["other"]
    assert mapping.latest == datetime(2026, 1, 5, tzinfo=UTC)


def test_a_template_names_rows_that_are_left_out(tmp_path: Path) -> None:
    rows = [
        SourceRow(2, {"n": "1", "user_id": "u", "amount": "1", "granted_at": "2025-01-05 00:00:00Z"}, b"a"),
        SourceRow(3, {"user_id": "u", "amount": "1", "granted_at": "2025-01-05 00:00:00Z"}, b"b"),
        SourceRow(4, {"user_id": "u", "amount": "1", "granted_at": "2026-01-05 00:00:00Z"}, b"c"),
    ]
    mapping = GrantMapping(MappingOptions(namespace="n", template="{granted_at}/{n}", since=BEGAN))
    with closing(GrantIds(tmp_path)) as ids:
        portion = PortionReader(iter(rows), mapping, 0, ids).read(100)
        assert portion is not None
        assert (portion.left_out, len(portion.refusals)) == (2, 1)
        assert (ids.named, ids.unnamed, ids.line) == (1, 1, 4)
        ids.look_up(ServerGrant(BEGAN, "2025-01-05T00:00:00Z/1", 1))
        assert list(ids.missing()) == []
