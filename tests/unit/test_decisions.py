"""The records of docs/decisions: each has a number of its own, and who names a record names one that is there."""

import re
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
RECORDS = sorted((ROOT / "docs/decisions").glob("*.md"))
NUMBERS = [int(path.name[:4]) for path in RECORDS]
_NAMED = re.compile(r"\bdecisions? (\d+(?:(?:, | and )\d+)*)\b", re.IGNORECASE)
_READERS = ("app/**/*.py", "app/**/*.sql", "lua/**/*.lua", "docs/**/*.md", "tests/**/*.py", "deploy/*", "*.md")


def named_in(text: str) -> list[int]:
    """The numbers of the records that a text names: `decision 7`, `decisions 3, 8 and 13`."""
    text = re.sub(r"\n(-- |# |#: )?\s*", " ", text)
    return [int(number) for numbers in _NAMED.findall(text) for number in re.findall(r"\d+", numbers)]


def test_no_two_records_have_one_number() -> None:
    assert [number for number, count in Counter(NUMBERS).items() if count > 1] == []


@pytest.mark.parametrize("path", RECORDS, ids=lambda path: path.stem)
def test_a_record_says_what_it_is_worth_and_what_was_decided(path: Path) -> None:
    text = path.read_text()
    assert re.fullmatch(r"\d{4}(-[a-z0-9]+)+\.md", path.name)
    assert re.search(r"^\*\*Status:\*\* (accepted|replaced|withdrawn), 20\d\d-\d\d-\d\d", text, re.MULTILINE)
    assert "**Decision.**" in text


def test_every_record_that_is_named_is_there() -> None:
    paths = [path for pattern in _READERS for path in ROOT.glob(pattern) if path.name != "test_decisions.py"]
    named = [(path.relative_to(ROOT).as_posix(), number) for path in paths for number in named_in(path.read_text())]
    assert len(named) > 10, "the rule finds them"
    assert [(path, number) for path, number in named if number not in NUMBERS] == []


def test_numbers_are_read_from_sentences() -> None:
    assert named_in("see decision 7, and decisions 3,\n8 and 13; decision of 2026") == [7, 3, 8, 13]
