import gzip
from contextlib import closing
from decimal import Decimal
from pathlib import Path

import pytest

from app.model.errors import Invalid
from app.transfer.compare_legacy import LegacyColumns, LegacyRow, Unreadable, legacy_lines, parse_max_diff
from app.transfer.source import SourceOptions, open_source
from app.transfer.source_row import SourceFault

COLUMNS = LegacyColumns()
PACKED = gzip.compress(b"user_id,score\n" + b"ann,5\n" * 100, mtime=0)


def lines_of(folder: Path, text: bytes, columns: LegacyColumns = COLUMNS, encoding: str | None = None) -> list[object]:
    file = folder / "legacy"
    file.write_bytes(text)
    with closing(open_source(str(file), SourceOptions(encoding=encoding))) as source:
        return list(legacy_lines(source.rows, columns))


def test_a_table_of_another_system_is_read_as_it_comes(tmp_path: Path) -> None:
    text = b'\xef\xbb\xbfid;total;player\r\n1;"2.50";"o;tto"\r\n2; -3 ;\'=ann\r\n\r\n3;1e3;bob\r\n'
    assert lines_of(tmp_path, text, LegacyColumns("player", "total")) == [
        LegacyRow(2, "o;tto", Decimal("2.50")),
        LegacyRow(3, "=ann", Decimal(-3)),
        LegacyRow(5, "bob", Decimal(1000)),
    ]


def test_objects_are_read_to_the_digit(tmp_path: Path) -> None:
    rows = ('"ann","score":0.1000000000000000001', '7,"score":"2"', '"bob"', 'null,"score":1')
    text = "".join(f'{{"user_id":{row}}}\n' for row in rows).encode()
    ann, seven, *bad = lines_of(tmp_path, text)
    assert ann == LegacyRow(1, "ann", Decimal("0.1000000000000000001"))
    assert seven == LegacyRow(2, "7", Decimal(2))
    assert bad == [Unreadable(3, "has no 'score'"), Unreadable(4, "names no user")]
    array = b'[{"user_id":"ann","score":5}, {"user_id":"bob","score":{}}]'
    assert lines_of(tmp_path, array) == [LegacyRow(1, "ann", Decimal(5)), Unreadable(1, "'{}' is no number")]


def test_a_line_that_tells_no_score_is_named_and_the_next_is_read(tmp_path: Path) -> None:
    text = b"user_id,score\nann,\nbob,1,000\n,5\ncleo\nd\x01n,1\neve,NaN\nfay,1e99\nh\xfc,1\ngus,7\n"
    lines = lines_of(tmp_path, text)
    bad = [line for line in lines if isinstance(line, Unreadable)]
    assert [line.line for line in bad] == [2, 3, 4, 5, 6, 7, 8, 9]
    assert bad[2].reason == "names no user"
    assert lines[-1] == LegacyRow(10, "gus", Decimal(7))


@pytest.mark.parametrize(
    "text", ["1_000", "\u0661\u0662", "1,000", "1 000", "0x10", "--1", ".", "1e", "Infinity", "sNaN"]
)
def test_only_a_decimal_is_a_number(tmp_path: Path, text: str) -> None:
    """A number that another program would not read as we do is told, not guessed."""
    assert lines_of(tmp_path, f"user_id;score\nann;{text}\n".encode()) == [Unreadable(2, f"{text!r} is no number")]
    with pytest.raises(Invalid):
        parse_max_diff(text)


@pytest.mark.parametrize(("text", "number"), [("+5", "5"), ("5.", "5"), (".5", "0.5"), ("1E+3", "1000"), ("-0", "0")])
def test_numbers_come_as_programs_write_them(tmp_path: Path, text: str, number: str) -> None:
    assert lines_of(tmp_path, f"user_id;score\nann;{text}\n".encode()) == [LegacyRow(2, "ann", Decimal(number))]


def test_a_packed_table_and_another_encoding_are_read(tmp_path: Path) -> None:
    assert lines_of(tmp_path, gzip.compress(b"user_id,score\nann,5\n")) == [LegacyRow(2, "ann", Decimal(5))]
    latin = "user_id\tscore\nj\u00fcrgen\t5\n".encode("latin-1")
    assert lines_of(tmp_path, latin, encoding="latin-1") == [LegacyRow(2, "j\u00fcrgen", Decimal(5))]


@pytest.mark.parametrize(
    "text",
    [b"", b"name,score\nann,5\n", PACKED[:-12], PACKED[:20] + b"x" * 9],
    ids=["nothing", "no user", "cut off", "broken"],
)
def test_what_is_no_such_table_is_refused(tmp_path: Path, text: bytes) -> None:
    with pytest.raises(SourceFault):
        lines_of(tmp_path, text)


def test_a_dot_leads_into_an_object(tmp_path: Path) -> None:
    rows = ('"p":{"id":{"$oid":"a1"},"n":5}', '"p":{"n":5}', '"p":7', '"p.id.$oid":"whole","p":{"n":6}')
    text = "".join(f"{{{row}}}\n" for row in rows).encode()
    assert lines_of(tmp_path, text, LegacyColumns("p.id.$oid", "p.n")) == [
        LegacyRow(1, "a1", Decimal(5)),
        Unreadable(2, "has no 'p.id.$oid'"),
        Unreadable(3, "has no 'p.id.$oid'"),
        LegacyRow(4, "whole", Decimal(6)),
    ]
