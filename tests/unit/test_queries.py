"""How the named queries are read from their files."""

from pathlib import Path

import pytest

from app.drivers.postgres import queries, read_queries

FILES = Path(__file__).parents[2] / "app" / "store" / "sql"


def folder_of(tmp_path: Path, **files: str) -> Path:
    """A folder with a `.sql` file for each of `files`."""
    for name, text in files.items():
        (tmp_path / f"{name}.sql").write_text(text)
    return tmp_path


def test_an_include_stands_for_a_text_of_any_file(tmp_path: Path) -> None:
    folder = folder_of(
        tmp_path,
        a="-- name: get_one\nSELECT 1\n-- include: condition\n;\n",
        b="-- name: condition\nWHERE\n  -- include: truth\n\n-- name: truth\ntrue\n",
    )
    assert read_queries(folder)["get_one"] == "SELECT 1\nWHERE\ntrue\n;"


@pytest.mark.parametrize(
    ("files", "fault"),
    [
        ({"a": "-- name: x\nSELECT 1\n\n-- name: x\nSELECT 2\n"}, "a.sql: there is another query named x"),
        ({"a": "-- name: x\nSELECT 1\n", "b": "-- name: x\nSELECT 2\n"}, "b.sql: there is another query named x"),
        ({"a": "SELECT 1\n"}, "a.sql: text before the first `-- name:`"),
        ({"a": "-- name: x\n-- include: y\n"}, "x includes y, which is unknown"),
        ({"a": "-- name: x\n-- include: y\n\n-- name: y\n-- include: x\n"}, "x includes itself"),
    ],
)
def test_a_name_is_refused_that_does_not_say_one_thing(tmp_path: Path, files: dict[str, str], fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        read_queries(folder_of(tmp_path, **files))


def test_no_include_is_left_in_a_query() -> None:
    assert not [name for name, text in queries().items() if "include:" in text]


def test_no_file_of_queries_is_too_long_to_read() -> None:
    assert {
        file.name: count for file in FILES.glob("*.sql") if (count := len(file.read_text().splitlines())) > 350
    } == {}
