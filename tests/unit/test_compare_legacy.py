import gzip
from decimal import Decimal
from pathlib import Path

import pytest

from app.transfer.compare_legacy import LegacyColumns, LegacyError, LegacyRow, Unreadable, read_csv


def lines_of(folder: Path, text: bytes, columns: LegacyColumns | None = None, delimiter: str = ",") -> list[object]:
    file = folder / "legacy.csv"
    file.write_bytes(text)
    return list(read_csv(file, columns or LegacyColumns(), delimiter))


def test_a_table_of_another_system_is_read_as_it_comes(tmp_path: Path) -> None:
    text = b'\xef\xbb\xbfid;total;player\r\n1;"2.50";"o;tto"\r\n2; -3 ;\'=ann\r\n\r\n3;1e3;bob\r\n'
    assert lines_of(tmp_path, text, LegacyColumns("player", "total"), ";") == [
        LegacyRow(2, "o;tto", Decimal("2.50")),
        LegacyRow(3, "=ann", Decimal(-3)),
        LegacyRow(5, "bob", Decimal(1000)),
    ]


def test_a_line_that_tells_no_score_is_named_and_the_next_is_read(tmp_path: Path) -> None:
    text = b"user_id,score\nann,\nbob,1,000\n,5\ncleo\nd\x00n,1\neve,NaN\nfay,1e99\ngus,7\n"
    lines = lines_of(tmp_path, text)
    bad = [line for line in lines if isinstance(line, Unreadable)]
    assert [line.line for line in bad] == [2, 4, 5, 6, 7, 8]
    assert bad[1].reason == "names no user"
    assert lines[-1] == LegacyRow(9, "gus", Decimal(7))


def test_a_packed_table_is_read(tmp_path: Path) -> None:
    file = tmp_path / "legacy.csv.gz"
    file.write_bytes(gzip.compress(b"user_id,score\nann,5\n"))
    assert list(read_csv(file, LegacyColumns(), ",")) == [LegacyRow(2, "ann", Decimal(5))]


def test_a_packed_table_without_its_end_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "legacy.csv.gz"
    file.write_bytes(gzip.compress(b"user_id,score\n" + b"ann,5\n" * 100)[:-12])
    with pytest.raises(LegacyError):
        list(read_csv(file, LegacyColumns(), ","))


@pytest.mark.parametrize("text", [b"", b"name,score\nann,5\n", b"user_id,score\nann,\xff\n"])
def test_what_is_no_such_table_is_refused(tmp_path: Path, text: bytes) -> None:
    with pytest.raises(LegacyError):
        lines_of(tmp_path, text)
