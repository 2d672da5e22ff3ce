"""Parquet as a source: rows of every type of column, some at a time."""

import io
from collections.abc import Mapping
from contextlib import closing
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as arrow
import pytest
from pyarrow import parquet

from app.transfer.source import SourceOptions, open_source
from app.transfer.source_parquet import ROWS_AT_ONCE
from app.transfer.source_row import SourceFault

MOMENT = datetime(2026, 1, 2, 3, 4, 5, 678900, tzinfo=UTC)


def write(path: Path, table: Any, **options: Any) -> Path:
    parquet.write_table(table, path, **options)
    return path


def fields_of(path: Path) -> list[dict[str, str] | None]:
    with closing(open_source(str(path), SourceOptions())) as source:
        return [None if row.fields is None else texts_of(row.fields) for row in source.rows]


def texts_of(fields: Mapping[str, Any]) -> dict[str, str]:
    return {name: value if isinstance(value, str) else bytes(value).decode() for name, value in fields.items()}


def test_each_type_of_column_is_text_as_a_csv_has_it(tmp_path: Path) -> None:
    columns = {
        "text": ["a", None],
        "letters": arrow.array(["x", "y"]).dictionary_encode(),
        "whole": arrow.array([7, -1], arrow.int64()),
        "float": arrow.array([2.5, 1e30], arrow.float64()),
        "exact": arrow.array([Decimal("1.500000"), None], arrow.decimal128(20, 6)),
        "flag": [True, False],
        "day": [date(2026, 1, 2), None],
        "moment": arrow.array([MOMENT, None], arrow.timestamp("us", tz="UTC")),
        "local": arrow.array([MOMENT.replace(tzinfo=None), None], arrow.timestamp("ms")),
        "fine": arrow.array([1, 1_500], arrow.timestamp("ns", tz="UTC")),
        "bytes": arrow.array([b"abc", None], arrow.binary()),
        "object": [{"id": "p", "n": [1, 2]}, None],
        "list": [["a", "b"], []],
    }
    assert fields_of(write(tmp_path / "rows.parquet", arrow.table(columns))) == [
        {
            "text": "a",
            "letters": "x",
            "whole": "7",
            "float": "2.5",
            "exact": "1.500000",
            "flag": "true",
            "day": "2026-01-02",
            "moment": "2026-01-02T03:04:05.678900+00:00",
            "local": "2026-01-02T03:04:05.678000",
            "fine": "1970-01-01T00:00:00+00:00",
            "bytes": "abc",
            "object": '{"id":"p","n":[1,2]}',
            "list": '["a","b"]',
        },
        {
            "letters": "y",
            "whole": "-1",
            "float": "1e+30",
            "flag": "false",
            "fine": "1970-01-01T00:00:00.000001+00:00",
            "list": "[]",
        },
    ]


def test_rows_are_counted_through_all_groups(tmp_path: Path) -> None:
    count = 3 * ROWS_AT_ONCE + 1
    path = write(tmp_path / "any-name", arrow.table({"i": list(range(count))}), row_group_size=1_500)
    with closing(open_source(str(path), SourceOptions())) as source:
        assert source.position is not None
        assert (source.position.size, source.position.position) == (count, 0)
        rows = source.rows
        assert [next(rows).line for _ in range(2)] == [1, 2]
        assert source.position.position == 2
        assert sum(1 for _ in rows) == count - 2


def test_a_file_without_rows_has_none(tmp_path: Path) -> None:
    assert fields_of(write(tmp_path / "rows.parquet", arrow.table({"user_id": arrow.array([], arrow.string())}))) == []


def test_a_value_that_is_no_text_leaves_the_others(tmp_path: Path) -> None:
    table = arrow.table({"a": arrow.array([b"\xff\xfe", b"fine"], arrow.binary())})
    assert fields_of(write(tmp_path / "rows.parquet", table)) == [None, {"a": "fine"}]


def test_a_file_that_is_broken_is_a_fault(tmp_path: Path) -> None:
    path = write(tmp_path / "rows.parquet", arrow.table({"a": list(range(50_000))}), compression="snappy")
    whole = path.read_bytes()
    path.write_bytes(whole[:-20])
    with pytest.raises(SourceFault, match="is no Parquet file"):
        fields_of(path)
    path.write_bytes(whole[:500] + bytes(2_000) + whole[2_500:])
    with pytest.raises(SourceFault, match="is no Parquet file"):
        fields_of(path)


def test_it_is_read_from_a_plain_file_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "rows.parquet", arrow.table({"a": [1]}))
    with path.open("rb") as file:
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(file))
        with pytest.raises(SourceFault, match="from a file alone"):
            open_source("-", SourceOptions())
    csv = tmp_path / "rows.csv"
    csv.write_text("a\n1\n")
    with pytest.raises(SourceFault, match="is no Parquet file"):
        open_source(str(csv), SourceOptions("parquet"))
