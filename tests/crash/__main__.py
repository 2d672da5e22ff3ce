"""`make crash`: clients at work on a deployment whose parts fail one after the other, for some minutes.

A model keeps what was acknowledged, and is compared with boards and ledger behind each fault. The seed gives the order
of faults and what clients do; when a part fails exactly is the machine's chance.
"""

import argparse
import random
import sys
import tempfile
import time
from pathlib import Path

from tests.crash.field import field
from tests.crash.page import table
from tests.crash.run import Run, repeat
from tests.crash.table import FAULTS


def main() -> int:
    """The figures of each fault; 1 where something was lost, or counted twice, or was shown and must not be."""
    names = {fault.__name__: fault for fault in FAULTS}
    arguments = argparse.ArgumentParser(prog="make crash ARGS=…", description=__doc__)
    arguments.add_argument("--seconds", type=float, default=300.0)
    arguments.add_argument("--seed", type=int, default=random.randrange(1_000_000))
    arguments.add_argument("--fault", action="append", choices=names, help="only this one; may be given again")
    kinds = arguments.add_mutually_exclusive_group()
    kinds.add_argument("--cluster", action="store_const", const="cluster", dest="topology", default="")
    kinds.add_argument("--sentinel", action="store_const", const="sentinel", dest="topology")
    given = arguments.parse_args()
    faults = (
        [names[name] for name in given.fault]
        if given.fault
        else [one for one in FAULTS if one.topology in (given.topology, None)]
    )
    print(f"-- seed {given.seed}", flush=True)
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)  # Postgres is another user where we are root
        run = Run(given.seed, faults)
        try:
            with field(Path(folder) / "stack", given.seed, topology=given.topology) as place:
                run.last(place, given.seconds)
        except BaseException:
            words = repeat(given.seed, faults if given.fault else []) + (
                f" --{given.topology}" if given.topology else ""
            )
            print(f"-- failed; to repeat it: {words}", file=sys.stderr)
            raise
    print(table(run.figures))
    count = sum(figures.count for figures in run.figures.values())
    print(f"-- seed {given.seed}: {count} faults in {time.monotonic() - began:.0f} s, {run.grants:,} grants compared")
    return 0


if __name__ == "__main__":
    sys.exit(main())
