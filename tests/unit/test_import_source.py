"""What an import reads: rows of each format with their lines, times, amounts and ids."""

import io
import json
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from itertools import chain, repeat
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest
import zstandard

from app.model.errors import Invalid
from app.transfer.import_batches import BATCH_ROWS_MAX, Order, PortionReader, batches_of
from app.transfer.import_mapping import GrantMapping, MappingOptions
from app.transfer.import_row_counts import RowCounts
from app.transfer.import_times import TimeReader, option_moment
from app.transfer.source import SourceOptions, open_source
from app.transfer.source_formats import ROW_BYTES_MAX, array_rows, csv_rows, ndjson_rows
from app.transfer.source_row import RowRefused, SourceFault, SourceRow


def stream(text: str | bytes) -> io.BufferedReader:
    return io.BufferedReader(io.BytesIO(text.encode() if isinstance(text, str) else text))


def lines_of(rows: Iterator[SourceRow]) -> list[tuple[int, bool]]:
    """Each row's line, and whether it could be read."""
    return [(row.line, row.fields is not None) for row in rows]


def test_the_lines_of_an_array_are_those_of_its_members() -> None:
    text = '[\n {"a": "x,]\\"}",\n  "b": [1, {"c": 2}]},\n\n  {"a": 1}, 7\n, {"a": "é"}]\n'
    assert lines_of(array_rows(stream(text))) == [(2, True), (5, True), (5, False), (6, True)]


@pytest.mark.parametrize(
    "text", ['[{"a": 1}', "x", '[{"a": "' + "b" * 3 * ROW_BYTES_MAX, "[1}", "[1]\n[2]", "[1]" + " " * 99_999 + "x"]
)
def test_an_array_that_is_none_is_a_fault(text: str) -> None:
    with pytest.raises(SourceFault):
        list(array_rows(stream(text)))


def test_an_array_may_be_cut_anywhere_between_two_reads() -> None:
    class Drops(io.RawIOBase):
        def __init__(self, text: bytes) -> None:
            self._text = text

        def readable(self) -> bool:
            return True

        def readinto(self, buffer: Any) -> int:
            drop, self._text = self._text[:1], self._text[1:]
            buffer[: len(drop)] = drop
            return len(drop)

    text = b'\xef\xbb\xbf [{"a": "\\\\\\"[{"}, {"a": {"b": "}"}},\n{"a": 2}]'
    rows = list(array_rows(io.BufferedReader(Drops(text), 1)))
    assert [row.fields["a"] for row in rows if row.fields] == [
        msgspec.Raw(text) for text in (b'"\\\\\\"[{"', b'{"b": "}"}', b"2")
    ]
    assert [row.line for row in rows] == [1, 1, 2]


def test_a_row_that_is_not_utf_8_leaves_the_others() -> None:
    text = b'{"a":1}\n{"a":"\xff"}\n{"a":2}\n'
    assert lines_of(ndjson_rows(stream(text))) == [(1, True), (2, False), (3, True)]
    assert lines_of(array_rows(stream(b'[{"a":1},{"a":"\xff"}]'))) == [(1, True), (1, False)]


def test_a_row_that_is_too_deep_leaves_the_others() -> None:
    text = '{"a":' + "[" * 100_000 + "]" * 100_000 + '}\n{"a":2}\n'
    assert lines_of(ndjson_rows(stream(text))) == [(1, False), (2, True)]


def test_a_cell_that_is_too_deep_leaves_the_others() -> None:
    mapping = GrantMapping(MappingOptions(namespace="n"))
    rows = [
        SourceRow(i, {"user_id": "u", "amount": "1", "meta": meta}, b"") for i, meta in enumerate(("[" * 9_999, "{}"))
    ]
    sent = [msgspec.json.decode(grant.body)["meta"] for row in rows if (grant := mapping.grant(row))]
    assert sent == ["[" * 9_999, {}]


@pytest.mark.parametrize("form", ["array", "csv"])
def test_a_value_over_several_lines_becomes_one(form: str) -> None:
    """Grants are sent with one a line."""
    meta = {"a b": [1.50, "x\ny"], "c": {}}
    if form == "array":
        rows = array_rows(stream(json.dumps([{"user_id": "u", "amount": 1, "meta": meta}], indent=2)))
    else:
        rows = iter([SourceRow(2, {"user_id": "u", "amount": "1", "meta": json.dumps(meta, indent=2)}, b"")])
    (grant,) = [GrantMapping(MappingOptions(namespace="n")).grant(row) for row in rows]
    assert grant is not None
    assert b"\n" not in grant.body
    assert msgspec.json.decode(grant.body)["meta"] == meta


@pytest.mark.parametrize("text", [b"\xff\xfea\0\n\0b", b"\xff\xfe\0\xd8a\0"])
def test_a_csv_of_another_encoding_is_a_fault(text: bytes) -> None:
    with pytest.raises(SourceFault, match="utf-16"):
        list(csv_rows(stream(text), ",", encoding="utf-16"))


@pytest.mark.parametrize(
    ("zone", "text"),
    [
        ("Europe/Berlin", "0001-01-01T00:00:00"),
        ("America/New_York", "9999-12-31T23:59:59"),
        ("UTC", "0001-01-01 00:00 +01:00"),
    ],
)
def test_a_local_time_beyond_all_years_is_refused(zone: str, text: str) -> None:
    with pytest.raises(RowRefused, match="is not a time"):
        TimeReader("iso", ZoneInfo(zone)).read(text)


def test_a_long_line_and_a_bad_one_leave_the_others() -> None:
    text = '{"a":1}\n{"a":"' + "x" * ROW_BYTES_MAX + '"}\n\nnonsense\n{"a":2}'
    assert lines_of(ndjson_rows(stream(text))) == [(1, True), (2, False), (4, False), (5, True)]


def test_the_lines_of_a_csv_are_those_of_the_file() -> None:
    text = "\ufeffa,b\n1,\"x\ny\"\n2\n'=3,'4\n"
    rows = list(csv_rows(stream(text), ","))
    assert [(row.line, row.fields) for row in rows] == [
        (2, {"a": "1", "b": "x\ny"}),
        (4, None),
        (5, {"a": "=3", "b": "'4"}),
    ]


def test_a_quote_that_never_closes_is_bounded() -> None:
    text = 'a,b\n1,"x\n' + "y,z\n" * 50_000
    rows = list(csv_rows(stream(text), ","))
    assert rows[0].fields is None
    assert rows[0].fault.startswith("lines 2 to ")
    assert rows[-1].fields == {"a": "y", "b": "z"}


class Repeated(io.RawIOBase):
    """A text, a piece so often, and another text, as a packed file of a few KB may hold them."""

    def __init__(self, head: bytes, piece: bytes, times: int, tail: bytes) -> None:
        self._pieces = chain([head], repeat(piece, times), [tail])

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        piece = next(self._pieces, b"")
        buffer[: len(piece)] = piece
        return len(piece)


def test_a_csv_with_a_line_of_many_megabytes_takes_little_memory() -> None:
    source: Any = io.BufferedReader(Repeated(b"a,b\n1,2\n", b"x" * 8_192, 4_000, b"\n3,4\n"), 16_384)
    tracemalloc.start()
    try:
        rows = list(csv_rows(source, ","))
        assert tracemalloc.get_traced_memory()[1] < 10 << 20
    finally:
        tracemalloc.stop()
    assert [(row.line, row.fields) for row in rows] == [(2, {"a": "1", "b": "2"}), (3, None), (4, {"a": "3", "b": "4"})]
    assert "longer than" in rows[1].fault


def test_a_row_of_many_lines_is_bounded() -> None:
    """Each of its cells is short, and closes its quote."""
    text = 'a,b\n"' + 'x\n","' * 300_000 + '"\n1,2\n'
    rows = list(csv_rows(stream(text), ","))
    assert max(len(row.text) for row in rows) < ROW_BYTES_MAX
    assert "longer than" in rows[0].fault


def test_columns_without_names_are_called_by_their_numbers() -> None:
    """As a spreadsheet leaves them at the end."""
    (row,) = csv_rows(stream("a,b,, \n1,2,,x\n"), ",")
    assert row.fields == {"a": "1", "b": "2", "column 3": "", "column 4": "x"}


def test_a_name_that_stands_twice_is_told() -> None:
    with pytest.raises(SourceFault, match="'b' stands twice"):
        list(csv_rows(stream("a,b,b\n1,2,3\n"), ","))


@pytest.mark.parametrize("text", ["", "a,a\n1,2\n"])
def test_a_header_is_needed(text: str) -> None:
    with pytest.raises(SourceFault):
        list(csv_rows(stream(text), ","))


@pytest.mark.parametrize(
    ("form", "text", "expected"),
    [
        ("iso", "2021-01-02T03:04:05Z", "2021-01-02T03:04:05Z"),
        ("iso", "2021-07-02 03:04", "2021-07-02T01:04:00Z"),
        ("iso", "2021-07-02", "2021-07-01T22:00:00Z"),
        ("iso", "2021-07-02 03:04:05.123456789", "2021-07-02T01:04:05.123456Z"),
        ("iso", "2021-07-02 03:04:05+00", "2021-07-02T03:04:05Z"),
        ("iso", "2021-07-02 03:04:05 UTC", "2021-07-02T03:04:05Z"),
        ("epoch", "1600000000", "2020-09-13T12:26:40Z"),
        ("epoch", "1600000000.5", "2020-09-13T12:26:40.500000Z"),
        ("epoch-ms", "1600000000001", "2020-09-13T12:26:40.001000Z"),
        ("epoch-ms", "1600000000001.5", "2020-09-13T12:26:40.001500Z"),
        ("%d/%m/%Y", "02/07/2021", "2021-07-01T22:00:00Z"),
        ("iso", "2021-03-28 02:30:00", "2021-03-28T01:30:00Z"),
        ("iso", "2021-10-31 02:30:00", "2021-10-31T00:30:00Z"),
    ],
)
def test_times(form: str, text: str, expected: str) -> None:
    assert TimeReader(form, ZoneInfo("Europe/Berlin")).read(text).text == expected


_NO_TIMES = [("iso", "yesterday"), ("epoch", "2021-01-01"), ("iso", "2021-13-01 00:00"), ("epoch", "\u0661\u0662")]


@pytest.mark.parametrize(("form", "text"), _NO_TIMES)
def test_what_is_no_time_is_refused(form: str, text: str) -> None:
    with pytest.raises(RowRefused):
        TimeReader(form, ZoneInfo("Europe/Berlin")).read(text)


@pytest.mark.parametrize(
    "text", ["2026-11-28 15:38:06.5+00", "2026-11-28T15:38:06.5Z", " 2026-11-28 16:38:06.5+01:00\n"]
)
def test_an_operator_gives_a_moment_as_psql_prints_it(text: str) -> None:
    assert option_moment(text, "--as-of") == datetime(2026, 11, 28, 15, 38, 6, 500_000, UTC)


@pytest.mark.parametrize("text", ["2026-11-28 15:38:06", "yesterday", "1789-07-14 12:00:00+00"])
def test_an_operators_moment_has_a_zone(text: str) -> None:
    with pytest.raises(Invalid):
        option_moment(text, "--as-of")


def test_a_time_without_an_offset_needs_a_zone() -> None:
    with pytest.raises(RowRefused, match="--timezone"):
        TimeReader().read("2021-07-02 03:04:05")


@pytest.mark.parametrize(
    ("sent", "amount"),
    [("+007", b"7"), ("-0.50", b"-0.50"), (" 1e3 ", b"1e3"), ("000", b"0"), ("1,5", b'"1,5"'), ("x", b'"x"')],
)
def test_amounts_keep_their_digits(sent: str, amount: bytes) -> None:
    mapping = GrantMapping(MappingOptions(namespace="n"))
    grant = mapping.grant(SourceRow(1, {"user_id": "a", "amount": sent}, sent.encode()))
    assert grant is not None
    assert msgspec.json.decode(grant.body, type=dict[str, msgspec.Raw])["amount"] == msgspec.Raw(amount)


def test_counts_of_rows_grow_with_them() -> None:
    counts = RowCounts()
    names = [(i << 21).to_bytes(8, "big") for i in range(1, 100_000)]
    assert {counts.next(name) for name in names} == {0}
    assert {counts.next(name) for name in names} == {1}


def rows_of(times: list[str], name: Callable[[int], str]) -> Iterator[SourceRow]:
    for i, at in enumerate(times):
        yield SourceRow(i + 1, {"grant_id": name(i), "user_id": "a", "amount": str(i), "granted_at": at}, b"")


@pytest.mark.parametrize("amount", ["1", None], ids=["grants", "refused rows"])
def test_a_portion_of_wide_rows_has_few(amount: str | None) -> None:
    """What no grant is made of lies in memory, too."""
    options = MappingOptions(namespace="n", template=None if amount else "{no such}")
    wide = (SourceRow(i, {"user_id": "u", "amount": "1"}, b"x" * (1 << 20)) for i in range(200))
    portion = PortionReader(wide, GrantMapping(options), 0).read(20_000)
    assert portion is not None
    assert portion.rows < 100


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda packed: packed[:-1], "cut off"),
        (lambda packed: packed[:-2_000], "cut off"),
        (lambda packed: packed + packed[:7], "cut off"),
        (lambda packed: packed + b"more", "broken"),
    ],
)
def test_a_zstd_that_is_cut_off_or_broken_is_a_fault(
    tmp_path: Path, change: Callable[[bytes], bytes], fault: str
) -> None:
    path, packed = tmp_path / "rows.zst", zstandard.compress(b"".join(b'{"a":%d}\n' % i for i in range(9_999)))
    path.write_bytes(change(packed))
    with pytest.raises(SourceFault, match=fault), closing(open_source(str(path), SourceOptions())) as source:
        list(source.rows)


def test_a_zstd_may_have_several_frames(tmp_path: Path) -> None:
    path, skipped = tmp_path / "rows.zst", b"\x50\x2a\x4d\x18\x04\0\0\0abcd"
    path.write_bytes(zstandard.compress(b'{"a":1}\n') + skipped + zstandard.compress(b'{"a":2}\n') + skipped)
    with closing(open_source(str(path), SourceOptions())) as source:
        assert [row.line for row in source.rows] == [1, 2]


def test_a_portion_goes_by_time_and_the_first_of_one_id_first() -> None:
    times = [f"20{20 - i % 10}-01-01T00:00:00Z" for i in range(BATCH_ROWS_MAX + 500)]
    reader = PortionReader(rows_of(times, lambda i: f"g{i % 1_400}"), GrantMapping(MappingOptions(namespace="n")), 7)
    portion = reader.read(10_000)
    assert portion is not None
    assert reader.read(10_000) is None
    batches = list(batches_of(portion, Order.ABOUT_TIME))
    assert [(len(batch.items), batch.portion is portion) for batch in batches] == [(1_000, False), (493, True)]
    items = [item for batch in batches for item in batch.items]
    sent = [item.grant.granted_at for item in items[:-93]]
    assert sent == sorted(sent)
    assert [item.row.line for item in items[-93:]] == list(range(1_408, 1_501))


def test_of_one_moment_the_row_that_was_read_first_goes_first_whatever_its_zone() -> None:
    times = [
        "2020-01-01T02:00:00+02:00",
        "2020-01-01T00:00:00Z",
        "2019-12-31T23:00:00Z",
        "2020-01-01T00:00:00.000Z",
        "",
    ]
    portion = PortionReader(rows_of(times, str), GrantMapping(MappingOptions(namespace="n")), 0).read(9)
    assert portion is not None

    def lines(order: Order) -> list[int]:
        return [item.row.line for batch in batches_of(portion, order) for item in batch.items]

    assert lines(Order.EXACT_TIME) == [3, 1, 2, 4, 5]
    assert lines(Order.AS_READ) == [1, 2, 3, 4, 5]
    assert lines(Order.ABOUT_TIME) != lines(Order.EXACT_TIME)


def test_json_in_a_text_is_an_object_and_a_number_in_one_is_a_number() -> None:
    """As the refused rows of a query or of a Parquet file have them."""
    row = SourceRow(
        1, msgspec.json.decode(b'{"amount": "+5", "meta": "{\\"a\\": 1}"}', type=dict[str, msgspec.Raw]), b""
    )
    grant = GrantMapping(MappingOptions(namespace="n")).grant(row)
    assert grant is not None
    assert {"amount": 5, "meta": {"a": 1}}.items() <= msgspec.json.decode(grant.body).items()
