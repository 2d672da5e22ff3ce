"""Each mutant fits the code as it is, and the command tells one that is caught from one that is not."""

from pathlib import Path

import pytest

from tests.mutants.__main__ import ROOT, MutantError, broken, survives
from tests.mutants.mutant import Mutant
from tests.mutants.table import MUTANTS


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.rule)
def test_a_mutant_fits_the_code_and_its_tests_are_there(mutant: Mutant) -> None:
    whole = (ROOT / mutant.path).read_text()
    assert broken(mutant, whole) != whole
    assert [name for name in mutant.tests if not _is_there(name)] == []


def _is_there(name: str) -> bool:
    """A file of tests, or a test that stands in its file."""
    path, _, function = name.partition("::")
    file = ROOT / path
    return file.exists() and (not function or f"def {function}(" in file.read_text())


def test_a_rule_is_named_once() -> None:
    rules = [mutant.rule for mutant in MUTANTS]
    assert len(rules) == len(set(rules)) >= 25


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    (tmp_path / "code.py").write_text("LIMIT = 5\nUNUSED = 7\n")
    (tmp_path / "test_code.py").write_text("from code_ import *\n")
    (tmp_path / "test_limit.py").write_text(
        "from pathlib import Path\n\n\ndef test_limit():\n    assert 'LIMIT = 5' in Path('code.py').read_text()\n"
    )
    return tmp_path


@pytest.mark.parametrize(("old", "new", "is_alive"), [("LIMIT = 5", "LIMIT = 6", False), ("= 7", "= 8", True)])
def test_a_mutant_survives_where_no_test_holds_its_rule(folder: Path, old: str, new: str, is_alive: bool) -> None:
    before = (folder / "code.py").read_text()
    assert survives(folder, Mutant("a limit", "code.py", old, new, ("test_limit.py",))) is is_alive
    assert (folder / "code.py").read_text() == before


@pytest.mark.parametrize(
    ("old", "tests", "words"),
    [
        ("LIMIT = 4", "test_limit.py", "its place stands 0 times in code.py"),
        ("LIMIT = 5", "test_nothing.py", "pytest ended with"),
        ("LIMIT = 5", "test_code.py", "pytest ended with"),
    ],
    ids=["no such place", "no such test", "a test that cannot be read"],
)
def test_a_mutant_that_says_nothing_is_no_catch(folder: Path, old: str, tests: str, words: str) -> None:
    with pytest.raises(MutantError, match=words):
        survives(folder, Mutant("a limit", "code.py", old, "LIMIT = 6", (tests,)))
