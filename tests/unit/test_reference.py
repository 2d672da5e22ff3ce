"""The pages of the reference that are made from the code, and the tables that the code holds."""

import re

import msgspec
import pytest

from app.model.namespace import LOCKED, Rules
from app.settings import Settings
from tests.reference import FOLDER, PAGES, settings


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_the_code(name: str) -> None:
    assert (FOLDER / name).read_text() == PAGES[name](), "make limits"


def test_every_setting_has_its_meaning() -> None:
    rows = re.findall(r"^\| `LEADERBOARD_(\w+)` \| (.*) \| (.*) \|$", settings(), re.MULTILINE)
    assert [name.lower() for name, _, _ in rows] == list(Settings.__struct_encode_fields__)
    assert [name for name, _, meaning in rows if not meaning.strip()] == []


def test_the_table_of_rules_is_the_rules_and_tells_what_locks() -> None:
    page = (FOLDER / "namespaces.md").read_text().partition("| rule |")[2].partition("\n\n")[0]
    rows = [line.split("|") for line in page.splitlines() if line.startswith("| `")]
    locks = {name: row[-2].strip() for row in rows for name in re.findall(r"`(\w+)`", row[1])}
    assert set(locks) == set(Rules.__struct_fields__)
    assert {name for name, text in locks.items() if text == "locks"} == set(LOCKED)
    assert {name: text for name, text in locks.items() if text not in ("locks", "")} == {
        "ranking": "`dense` locks",
        "statistics": "only off",
        "bounded_sums": "only off",
        "seasons": "locks once begun",
    }


def test_the_table_of_rules_tells_the_defaults() -> None:
    """Those that are a plain value, as `GET` answers them."""
    page = (FOLDER / "namespaces.md").read_text()
    plain = {name: value for name, value in msgspec.to_builtins(Rules()).items() if isinstance(value, bool | int)}
    for name, value in plain.items():
        row = re.search(rf"^\| `{name}` \|.*$", page, re.MULTILINE)
        assert row is not None
        assert row[0].split("|")[-3].strip() == str(value).lower()
