"""Holds a whole stack of the checkout it is started in, until its standard input ends; tells port and pids as JSON."""

import json
import sys
import tempfile
from pathlib import Path

from tests.conftest import KEY, Stack


def main() -> None:
    """Starts all parts, prints one line, waits, ends them."""
    with tempfile.TemporaryDirectory() as folder:
        stack = Stack(Path(folder))
        try:
            stack.up()
            pids = {part: stack.pid(part) for part in ("serve", "persist")} | {"redis": stack.valkey.pid}
            print(json.dumps({"port": stack.port, "key": KEY, "pids": pids}), flush=True)
            sys.stdin.read()
        finally:
            stack.down()


if __name__ == "__main__":
    main()
