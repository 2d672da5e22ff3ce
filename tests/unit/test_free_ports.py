"""Ports for processes that are started later."""

import random
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest

from app.embedded import free_port


def test_a_port_is_given_once_though_nobody_listens_there_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    """The nodes of a cluster and the server choose theirs before the first of them starts."""
    probes = [socket.create_server(("127.0.0.1", 0)) for _ in range(3)]
    first, second, third = (probe.getsockname()[1] for probe in probes)
    for probe in probes:
        probe.close()
    drawn: Iterator[int] = iter((first, first, second, first, second, third))
    monkeypatch.setattr(random, "randrange", lambda *_: next(drawn))
    assert [free_port() for _ in range(3)] == [first, second, third]


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a kept port cannot be listened on")
def test_no_other_process_is_given_the_port() -> None:
    port = free_port()
    code = (
        "import random, sys\n"
        "from app.embedded import free_port\n"
        "drawn = iter(map(int, sys.argv[1:]))\n"
        "random.randrange = lambda *_: next(drawn)\n"
        "print(free_port())"
    )
    other = free_port()
    with socket.create_server(("127.0.0.1", other)):  # who was given a port may listen there
        command = [sys.executable, "-c", code, str(port), str(other), str(port + 1), str(port + 2), str(port + 3)]
        said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout
    assert int(said) in range(port + 1, port + 4)
