"""The files of an import beside its source: state and refused rows, in the hands of a careless operator."""

import io
import os
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from app.transfer.export_output import open_output
from app.transfer.import_batches import PortionReader
from app.transfer.import_mapping import GrantMapping, MappingOptions
from app.transfer.import_refusals import Refusal, RefusalFile
from app.transfer.import_state import ImportState, StateFile
from app.transfer.source import SourceOptions, open_source
from app.transfer.source_file import SourceIdentity
from app.transfer.source_row import SourceFault, SourceRow

SOURCE = SourceIdentity("rows.csv", 1, 2, "x")


def load(path: Path, *, is_restart: bool = False) -> StateFile:
    file = StateFile(path)
    try:
        file.load(SOURCE, "", is_restart=is_restart)
    except SourceFault:
        file.close()
        raise
    return file


def refuse(path: Path, reason: str, size: int = 0) -> int:
    """Writes a refused row, and returns the size of the file."""
    with closing(RefusalFile(path, None, size=size)) as file:
        file.add(Refusal(SourceRow(1, {}, b""), "invalid", reason))
        file.flush()
        return file.size


@pytest.fixture
def fifo(tmp_path: Path) -> Iterator[Path]:
    """What is no file, as /dev/null is none."""
    path = tmp_path / "fifo"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDWR | os.O_NONBLOCK)
    yield path
    assert path.is_fifo(), "a file took its place"
    os.close(reader)


def test_a_state_has_one_import_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "state"
    for end in (StateFile.close, StateFile.remove):
        one = load(path)
        for _ in range(2):
            with pytest.raises(SourceFault, match="another import"):
                load(path, is_restart=True)
            one.save(ImportState(SOURCE, "", rows=7))
        end(one)
        two = StateFile(path)
        assert two.load(SOURCE, "", is_restart=False).rows == (7 if end is StateFile.close else 0)
        two.remove()
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_state_is_not_written_over(tmp_path: Path, fifo: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("user_id,amount\nann,1\n")
    for other in (path, fifo):
        with pytest.raises(SourceFault, match="another --state"):
            load(other, is_restart=True)
    assert path.read_text().startswith("user_id")


def test_a_state_that_cannot_be_written_is_told_before_anything_is_sent(tmp_path: Path) -> None:
    with pytest.raises(SourceFault, match="cannot write the state"):
        load(tmp_path / "none" / "state")


def test_refused_rows_that_were_mended_are_not_written_over(tmp_path: Path) -> None:
    path = tmp_path / "refused"
    for reason in ("one", "one", "two", "three", "three"):
        refuse(path, reason)
    others = {file.name: "one" in file.read_text() for file in tmp_path.iterdir()}
    assert others == {"refused": False, "refused.before": True, "refused.before-2": False, "refused.before-3": False}


def test_two_imports_do_not_write_one_file_of_refused_rows(tmp_path: Path) -> None:
    path = tmp_path / "refused"
    with closing(RefusalFile(path, None)) as file:
        file.add(Refusal(SourceRow(1, {}, b""), "invalid", "one"))
        file.flush()
        for size in (0, 5):
            with pytest.raises(SourceFault, match="another import"):
                RefusalFile(path, None, size=size)
    assert "one" in path.read_text()


def test_refused_rows_that_somebody_took_out_are_missed(tmp_path: Path) -> None:
    path = tmp_path / "refused"
    size = refuse(path, "one")
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(SourceFault, match="shorter"):
        RefusalFile(path, None, size=size)


def test_refused_rows_may_go_to_what_is_no_file(fifo: Path) -> None:
    assert refuse(fifo, "one")


def test_a_full_disk_is_told_with_the_file(tmp_path: Path) -> None:
    path = tmp_path / "refused"
    path.symlink_to("/dev/full")
    with pytest.raises(SourceFault, match=r"cannot write .*refused: No space"):
        refuse(path, "one")


def test_an_export_may_go_to_what_is_no_file(fifo: Path) -> None:
    with open_output(fifo, io.BytesIO(), is_gzip=False) as out:
        out.file.write(b"row")


def test_a_source_with_fewer_rows_than_were_imported_is_told() -> None:
    rows = (SourceRow(i, {"user_id": "u", "amount": "1"}, b"") for i in range(5))
    with pytest.raises(SourceFault, match="only 5 rows, of 6 "):
        PortionReader(rows, GrantMapping(MappingOptions(namespace="n")), 6).read(10)


def grow(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"u,2\n")


def write_anew(path: Path) -> None:
    path.write_text("a")


@pytest.mark.parametrize("change", [grow, write_anew])
def test_a_file_that_changes_while_it_is_read_is_told(tmp_path: Path, change: Callable[[Path], Any]) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("user_id,amount\n" + "u,1\n" * 200_000)
    with closing(open_source(str(path), SourceOptions())) as source:
        next(source.rows)
        change(path)
        with pytest.raises(SourceFault, match=r"rows\.csv has changed"):
            list(source.rows)


def test_a_file_that_another_one_replaces_is_read_to_its_end(tmp_path: Path) -> None:
    path, other = tmp_path / "rows.csv", tmp_path / "other.csv"
    path.write_text("user_id,amount\n" + "u,1\n" * 9)
    with closing(open_source(str(path), SourceOptions())) as source:
        next(source.rows)
        other.write_text("x")
        other.replace(path)
        assert len(list(source.rows)) == 8
