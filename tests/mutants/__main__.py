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

from tests.mutants.mutant import Mutant
from tests.mutants.table import MUTANTS

ROOT = Path(__file__).parents[2]
#: Seconds that the tests of a mutant may take. A mutant may make them wait for ever.
TESTS_S_MAX = 300.0
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


def run(folder: Path, tests: Iterable[str]) -> int:
    """pytest's exit code for some tests in the copy, up to the first that fails."""
    environment = os.environ | {"LUA_STORES": "fakeredis", "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *tests]
    try:
        done = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, timeout=TESTS_S_MAX, check=False
        )
    except subprocess.TimeoutExpired:
        return TESTS_FAILED
    return done.returncode


def survives(folder: Path, mutant: Mutant) -> bool:
    """Whether the mutant's tests pass in the copy with its change. MutantError where no test was run."""
    file = folder / mutant.path
    whole = file.read_text()
    file.write_text(broken(mutant, whole))
    try:
        code = run(folder, mutant.tests)
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
        code = run(folder, sorted({test for mutant in mutants for test in mutant.tests}))
        if code != 0:
            raise MutantError(f"the tests fail where nothing is broken (pytest ended with {code})")
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
