"""`python -m tests.mutants`: breaks one rule of the code at a time, and expects tests to fail.

Works on a copy of the files that git knows, as they are now. First the tests of all chosen mutants pass in the copy;
then each mutant's tests fail in it, or the command names the mutant and ends with 1. Scripts run on fakeredis.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from shutil import copyfile
from typing import NamedTuple

from tests.mutants.mutant import Mutant
from tests.mutants.table import MUTANTS

ROOT = Path(__file__).parents[2]
#: Seconds that the tests of a mutant may take. A mutant may make them wait for ever.
TESTS_S_MAX = 300.0
#: Seconds that the tests of all mutants may take where nothing is broken.
ALL_TESTS_S_MAX = 1_800.0
#: Lines of what tests print that are shown where they fail and nothing is broken.
LINES = 40
#: What pytest answers where tests failed; other numbers mean that no test was run.
TESTS_FAILED = 1


class MutantError(Exception):
    """A mutant that says nothing about the tests. The text names it and the reason."""


def copy_tree(folder: Path) -> None:
    """Copies the files that git knows, or would take, as they are now."""
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    for name in subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines():
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            copyfile(ROOT / name, folder / name)


def broken(mutant: Mutant, text: str) -> str:
    """The file's text with the mutant's change. MutantError where the place is not there once."""
    if text.count(mutant.old) != 1:
        raise MutantError(f"{mutant.rule}: its place stands {text.count(mutant.old)} times in {mutant.path}")
    return text.replace(mutant.old, mutant.new)


class TestRun(NamedTuple):
    """How tests ended: pytest's exit code, and the end of what it printed."""

    code: int
    lines: str = ""


def run(folder: Path, tests: Iterable[str], seconds: float = TESTS_S_MAX) -> TestRun:
    """Runs some tests in the copy, up to the first that fails."""
    environment = os.environ | {"LUA_STORES": "fakeredis", "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *tests]
    try:
        done = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, timeout=seconds, check=False
        )
    except subprocess.TimeoutExpired:
        return TestRun(TESTS_FAILED, f"they did not end within {seconds:.0f} s")
    return TestRun(done.returncode, "\n".join(done.stdout.splitlines()[-LINES:]))


def survives(folder: Path, mutant: Mutant) -> bool:
    """Whether the mutant's tests pass in the copy with its change. MutantError where no test was run."""
    file = folder / mutant.path
    whole = file.read_text()
    file.write_text(broken(mutant, whole))
    try:
        code = run(folder, mutant.tests).code
    finally:
        file.write_text(whole)
    if code not in (0, TESTS_FAILED):
        raise MutantError(f"{mutant.rule}: pytest ended with {code}")
    return code == 0


def check(mutants: Sequence[Mutant]) -> int:
    """Prints a line a mutant; how many survived."""
    survivors = 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        copy_tree(folder)
        tests = sorted({test for mutant in mutants for test in mutant.tests})
        whole = run(folder, tests, ALL_TESTS_S_MAX)
        if whole.code != 0:
            raise MutantError(f"the tests fail where nothing is broken (pytest ended with {whole.code})\n{whole.lines}")
        for mutant in mutants:
            began = time.monotonic()
            alive = survives(folder, mutant)
            survivors += alive
            print(f"{'SURVIVED' if alive else 'caught'} {time.monotonic() - began:4.0f} s  {mutant.rule}", flush=True)
    return survivors


def main() -> int:
    """All mutants, or those whose rule has a word in it."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("word", nargs="?", default="", help="only the mutants whose rule or file has this in it")
    word = arguments.parse_args().word
    mutants = [mutant for mutant in MUTANTS if word in mutant.rule or word in mutant.path]
    survivors = check(mutants)
    print(f"{len(mutants) - survivors} of {len(mutants)} mutants are caught")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
