"""The tests that do not run on several nodes of Redis, because they start or break a Valkey of their own. They are
listed at the end of a run."""

from typing import Any

import pytest

from tests.support.redis_topologies import topology

_EXEMPT = pytest.StashKey[list[str]]()
#: Under which a worker of pytest-xdist tells them to the process that prints the summary.
_OUTPUT = "exempt"


def leave_out(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Takes them out of the tests of this run, where it is one on several nodes."""
    if not topology():
        return
    exempt = [item for item in items if item.get_closest_marker("own_valkey")]
    config.stash[_EXEMPT] = sorted({item.nodeid.partition("[")[0] for item in exempt})
    config.hook.pytest_deselected(items=exempt)
    items[:] = [item for item in items if item not in exempt]


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A worker tells its list."""
    output = getattr(session.config, "workeroutput", None)
    if output is not None:
        output[_OUTPUT] = session.config.stash.get(_EXEMPT, [])


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Takes a worker's list; all workers have the same one."""
    names = getattr(node, "workeroutput", {}).get(_OUTPUT)
    if names:
        node.config.stash[_EXEMPT] = names


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Says on which Redis the tests ran, where it is not a single one."""
    if topology():
        terminalreporter.section(f"on a Redis of several nodes: {topology()}")
        for name in config.stash.get(_EXEMPT, []):
            terminalreporter.line(f"exempt, with a single Valkey: {name}")
