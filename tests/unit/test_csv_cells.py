import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.model.csv_cells import plain_text, safe_text


@pytest.mark.parametrize("text", ["=1+1", "+49", "-5", "@home", "\tx", "\rx", "'=1", "''@"])
def test_a_text_that_a_spreadsheet_would_run_gets_a_quote(text: str) -> None:
    assert safe_text(text) == f"'{text}"


@pytest.mark.parametrize("text", ["", "a", "a=b", "'", "'a", "verstappen", "5", "ö"])
def test_any_other_text_stays_as_it_is(text: str) -> None:
    assert safe_text(text) == text
    assert plain_text(text) == text


@given(st.text(alphabet=st.sampled_from("'=+-@\t\rab\",\n")))
def test_a_text_comes_back_as_it_was(text: str) -> None:
    file = io.StringIO(newline="")
    csv.writer(file).writerow([safe_text(text), "end"])
    ((cell, _),) = csv.reader(io.StringIO(file.getvalue(), newline=""))
    assert plain_text(cell) == text
