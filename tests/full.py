"""What takes longer than a change may wait for, on real parts: `make test-full`.

Random operations against the plain model, random questions against the ledger, and kill -9 of every part run again
and again, each for so many seconds. Then each mutant runs once, the integration tests on a cluster and behind
Sentinels, an acceptance script of others where its folder is named, alone and with losses behind it, and every other
test. Seeds count up from a first one, which is printed. The first failure ends the run and prints the command that
repeats it.
"""

import argparse
import os
import random
import shlex
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from tests.acceptance import script_of

ROOT = Path(__file__).parents[1]
#: Seconds for each part that has seeds or chances; with the mutants and the rest of the tests an hour and a quarter.
SECONDS = 900.0
#: Examples of the model in one run of pytest: some minutes of 50 steps each.
EXAMPLES, STEPS = 40, 50
PYTEST = ("pytest", "-q", "-m", "full or not full")

#: By seed, the environment of one run and the words behind `python -m`.
Round = Callable[[int], tuple[dict[str, str], list[str]]]


def model(seed: int) -> tuple[dict[str, str], list[str]]:
    """Operations in any order, from one seed."""
    environment = {"MACHINE_EXAMPLES": str(EXAMPLES), "MACHINE_STEPS": str(STEPS)}
    return environment, [*PYTEST, "tests/property", f"--hypothesis-seed={seed}"]


def oracle(seed: int) -> tuple[dict[str, str], list[str]]:
    """Questions of ten seeds."""
    first = seed * 10
    return {"ORACLE_SEEDS": f"{first}-{first + 9}"}, [*PYTEST, "tests/integration/test_oracle.py"]


def kills(_seed: int) -> tuple[dict[str, str], list[str]]:
    """Every part killed under writes; when it dies is the machine's chance, not a seed's."""
    return {}, [*PYTEST, "tests/crash"]


def crash(seed: int) -> tuple[dict[str, str], list[str]]:
    """Faults of every kind, for five minutes."""
    return {}, ["tests.crash", "--seed", str(seed)]


def crash_on(kind: str) -> Round:
    """The same, and masters or primaries that die, hang, lag or are cut off."""
    return lambda seed: ({}, ["tests.crash", f"--{kind}", "--seed", str(seed)])


def mutants(_seed: int) -> tuple[dict[str, str], list[str]]:
    """Every mutant."""
    return {}, ["tests.mutants"]


def on_nodes(kind: str) -> Round:
    """The integration tests with every system on a Redis of several nodes; the exempt ones are listed at its end."""
    return lambda _seed: (
        {"TEST_REDIS": kind},
        [*PYTEST, "-n", "2", "--dist", "worksteal", "tests/integration", "tests/webhooks"],
    )


PARTS: dict[str, Round] = {
    "model": model,
    "oracle": oracle,
    "kills": kills,
    "crash": crash,
    **{f"crash-{kind}": crash_on(kind) for kind in ("cluster", "sentinel")},
    "mutants": mutants,
    **{kind: on_nodes(kind) for kind in ("cluster", "sentinel")},
}
#: Parts that find nothing more when they run again.
ONCE = {"mutants", "cluster", "sentinel"}


def run(environment: dict[str, str], words: list[str]) -> bool:
    """One run; prints how to repeat one that fails."""
    line = shlex.join([*(f"{name}={value}" for name, value in environment.items()), "python", "-m", *words])
    print(f"-- {line}", flush=True)
    command = [sys.executable, "-m", *words]
    if subprocess.run(command, cwd=ROOT, env={**os.environ, **environment}, check=False).returncode == 0:
        return True
    print(f"failed; to repeat it: {line}", file=sys.stderr)
    return False


def loop(part: Round, seed: int, seconds: float) -> int:
    """Rounds of growing seeds until the time is over, one at least; how many went well, 0 where one failed."""
    end, count = time.monotonic() + seconds, 0
    while count == 0 or time.monotonic() < end:
        if not run(*part(seed + count)):
            return 0
        count += 1
    return count


def main() -> int:
    """The parts in turn, then the whole suite."""
    arguments = argparse.ArgumentParser(prog="make test-full ARGS=…", description=__doc__)
    arguments.add_argument("--seconds", type=float, default=SECONDS, help="for each part that runs again and again")
    arguments.add_argument("--seed", type=int, default=random.randrange(1_000_000), help="the first one")
    arguments.add_argument("--only", choices=PARTS, help="one part, and not the rest of the tests")
    arguments.add_argument("--acceptance", type=Path, help="a folder with acceptance/f1.py and data/f1")
    given = arguments.parse_args()
    print(f"-- seed {given.seed}", flush=True)
    summary = []
    for name in [given.only] if given.only else PARTS:
        count = loop(PARTS[name], given.seed, 0 if name in ONCE else given.seconds)
        if not count:
            return 1
        summary.append(f"{name}: {count} rounds")
    if not given.only and not run({}, [*PYTEST, "-n", "4", "--dist", "worksteal"]):
        return 1
    if given.acceptance is None or not script_of(given.acceptance).exists():
        print("-- no acceptance script: --acceptance names no folder with acceptance/f1.py")
    elif not all(run({}, [part, str(given.acceptance)]) for part in ("tests.acceptance", "tests.recoveries")):
        return 1
    print(f"-- seed {given.seed}; " + "; ".join(summary))
    return 0


if __name__ == "__main__":
    sys.exit(main())
