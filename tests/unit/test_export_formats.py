"""What an export's rows are in each format."""

import csv
import io
import json
import sys
from datetime import UTC, datetime

import pytest
from pyarrow import parquet

from app.transfer.export_formats import Format, FormatMissing, writer_of
from app.transfer.export_rows import split_board
from app.transfer.export_tables import TABLES

AT = datetime(2026, 11, 28, 9, 0, 0, 250_000, UTC)
ROWS = [
    ("f1", "=g1", "ann", -2.5, "red", None, None, None, AT, None, {"a": [1, "ü"]}, None),
    ("f1", "g2", "-bob", 0.000001, None, "race", "@7", None, AT, "s", None, True),
]
GRANTS = TABLES["grants"]


def written(form: Format, *, is_raw: bool = False) -> bytes:
    file = io.BytesIO()
    writer = writer_of(form, file, GRANTS, is_raw=is_raw)
    writer.write(ROWS)
    writer.write([])
    writer.close()
    return file.getvalue()


def test_a_line_of_ndjson_is_a_grant_as_the_api_takes_it() -> None:
    first, second = map(json.loads, written("ndjson").splitlines())
    assert first["granted_at"] == "2026-11-28T09:00:00.250000Z"
    assert (first["amount"], first["meta"], "opening" in first) == (-2.5, {"a": [1, "ü"]}, False)
    assert (second["amount"], second["user_id"], second["opening"]) == (0.000001, "-bob", True)


def test_cells_of_csv_are_exact_and_run_nowhere() -> None:
    names, first, second = csv.reader(io.StringIO(written("csv").decode(), newline=""))
    assert tuple(names) == GRANTS.names
    assert first[:4] == ["f1", "'=g1", "ann", "-2.5"]
    assert second[1:4] == ["g2", "'-bob", "0.000001"]
    assert (first[10], second[10], first[11], second[11]) == ('{"a":[1,"ü"]}', "", "", "true")
    assert b"'" not in written("csv", is_raw=True)


def test_parquet_has_types() -> None:
    rows = parquet.read_table(io.BytesIO(written("parquet"))).to_pylist()
    assert [row["grant_id"] for row in rows] == ["=g1", "g2"]
    assert [float(row["amount"]) for row in rows] == [-2.5, 0.000001]
    assert [row["granted_at"] for row in rows] == [AT, AT]
    assert [row["meta"] for row in rows] == ['{"a":[1,"ü"]}', None]


def test_a_library_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(FormatMissing, match=r"leaderboard-server\[parquet\]"):
        written("parquet")


@pytest.mark.parametrize(
    ("board", "parts"),
    [
        *(("all", ("all", None)), ("2026-11:red", ("2026-11", "red")), ("all:a:b", ("all", "a:b"))),
        *(
            ("season:s1", ("season:s1", None)),
            ("season:s1:red", ("season:s1", "red")),
            ("2026-11-04T13", ("2026-11-04T13", None)),
        ),
    ],
)
def test_a_boards_name_has_a_window_and_perhaps_a_category(board: str, parts: tuple[str, str | None]) -> None:
    assert split_board(board) == parts
