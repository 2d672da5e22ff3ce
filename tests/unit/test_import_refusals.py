"""The file of refused rows: what is written there can be read again."""

from pathlib import Path

import pytest

from app.transfer.import_refusals import CsvForm, Refusal, RefusalFile
from app.transfer.source_row import SourceRow


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig", "utf-8"])
def test_a_byte_order_mark_stands_once_also_after_a_kill(tmp_path: Path, encoding: str) -> None:
    path, form, size = tmp_path / "refused.csv", CsvForm(",", encoding, is_raw=False), 0
    for line in (2, 3):
        file = RefusalFile(path, form, size=size)
        file.add(Refusal(SourceRow(line, {"user_id": f"u{line}", "amount": "x"}, b""), "invalid", "no"))
        file.close()
        size = file.size
    text = path.read_bytes().decode(encoding)
    assert "\ufeff" not in text
    assert [row.split(",")[0] for row in text.splitlines()] == ["user_id", "u2", "u3"]


def test_what_the_encoding_does_not_know_is_told_as_an_escape(tmp_path: Path) -> None:
    path = tmp_path / "refused.csv"
    file = RefusalFile(path, CsvForm(",", "cp1252", is_raw=False))
    file.add(Refusal(SourceRow(2, {"user_id": "Zo\u00eb"}, b""), "invalid", "not \u0142, but l"))
    file.add(Refusal(SourceRow(3, None, b"a,\x81,c"), "invalid", "3 cells"))
    file.close()
    rows = path.read_bytes().decode("cp1252").splitlines()
    assert rows[1].split(",")[0] == "Zo\u00eb"
    assert "not \\u0142" in rows[1]
    assert rows[2].startswith(",")
